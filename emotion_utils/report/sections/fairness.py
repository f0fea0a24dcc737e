"""Groups of persons: is a model as accurate for each? By a column of the labels, where one was named. No torch."""

from __future__ import annotations

import math

import pandas as pd

from emotion_utils.artefacts import FAIRNESS
from emotion_utils.evaluation.fairness import SMALLEST, compare_groups, measure_groups
from emotion_utils.evaluation.statistics import ALPHA, LEVEL
from emotion_utils.report.claims import UNDECIDED, Label, Model, Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Estimate, Figures, frame_of

TOO_FEW = "too few"


def find_groups(results: Results, model: str) -> pd.DataFrame | None:
    """`fairness.measure_groups` of a model on the test split; None where the run compares no groups."""
    if not results.config.fairness or FAIRNESS not in results.manifest:
        return None
    groups = results.kept.set_index("id")[FAIRNESS]
    return measure_groups(results.tests[model], groups, results.class_names, results.config.seed)


def say_groups(prose: Prose) -> None:
    """A paragraph on all models."""
    prose.paragraph()
    if find_groups(prose.results, prose.results.models[0]) is None:
        prose.say("Whether a model is as accurate for one group of persons as for another was not measured.")
        return
    say_ungrouped(prose)
    for model in prose.results.models:
        say_group_differences(prose, model)
    prose.say("{table} has each group.", table=Ref("tbl-fairness"))


def say_ungrouped(prose: Prose) -> None:
    """How many test images are in no group, if any are."""
    results = prose.results
    grouped = int(find_groups(results, results.models[0])["count"].sum())
    if grouped < results.test_size:
        prose.say(
            "{unknown:count} of {count:count} test images have no value of {column}: they are in no group.",
            unknown=results.test_size - grouped, count=results.test_size, column=Label(results.config.fairness),
        )  # fmt: skip


def say_group_differences(prose: Prose, model: str) -> None:
    """Between which groups the accuracy of `model` differs significantly."""
    measured = find_groups(prose.results, model)
    pairs = compare_groups(measured)
    column = Label(prose.results.config.fairness)
    if pairs.empty:
        prose.say(
            "By {column} there are fewer than two groups of at least {smallest:count} test images, too few to compare "
            "{model} between them.", column=column, smallest=SMALLEST, model=Model(model),
        )  # fmt: skip
        return
    largest = pairs.loc[pairs["difference"].abs().idxmax()]
    high, low = (largest["a"], largest["b"]) if largest["difference"] >= 0 else (largest["b"], largest["a"])
    different = pairs[pairs["p_holm"] <= ALPHA]
    values = {
        "model": Model(model), "column": column, "high": Label(high), "low": Label(low), "metric": "accuracy",
        "most": float(measured.at[high, "accuracy"]), "least": float(measured.at[low, "accuracy"]),
    }  # fmt: skip
    start = "By {column}, the accuracy of {model} differs most between {high} ({most:pct}) and {low} ({least:pct}); "
    if different.empty:
        ending = (
            "no difference between groups is significant (smallest adjusted {p:p}), which does not show them alike."
        )
        prose.say(start + ending, p=float(pairs["p_holm"].min()), comparison=UNDECIDED, **values)
        return
    prose.say(
        start + "{count:count} of {pairs:count} pairs of groups differ significantly (largest adjusted {p_holm:p} of "
        "these).",
        count=len(different), pairs=len(pairs), p_holm=float(different["p_holm"].max()), **values,
    )  # fmt: skip


def fairness_table(results: Results) -> Shown:
    """Accuracy and macro F1 of each model in each group. Empty where the run compares none."""
    rows = [
        [Model(model), *row]
        for model in results.models if (measured := find_groups(results, model)) is not None
        for row in group_rows(measured)
    ]  # fmt: skip
    if not rows:
        return Shown()
    frame = frame_of(rows, ["Model", "Group", "Correct", "Accuracy", "Macro F1"])
    caption = "Results in groups of persons, test split."
    return show_table(
        results, "tbl-fairness", frame, caption, FAIRNESS_NOTE, groups=frame["Model"], merge=("Model",), may_break=True
    )


FAIRNESS_NOTE = (
    f"In brackets: {LEVEL:.0%} intervals, Wilson's for the accuracy, bootstrap over images for F1, which is given "
    f"where every class is there. Too few: fewer than {SMALLEST} images. Differences: Fisher's exact test with Holm's "
    "correction for all pairs of groups; it takes images of one person as independent."
)


def group_rows(measured: pd.DataFrame) -> list[list[str | Figures | Estimate | None]]:
    """Name, correct of all, accuracy and macro F1 of each group; `too few` for those of which nothing is said."""
    return [
        [
            str(name),
            Figures(f"{int(row['correct']):,} of {int(row['count']):,}"),
            _estimate(row, "accuracy") or TOO_FEW,
            _estimate(row, "f1") or (TOO_FEW if row["count"] < SMALLEST else None),
        ]
        for name, row in measured.iterrows()
    ]


def _estimate(row: pd.Series, name: str) -> Estimate | None:
    found = Estimate(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))
    return None if math.isnan(found.value) else found
