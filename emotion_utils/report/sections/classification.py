"""Classification reports: their tables, the confusion matrices, and which classes each model confuses. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotion_utils.evaluation.statistics import LEVEL, percentile_interval, wilson_interval
from emotion_utils.figures.results import matrix_side_in, plot_matrix
from emotion_utils.figures.style import figure_svg
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.exhibits import Shown, report_key, show_figure, show_table
from emotion_utils.report.model_tables import classification_html
from emotion_utils.report.names import safe_model
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Estimate, frame_of

CSS_PX_PER_IN = 96
LISTED = 4  # tables that fit into one sentence
ROWS_TOGETHER = 12  # of two lines each, that fit on a page with something else


# -- tables and figure -----------------------------------------------------------------------------


def report_tables(results: Results) -> Shown:
    """The classification report of each model on the test split."""
    shown = Shown()
    for model, table in results.reports.items():
        caption = f"Classification report: {safe_model(model, results.proxies)}, test split."
        shown += show_table(results, report_key(model), classification_html(table), caption)
    return Shown(f'<div class="side-by-side">{shown.html}</div>')


def confusion_figure(results: Results) -> Shown:
    """The confusion matrix of each model on the test split."""
    panels = []
    for number, (model, counts) in enumerate(results.confusions.items()):
        rows = "; ".join(
            f"{label}: " + ", ".join(f"{count} as {name}" for name, count in row.items() if count)
            for label, row in counts.iterrows()
        )
        alt = f"Confusion matrix of {results.label(model)}. {rows}."
        panels.append(figure_svg(plot_matrix(counts, results.label(model)), f"confusion-{number}", alt))
    width = round(CSS_PX_PER_IN * matrix_side_in(len(results.class_names)) * 1.1)
    caption = (
        "Confusion matrices on the test split: images of each label (rows) by predicted class (columns). The stronger "
        "the colour of a cell, the larger its share of the row; cells off the diagonal are mistakes."
    )
    columns = 3 if len(results.class_names) <= 4 else 2
    return show_figure(results, "fig-confusion", panels, caption, columns=columns, width_px=width)


def intervals_table(results: Results) -> Shown:
    """Recall and F1 of each model and class, with their intervals; two rows per class, a column per model."""
    rows = []
    for place, name in enumerate(results.class_names):
        recall, f1 = [name, "recall"], [name, "F1"]
        for model, counts in results.confusions.items():
            hits, support = int(counts.iat[place, place]), int(counts.iloc[place].sum())
            recall.append(Estimate(hits / support, *wilson_interval(hits, support)) if support else None)
            value = float(results.reports[model]["f1-score"].iloc[place])
            f1.append(Estimate(value, *percentile_interval(results.resampled[model][1][:, place])))
        rows += [recall, f1]
    frame = frame_of(rows, ["Class", "Rate", *map(Model, results.models)])
    note = f"In brackets: {LEVEL:.0%} intervals, Wilson's for the recall, bootstrap over test images for F1."
    caption = "Recall and F1 of each class on the test split."
    return show_table(
        results, "tbl-intervals", frame, caption, note, may_break=len(rows) > ROWS_TOGETHER, groups=frame["Class"]
    )


# -- sentences -------------------------------------------------------------------------------------


def write_classes(results: Results) -> Prose:
    prose = Prose(results, "in-depth analysis")
    tables = [Ref(report_key(model)) for model in results.models]
    where = "{tables}" if len(tables) <= LISTED else "the tables from {first} on"
    prose.say(
        f"These findings can be checked in {where} and in {{figure}}. Classes hold different images, so that no paired "
        "test applies: their rates are compared by their intervals.", tables=tables, first=tables[0],
        figure=Ref("fig-confusion"),
    )  # fmt: skip
    found = {model: read_mistakes(counts) for model, counts in results.confusions.items()}
    absent = next(iter(found.values())).absent
    if absent:
        prose.say("The test split has no image of {absent}.", absent=[Label(name) for name in absent])
    for model, mistakes in found.items():
        prose.item()
        if mistakes.correct == mistakes.count:
            prose.say(
                "{model} classifies all {count:count} test images correctly; with that many, its true accuracy may "
                "still be as low as {low:pct}.", model=Model(model), count=mistakes.count,
                low=wilson_interval(mistakes.count, mistakes.count)[0], metric="accuracy",
            )  # fmt: skip
        elif mistakes.only is not None:
            prose.say("{model} predicts {label} for every test image.", model=Model(model), label=Label(mistakes.only))
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
        prose.say("{model} has the same recall for every class, {recall:pct}.", metric="recall", **values)
        return
    in_every = "The lowest recall of {model} for any class is {recall:pct}"
    if len(mistakes.weakest) > 1:
        template = in_every if mistakes.overlap else "{model} has its lowest recall for {weakest}, {recall:pct} each"
        prose.say(f"{template}.", metric="recall", **values)
    else:
        low, high = wilson_interval(hits, support)
        figures = (
            "{hits:count} of {support:count} images or {recall:pct} ({level:pct0} interval {low:pct} to {high:pct})"
        )
        template = f"{{model}} has its lowest recall for {{weakest}}: {figures}"
        if mistakes.overlap:
            template = in_every
        elif not mistakes.lowest_alone:
            template = f"The recall of {{model}} differs between classes; for {{weakest}} it is {figures}"
        prose.say(
            f"{template}.", hits=hits, support=support, low=low, high=high, level=LEVEL, metric="recall", **values
        )
        _say_taken_for(prose, mistakes)
    if mistakes.overlap:
        prose.say(
            "The intervals of its classes overlap, so that none is shown to be recognised less often than another."
        )
    elif not mistakes.lowest_alone:
        prose.say("Intervals of other classes reach that, so that which class is recognised least often is not shown.")


def _say_taken_for(prose: Prose, mistakes: Mistakes) -> None:
    """What the missed images of the class with the lowest recall are mistaken for; nothing stands out by chance."""
    others = [Label(name) for name in mistakes.taken_for]
    values = {"missed": mistakes.missed, "taken": mistakes.taken, "others": others}
    everything = mistakes.taken * len(others) == mistakes.missed
    if mistakes.overlap and not mistakes.prefers:
        template = (
            "The errors in the class with the lowest recall ({missed:count}) show no preference for another class."
        )
    elif mistakes.overlap:
        each = " each" if len(others) > 1 else ""
        template = (
            "Of the {missed:count} errors in the class with the lowest recall, {taken:count}"
            + each
            + " are for {others}."
        )
    elif mistakes.missed == 1:
        template = "It mistakes the one that it misses for {others}."
    elif everything and len(others) == 1:
        template = "It mistakes all {missed:count} that it misses for {others}."
    elif everything:
        template = "It mistakes the {missed:count} that it misses for {others}, {taken:count} each."
    elif len(others) == 1:
        template = "Of the {missed:count} that it misses, it mistakes {taken:count} for {others}."
    else:
        template = "Of the {missed:count} that it misses, it mistakes {taken:count} each for {others}."
    prose.say(template, **values)
    if not mistakes.overlap and mistakes.missed > 1 and not mistakes.prefers and mistakes.choices > 1:
        prose.say("So few errors do not show which class it prefers.")


def _say_precision(prose: Prose, mistakes: Mistakes) -> None:
    if mistakes.doubtful is not None:
        template = "Its precision is lowest for {label}: {right:count} of {called:count} predictions are correct."
        if not mistakes.doubtful_alone:
            template = "No class is shown to have a lower precision than all others."
        prose.say(
            template, label=Label(mistakes.doubtful), right=mistakes.doubtful_right, called=mistakes.doubtful_called,
            metric="precision",
        )  # fmt: skip


# -- what a confusion matrix shows -----------------------------------------------------------------


@dataclass(frozen=True)
class Mistakes:
    """What a confusion matrix shows about one model. Classes without test images take no part in `weakest`."""

    count: int
    correct: int
    only: str | None  # the one class that is ever predicted, if so
    absent: list[str]  # classes without test images
    weakest: list[str]  # classes of the lowest recall, several where it is shared
    all_alike: bool  # every class has the same recall
    overlap: bool  # the interval of the weakest class reaches that of the strongest
    lowest_alone: bool  # the intervals of the weakest classes lie below those of all others
    taken_for: list[str]  # what the missed images of the weakest class were called most often
    taken: int  # how often each of them
    missed: int
    choices: int  # classes that a missed image may be mistaken for
    prefers: bool  # `taken` is more often than by an even choice among them: its interval lies above
    doubtful: str | None  # the class of the lowest precision, where one alone has it
    doubtful_right: int
    doubtful_called: int
    doubtful_alone: bool  # the interval of that precision lies below those of all other classes


def read_mistakes(counts: pd.DataFrame) -> Mistakes:
    """From a confusion matrix (`metrics.confusion`)."""
    names, values = list(counts.index), counts.to_numpy()
    support, called, hits = values.sum(axis=1), values.sum(axis=0), values.diagonal()
    present = [place for place in range(len(names)) if support[place]]
    recall = {place: hits[place] / support[place] for place in present}
    weak = [place for place in present if recall[place] == min(recall.values())]
    strong = max(present, key=lambda place: recall[place])
    misses = values[weak[0]].copy()
    misses[weak[0]] = 0
    used = [place for place in range(len(names)) if called[place]]
    precision = {place: hits[place] / called[place] for place in used}
    lowest = [place for place in used if precision[place] == min(precision.values())]
    alone = lowest[0] if len(lowest) == 1 and len(used) > 1 else None
    recalls = {place: wilson_interval(int(hits[place]), int(support[place])) for place in present}
    precisions = {place: wilson_interval(int(hits[place]), int(called[place])) for place in used}
    choices = len(names) - 1
    return Mistakes(
        count=int(support.sum()),
        correct=int(hits.sum()),
        only=names[used[0]] if len(used) == 1 else None,
        absent=[name for name, images in zip(names, support, strict=True) if not images],
        weakest=[names[place] for place in weak],
        all_alike=len(weak) == len(present),
        overlap=recalls[weak[0]][1] >= recalls[strong][0],
        lowest_alone=_lie_below(recalls, weak),
        taken_for=[names[place] for place in np.flatnonzero(misses == misses.max())] if misses.any() else [],
        taken=int(misses.max()),
        missed=int(misses.sum()),
        choices=choices,
        prefers=wilson_interval(int(misses.max()), int(misses.sum()))[0] > 1 / choices,
        doubtful=None if alone is None else names[alone],
        doubtful_right=0 if alone is None else int(hits[alone]),
        doubtful_called=0 if alone is None else int(called[alone]),
        doubtful_alone=alone is not None and _lie_below(precisions, [alone]),
    )


def _lie_below(intervals: Mapping[int, tuple[float, float]], places: Sequence[int]) -> bool:
    """Whether the intervals at `places` lie wholly below all the others."""
    return max(intervals[place][1] for place in places) < min(
        (low for place, (low, _) in intervals.items() if place not in places), default=1.0
    )
