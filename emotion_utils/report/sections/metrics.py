"""Sentences that set models beside each other and beside the published study. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.published.study import published_models, published_table, read_published
from emotion_utils.report.claims import AHEAD, Label, Model, Ref
from emotion_utils.report.findings import Lead, Ranking, learned_nothing, majority, rank_models
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results

LISTED = 4  # models whose accuracies fit into one sentence


def say_accuracies(prose: Prose) -> None:
    """Test accuracy of each model with its interval; of many models only the range."""
    figures = {}
    for model, table in prose.results.tests.items():
        correct = count_correct(table)
        figures[model] = (correct / len(table), *wilson_interval(correct, len(table)))
    if len(figures) > LISTED:
        low, high = min(figures, key=lambda m: figures[m][0]), max(figures, key=lambda m: figures[m][0])
        prose.say(
            "Their accuracies on the test images lie between {low:pct} ({worst}) and {high:pct} ({best}); {table} "
            "has them all.", low=figures[low][0], worst=Model(low), high=figures[high][0], best=Model(high),
            table=Ref("tbl-metrics"), metric="test accuracy",
        )  # fmt: skip
        return
    parts, values = [], {}
    for number, (model, (rate, low, high)) in enumerate(figures.items()):
        values |= {f"model{number}": Model(model), f"rate{number}": rate, f"low{number}": low, f"high{number}": high}
        verb, of_what, level = (
            ("is right in", " of the cases", "{level:pct0} interval ") if number == 0 else ("in", "", "")
        )
        interval = f"({level}{{low{number}:pct}} to {{high{number}:pct}})"
        parts.append(f"{{model{number}}} {verb} {{rate{number}:pct}}{of_what} {interval}")
    listed = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
    prose.say(f"On the test images, {listed}.", level=LEVEL, metric="test accuracy", **values)


def tell_verdict(results: Results) -> Prose:
    """What the paired tests say of the models' order, and no more."""
    prose = Prose(results, "metrics")
    ranking = rank_models(results.tests, results.pairs)
    if len(results.models) == 1:
        prose.say("With a single model there is nothing to compare.")
        return prose
    if not ranking.leader:
        _say_undecided(prose, ranking)
    for model in ranking.top:
        leads = [lead for lead in ranking.leads if lead.model == model]
        if leads:
            _say_ahead(prose, leads)
    return prose


def _say_ahead(prose: Prose, leads: list[Lead]) -> None:
    """One model over all those that it is ahead of: the smallest difference and the largest p-value of them."""
    difference, p_holm = min(lead.difference for lead in leads), max(lead.p_holm for lead in leads)
    several = len(leads) > 1
    prose.say(
        "{model} is more accurate than {others} (by {difference:points}"
        f"{' or more' if several else ''}; adjusted {{p_holm:p}}{' or less' if several and p_holm >= 0.001 else ''}).",
        model=Model(leads[0].model), others=[Model(lead.behind) for lead in leads], difference=difference,
        p_holm=p_holm, metric="test accuracy", comparison=AHEAD,
    )  # fmt: skip


def _say_undecided(prose: Prose, ranking: Ranking) -> None:
    """Nobody is ahead of everybody else: who has the highest accuracy, and whom it cannot be told apart from."""
    top, others = [Model(model) for model in ranking.top], [Model(model) for model in ranking.undecided]
    values = {
        "top": top,
        "others": others,
        "p": ranking.smallest_p,
        "metric": "test accuracy",
        "comparison": "undecided",
    }
    if len(top) > 1 and others:
        prose.say(
            "{top} share the highest accuracy, and {others} cannot be told apart from them (smallest adjusted {p:p}).",
            **values,
        )
    elif len(top) > 1:
        prose.say("{top} share the highest accuracy and cannot be told apart (smallest adjusted {p:p}).", **values)
    else:
        smallest = "smallest " if len(others) > 1 else ""
        prose.say(
            "The highest accuracy, that of {top}, cannot be told apart from that of {others} "
            f"({smallest}adjusted {{p:p}}): no model is shown to lead.",
            **values,
        )


def tell_metrics(results: Results) -> Prose:
    prose = Prose(results, "metrics")
    prose.say(
        "{figure} and {table} give the four metrics of each model.", figure=Ref("fig-metrics"), table=Ref("tbl-metrics")
    )
    prose.echo(tell_verdict(results).claims)
    if len(results.models) > 1:
        prose.say("{table} has every pair.", table=Ref("tbl-pairs"))
    _say_guessing(prose)
    return prose


def _say_guessing(prose: Prose) -> None:
    """The models whose accuracy may be that of naming the most frequent class every time."""
    tests = prose.results.tests
    label, share = majority(next(iter(tests.values()))["label"])
    doubtful = [m for m, table in tests.items() if learned_nothing(count_correct(table), len(table), share)]
    if not doubtful:
        return
    one = len(doubtful) == 1
    reach = "interval of {models} reaches" if one else "intervals of {models} reach"
    shown = "its accuracy alone does not show that it" if one else "their accuracies alone do not show that they"
    prose.say(
        f"Naming {{label}} every time would be right in {{share:pct}} of the cases; the {reach} down to that, so "
        f"{shown} learned more than which class is frequent.",
        label=Label(label), share=share, models=[Model(model) for model in doubtful], comparison="not above guessing",
    )  # fmt: skip


def tell_published(results: Results) -> Prose:
    prose = Prose(results, "published")
    published = read_published()
    theirs = {model: published_table(published, model) for model in published_models(published)}
    figures = [float(table.at["accuracy", "f1-score"]) for table in theirs.values()]
    tested = int(next(iter(theirs.values())).at["accuracy", "support"])
    prose.say(
        "The study reports test accuracies of {accuracies:pct} for {models}, on {tested:count} images.",
        accuracies=figures, models=list(theirs),  # plain names: no proxy stands behind them there
        tested=tested, metric="published accuracy",
    )  # fmt: skip
    if set(results.class_names) != set(published["classes"]):
        prose.say(
            "It tells {k:words} classes apart ({classes}), this run {ours:words}.", k=len(published["classes"]),
            classes=[Label(name) for name in published["classes"]], ours=len(results.class_names),
        )  # fmt: skip
    weights = ", nor are its pretrained weights" if results.proxies else ""
    prose.say(
        f"Its images are not those of this run{weights}; {{table}} therefore sets the figures side by side without a "
        "verdict, as a difference between its columns may come from the images as well as from the models.",
        table=Ref("tbl-published"),
    )
    return prose
