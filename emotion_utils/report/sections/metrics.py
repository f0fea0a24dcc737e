"""Model metrics: accuracy and macro averages of each model, and which of them differ. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.statistics import ALPHA, LEVEL, wilson_interval
from emotion_utils.figures.results import plot_metric
from emotion_utils.figures.style import figure_svg
from emotion_utils.report.claims import AHEAD, UNDECIDED, Label, Model, Ref, join_words
from emotion_utils.report.exhibits import Shown, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.fairness import say_groups
from emotion_utils.report.sections.majority import say_majority
from emotion_utils.report.sections.shortcuts import say_largest_strata
from emotion_utils.report.tables import MINUS, Estimate, Figures, frame_of, p_value
from emotion_utils.report.trainings import view_accuracies

LISTED = 4  # models whose accuracies fit into one sentence
METRICS = {"accuracy": "Accuracy", "precision": "Macro precision", "recall": "Macro recall", "f1-score": "Macro F1"}


# -- sentences -------------------------------------------------------------------------------------


def write_metrics(results: Results) -> Prose:
    prose = Prose(results, "metrics")
    prose.say(
        "{figure} and {table} give the four metrics of each model.", figure=Ref("fig-metrics"), table=Ref("tbl-metrics")
    )
    prose.echo(write_verdict(results).claims)
    if len(results.models) > 1:
        prose.say("{table} lists every pair.", table=Ref("tbl-pairs"))
    say_chance(prose)
    _say_guessing(prose)
    say_largest_strata(prose)
    _say_views(prose)
    say_groups(prose)
    test = results.kept[results.kept["split"] == "test"]
    say_majority(prose, test, results.class_names, results.tests)
    return prose


def say_accuracies(prose: Prose) -> None:
    """Test accuracy of each model with its interval; of many models only the range."""
    figures = {model: _accuracy(table) for model, table in prose.results.tests.items()}
    if len(figures) > LISTED:
        low, high = min(figures, key=lambda m: figures[m][0]), max(figures, key=lambda m: figures[m][0])
        prose.say(
            "Their accuracies on the test images lie between {low:pct} and {high:pct}; {table} lists them all with "
            "their intervals.", low=figures[low][0], worst=Model(low), high=figures[high][0], best=Model(high),
            table=Ref("tbl-metrics"), metric="test accuracy",
        )  # fmt: skip
        return
    parts, values = [], {}
    for number, (model, (rate, low, high)) in enumerate(figures.items()):
        values |= {f"model{number}": Model(model), f"rate{number}": rate, f"low{number}": low, f"high{number}": high}
        verb, level = ("reaches an accuracy of ", "{level:pct0} interval ") if number == 0 else ("", "")
        interval = f"({level}{{low{number}:pct}} to {{high{number}:pct}})"
        parts.append(f"{{model{number}}} {verb}{{rate{number}:pct}} {interval}")
    prose.say(f"On the test images, {join_words(parts)}.", level=LEVEL, metric="test accuracy", **values)


def write_verdict(results: Results) -> Prose:
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
    """No model is ahead of all others: which has the highest accuracy, and which do not differ from it."""
    top, others = [Model(model) for model in ranking.top], [Model(model) for model in ranking.undecided]
    values = {"top": top, "others": others, "p": ranking.smallest_p, "metric": "test accuracy", "comparison": UNDECIDED}
    if len(top) > 1 and others:
        prose.say(
            f"{{top}} share the highest accuracy, and {{others}} {'do' if len(others) > 1 else 'does'} not differ "
            "significantly from them (smallest adjusted {p:p}).", **values,
        )  # fmt: skip
    elif len(top) > 1:
        prose.say(
            "{top} share the highest accuracy and do not differ significantly (smallest adjusted {p:p}).", **values
        )
    else:
        smallest, does = ("smallest ", "do") if len(others) > 1 else ("", "does")
        prose.say(
            f"{{top}} has the highest accuracy, but {{others}} {does} not differ significantly from it ({smallest}"
            "adjusted {p:p}): no model is shown to lead.", **values,
        )  # fmt: skip


def _say_guessing(prose: Prose) -> None:
    """The models whose accuracy may be that of always predicting the most frequent class."""
    tests = prose.results.tests
    label, share = majority(next(iter(tests.values()))["label"])
    doubtful = [m for m, table in tests.items() if learned_nothing(count_correct(table), len(table), share)]
    if not doubtful:
        return
    one = len(doubtful) == 1
    constant = "{label}" if is_most_frequent(next(iter(tests.values()))["label"], label) else "one class"
    reach = "interval of {models} reaches" if one else "intervals of {models} reach"
    shown = "its accuracy alone does not show that it" if one else "their accuracies alone do not show that they"
    prose.say(
        f"Always predicting {constant} would have an accuracy of {{share:pct}}; the {reach} down to that, so {shown} "
        "learned more than which class is frequent.",
        label=Label(label), share=share, models=[Model(model) for model in doubtful], comparison="not above guessing",
    )  # fmt: skip


def say_chance(prose: Prose) -> None:
    """Which accuracies may be that of guessing; nothing where none of their intervals holds it."""
    chance = 1 / len(prose.results.class_names)
    at_chance = [
        Model(model)
        for model, (_, low, high) in ((model, _accuracy(table)) for model, table in prose.results.tests.items())
        if low <= chance <= high
    ]
    if at_chance:
        whose = "interval of {models} includes" if len(at_chance) == 1 else "intervals of {models} include"
        prose.say(
            f"The {whose} the chance level of {{k:words}} classes, {{chance:pct}}.", models=at_chance,
            k=len(prose.results.class_names), chance=chance, comparison="chance",
        )  # fmt: skip


def _say_views(prose: Prose) -> None:
    """What the views of an image gain, and what they cost."""
    for model in prose.results.models:
        views = prose.results.cards[model].get("views", {})
        if views.get("used", 1) == 1:
            continue
        alone, together = view_accuracies(prose.results.cards[model])
        prose.say(
            "{model} answers with the mean over {views:count} views of each image, mirrored"
            f"{' and shifted' if views['used'] > 2 else ''}; "
            "its accuracy on the validation images is {together:pct} so and {alone:pct} with one view, and an answer "
            "takes {times:plain} times as long.",
            model=Model(model), views=views["used"], together=together, alone=alone, metric="accuracy",
            times=round(views["seconds"][str(views["used"])] / views["seconds"]["1"], 1),
        )  # fmt: skip


# -- figure and tables -----------------------------------------------------------------------------


def summary_figure(results: Results) -> Shown:
    """The accuracy of each model with its interval, beside the chance level."""
    labels, chance = {model: results.label(model) for model in results.models}, 1 / len(results.class_names)
    values = {model: _accuracy(table) for model, table in results.tests.items()}
    read = "; ".join(
        f"{labels[model]} {value:.4f}, interval {low:.3f} to {high:.3f}" for model, (value, low, high) in values.items()
    )
    figure = plot_metric(values, "Accuracy on the test images", labels, chance)
    svg = figure_svg(figure, "summary", f"Accuracy. {read}. Chance level {chance:.3f}.")
    caption = (
        f"Accuracy of each model on the test images with its {LEVEL:.0%} interval. The dashed line is the chance level."
    )
    return show_figure(results, "fig-summary", [svg], caption, columns=1, width_px=440)


def metrics_figure(results: Results) -> Shown:
    """Accuracy and macro precision, recall and F1, the models one below the other, with intervals."""
    labels = {model: results.label(model) for model in results.models}
    panels = []
    for metric, title in METRICS.items():
        values = {model: _estimate(results, model, metric) for model in results.models}
        read = "; ".join(
            f"{labels[model]} {v:.4f}, interval {low:.3f} to {high:.3f}" for model, (v, low, high) in values.items()
        )
        panels.append(figure_svg(plot_metric(values, title, labels), f"metric-{metric}", f"{title}. {read}."))
    caption = f"Metrics of each model on the test split. A bar spans the {LEVEL:.0%} interval."
    return show_figure(results, "fig-metrics", panels, caption, columns=2, width_px=400)


def metrics_table(results: Results) -> Shown:
    """Accuracy and macro averages of each model, with their intervals."""
    rows = []
    for model, table in results.tests.items():
        right = Figures(f"{count_correct(table):,} of {len(table):,}")
        rows.append([Model(model), right, *(_estimate(results, model, metric) for metric in METRICS)])
    frame = frame_of(rows, ["Model", "Correct", *METRICS.values()])
    note = (
        f"In brackets: {LEVEL:.0%} intervals, Wilson's for the accuracy, bootstrap over test images for the averages."
    )
    return show_table(results, "tbl-metrics", frame, "Metrics of each model on the test split.", note)


def _estimate(results: Results, model: str, metric: str) -> Estimate:
    if metric == "accuracy":
        return _accuracy(results.tests[model])
    return Estimate(float(results.reports[model].at["macro avg", metric]), *results.macro[model].loc[metric])


def _accuracy(table: pd.DataFrame) -> Estimate:
    correct = count_correct(table)
    return Estimate(correct / len(table), *wilson_interval(correct, len(table)))


def pairs_table(results: Results) -> Shown:
    """Each pair of models: on how many images only one is right, and whether they differ. Empty for one model."""
    if results.pairs.empty:
        return Shown()
    pairs = results.pairs
    frame = pd.DataFrame({
        "A": map(Model, pairs["model_a"]), "B": map(Model, pairs["model_b"]), "only A correct": pairs["only_a"],
        "only B correct": pairs["only_b"], f"A{MINUS}B, points": 100 * pairs["difference"],
        "p": pairs["p_value"].map(p_value), "p, Holm": pairs["p_holm"].map(p_value),
        "Finding": (pairs["p_holm"] <= ALPHA).map({True: "differ", False: "undecided"}),
    }, dtype=object)  # fmt: skip
    note = (
        f"Exact McNemar test with Holm's correction for all pairs; models differ where the adjusted p is {ALPHA:g} or "
        "less; undecided: no difference is shown, and no equality either."
    )
    formats = {f"A{MINUS}B, points": "+.1f"}
    return show_table(results, "tbl-pairs", frame, "Pairs of models on the same test images.", note, formats=formats)


# -- what the paired tests show --------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """One model shown to be ahead of another: the difference of their accuracies and the adjusted p-value."""

    model: str
    behind: str
    difference: float
    p_holm: float


@dataclass(frozen=True)
class Ranking:
    """Who has the highest accuracy (several in a tie), and what of it the paired tests bear out."""

    top: list[str]
    leads: list[Lead]  # of a model in `top` over another
    undecided: list[str]  # outside `top`, and not shown to be behind every model in it
    smallest_p: float | None  # adjusted, of the pairs between `top` and `undecided`, or within `top`

    @property
    def leader(self) -> str | None:
        """The model that is ahead of every other, if there is one."""
        return self.top[0] if len(self.top) == 1 and self.leads and not self.undecided else None


def rank_models(tests: Mapping[str, pd.DataFrame], pairs: pd.DataFrame) -> Ranking:
    """From the test rows of each model and the paired comparisons (`uncertainty.compare_pairs`)."""
    right = {model: count_correct(table) for model, table in tests.items()}
    top = [model for model in right if right[model] == max(right.values())]
    leads, undecided, open_p = [], [], []
    for pair in pairs.itertuples():
        if pair.model_a in top and pair.model_b in top:
            open_p.append(float(pair.p_holm))
        if (pair.model_a in top) == (pair.model_b in top):
            continue
        ahead, behind = (pair.model_a, pair.model_b) if pair.model_a in top else (pair.model_b, pair.model_a)
        if pair.p_holm <= ALPHA:
            leads.append(Lead(ahead, behind, abs(float(pair.difference)), float(pair.p_holm)))
        else:
            open_p.append(float(pair.p_holm))
            undecided += [behind] * (behind not in undecided)
    return Ranking(top, leads, undecided, min(open_p) if open_p else None)


def majority(labels: pd.Series) -> tuple[str, float]:
    """The most frequent class (the first by name of several) and its share (0-1)."""
    counts = labels.value_counts().sort_index(kind="stable")
    return str(counts.idxmax()), float(counts.max() / counts.sum())


def is_most_frequent(labels: pd.Series, label: str) -> bool:
    """Whether no other class is as frequent as `label`."""
    counts = labels.value_counts()
    return int((counts == counts[label]).sum()) == 1 and counts[label] == counts.max()


def learned_nothing(correct: int, count: int, share: float) -> bool:
    """The interval of the accuracy reaches down to `share`, what naming one class all the time would get."""
    return wilson_interval(correct, count)[0] <= share + math.ulp(1.0)
