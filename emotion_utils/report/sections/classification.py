"""Sentences about one model at a time: how it learned, what it mistakes, what its training met with. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.events import TROUBLE, event_sentences
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.exhibits import report_key
from emotion_utils.report.findings import NEAR, Curve, Mistakes, majority, read_curve, read_mistakes
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results

LISTED = 4  # tables that fit into one sentence


# -- how it learned --------------------------------------------------------------------------------


def tell_curves(results: Results) -> Prose:
    prose = Prose(results, "accuracy analysis")
    held_out = results.kept[results.kept["split"] == "val"]
    label, share = majority(held_out["label"])
    for model, history in results.histories.items():
        prose.item()
        curve = read_curve(history)
        if curve is None:
            prose.say("{model} has no epoch with finite losses and accuracies.", model=Model(model))
        elif curve.epochs == 1:
            prose.say(
                "{model} was trained for one epoch and reached {best:pct} in validation, {train:pct} in training.",
                model=Model(model), best=curve.best, train=curve.train_last, metric="accuracy",
            )  # fmt: skip
        else:
            _say_course(prose, model, curve)
        if curve is not None and curve.best <= share:
            prose.say(
                "It never gets past {share:pct}, what naming {label} every time would reach.", share=share,
                label=Label(label), best=curve.best, comparison="not above guessing",
            )  # fmt: skip
    prose.paragraph()
    prose.say(
        "One of the {count:count} validation images is worth {step:points}; smaller steps in {table} and {figure} "
        "do not exist, and steps of that size mean little.",
        count=len(held_out), step=1 / len(held_out), table=Ref("tbl-epochs"), figure=Ref("fig-curves"),
    )  # fmt: skip
    return prose


def _say_course(prose: Prose, model: str, curve: Curve) -> None:
    values = {"model": Model(model), "first": curve.first, "best": curve.best, "epoch": curve.best_epoch}
    if curve.best_epoch == curve.first_epoch:
        prose.say(
            "{model} has its best validation accuracy, {best:pct}, at the start, in epoch {epoch:count}; no later "
            "epoch improves on it.", metric="validation accuracy", **values,
        )  # fmt: skip
    else:
        prose.say(
            "{model} goes from {first:pct} in epoch {start:count} to its best validation accuracy, {best:pct}, in "
            "epoch {epoch:count}.", start=curve.first_epoch, metric="validation accuracy", **values,
        )  # fmt: skip
        if curve.arrived_epoch < curve.best_epoch:
            prose.say(
                "It first comes within {near:points} of that in epoch {arrived:count}.", near=NEAR,
                arrived=curve.arrived_epoch,
            )  # fmt: skip
    if curve.best_epoch == curve.last_epoch:
        prose.say("That is the last epoch, so a longer training might have gone further.")
    elif curve.lowest_after == curve.best:
        prose.say("It keeps that to the end.")
    else:
        prose.say(
            "After that it falls by up to {drop:points} and ends at {last:pct}.", drop=curve.best - curve.lowest_after,
            last=curve.last,
        )  # fmt: skip
    _say_gap(prose, curve)


def _say_gap(prose: Prose, curve: Curve) -> None:
    """Training beside validation at the end, and overfitting where the losses show it."""
    gap = curve.train_last - curve.last
    if gap > 0:
        prose.say(
            "Its accuracy in training then is {train:pct}, {gap:points} above that in validation.",
            train=curve.train_last, gap=gap,
        )  # fmt: skip
    else:
        prose.say(
            "Its accuracy in training then is {train:pct}, no higher than in validation, as may be where only the "
            "images for training are distorted.", train=curve.train_last,
        )  # fmt: skip
    if curve.overfits:
        prose.say(
            "Its validation loss is lowest in epoch {low:count} and {rise:pct0} higher at the end while the training "
            "loss goes on falling, which is overfitting.", low=curve.loss_low_epoch, rise=curve.loss_rise,
        )  # fmt: skip


# -- what it mistakes ------------------------------------------------------------------------------


def tell_classes(results: Results) -> Prose:
    prose = Prose(results, "in-depth analysis")
    tables = [Ref(report_key(model)) for model in results.models]
    where = "{tables}" if len(tables) <= LISTED else "the tables from {first} on"
    prose.say(
        f"What follows can be counted out in {where} and in {{figure}}.", tables=tables, first=tables[0],
        figure=Ref("fig-confusion"),
    )  # fmt: skip
    found = {model: read_mistakes(counts) for model, counts in results.confusions.items()}
    absent = next(iter(found.values())).absent
    if absent:
        prose.say("The test has no image of {absent}.", absent=[Label(name) for name in absent])
    for model, mistakes in found.items():
        prose.item()
        if mistakes.correct == mistakes.count:
            prose.say(
                "{model} names all of the {count:count} test images correctly; with that many, its true accuracy may "
                "still be as low as {low:pct}.", model=Model(model), count=mistakes.count,
                low=wilson_interval(mistakes.count, mistakes.count)[0], metric="accuracy",
            )  # fmt: skip
        elif mistakes.only is not None:
            prose.say("{model} calls every test image {label}.", model=Model(model), label=Label(mistakes.only))
        else:
            _say_recall(prose, model, mistakes)
            _say_precision(prose, mistakes)
    return prose


def _say_recall(prose: Prose, model: str, mistakes: Mistakes) -> None:
    counts = prose.results.confusions[model]
    weakest = mistakes.weakest[0]
    hits, support = int(counts.at[weakest, weakest]), int(counts.loc[weakest].sum())
    values = {"model": Model(model), "weakest": [Label(name) for name in mistakes.weakest], "recall": hits / support}
    if mistakes.all_alike:
        prose.say("{model} finds every class equally often, in {recall:pct} of its images.", metric="recall", **values)
        return
    if len(mistakes.weakest) > 1:
        prose.say(
            "{model} finds {weakest} least often, in {recall:pct} of the images of each.", metric="recall", **values
        )
    else:
        low, high = wilson_interval(hits, support)
        prose.say(
            "{model} finds {weakest} least often, in {hits:count} of {support:count} images or {recall:pct} "
            "({level:pct0} interval {low:pct} to {high:pct}).",
            hits=hits, support=support, low=low, high=high, level=LEVEL, metric="recall", **values,
        )  # fmt: skip
        _say_taken_for(prose, mistakes)
    if mistakes.overlap:
        prose.say("The intervals of its classes overlap, so their order may be chance.")


def _say_taken_for(prose: Prose, mistakes: Mistakes) -> None:
    others = [Label(name) for name in mistakes.taken_for]
    values = {"missed": mistakes.missed, "taken": mistakes.taken, "others": others}
    if mistakes.missed == 1:
        prose.say("It takes the one that it misses for {others}.", **values)
    elif mistakes.taken == mistakes.missed:
        prose.say("It takes all {missed:count} that it misses for {others}.", **values)
    elif len(others) == 1:
        prose.say("Of the {missed:count} that it misses, it takes {taken:count} for {others}.", **values)
    else:
        prose.say("Those that it misses are mostly taken for {others}, {taken:count} each.", **values)


def _say_precision(prose: Prose, mistakes: Mistakes) -> None:
    if mistakes.doubtful is not None:
        prose.say(
            "Its answer is least reliable where it is {label}: right in {right:count} of {called:count} cases.",
            label=Label(mistakes.doubtful), right=mistakes.doubtful_right, called=mistakes.doubtful_called,
            metric="precision",
        )  # fmt: skip


# -- what training had to deal with ----------------------------------------------------------------


def tell_challenges(results: Results) -> Prose:
    prose = Prose(results, "challenges")
    seconds = {model: float(history["seconds"].sum()) for model, history in results.histories.items()}
    slowest = max(seconds, key=seconds.__getitem__)
    prose.say(
        "Training took {total:duration} in all, {longest:duration} of it for {model}; {table} has the rest."
        if len(seconds) > 1 else "Training took {total:duration} ({model}, {table}).",
        total=sum(seconds.values()), longest=seconds[slowest], model=Model(slowest), table=Ref("tbl-events"),
    )  # fmt: skip
    kinds = {event["kind"] for events in results.events.values() for event in events}
    if not kinds & set(TROUBLE):
        prose.say("Nothing went wrong: memory sufficed, no step had to be skipped, and no model stopped early.")
    _say_overfitting(prose)
    for model in results.models:
        _say_events(prose, model)
    return prose


def _say_overfitting(prose: Prose) -> None:
    curves = {model: read_curve(history) for model, history in prose.results.histories.items()}
    overfitted = [Model(model) for model, curve in curves.items() if curve is not None and curve.overfits]
    if overfitted:
        each = "Overfitting shows in {models}, whose validation loss rises again while the training loss falls; "
        prose.say(each + "keeping the weights of the best epoch limits what it costs.", models=overfitted)


def _say_events(prose: Prose, model: str) -> None:
    """An item for the model, where there is something to tell."""
    prose.item()
    subject = "{model}"  # `It` from the second sentence on
    for template, values in event_sentences(prose.results.events[model]):
        prose.say(f"{subject} {template}", model=Model(model), **values)
        subject = "It"
