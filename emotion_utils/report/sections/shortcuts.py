"""Shortcuts: what else than the face tells the labels of these images, and the results without it. No torch."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emotion_utils.audit.shortcuts import FEW_UNITS, PROPERTIES
from emotion_utils.evaluation.metrics import classification_table, count_correct
from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.evaluation.strata import Stratum, divide_by, select_stratum
from emotion_utils.report.claims import Label, Model, Ref, join_words
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Estimate, Figures, frame_of

LISTED = 4  # models whose accuracies fit into one sentence


def say_shortcuts(prose: Prose) -> None:
    """Each property that alone predicts labels, with its figures; nothing where there is none."""
    shortcuts = prose.results.audit.get("shortcuts", {})
    heads = [found for found in shortcuts.get("found", ()) if not found["same_as"]]
    if not heads:
        return
    prose.paragraph()
    largest = shortcuts["largest"]
    for found in heads:
        prose.say(
            "The labels can be told without a face: a rule that knows nothing but {property} is right on "
            "{accuracy:pct} of the images of people it did not learn from ({level:pct0} interval {low:pct} to "
            "{high:pct}); always naming {label} is right on {share:pct}.",
            property=PROPERTIES[found["name"]][0], accuracy=found["accuracy"], level=shortcuts["level"],
            low=found["low"], high=found["high"], label=Label(largest["class_name"]), share=largest["share"],
        )  # fmt: skip
        if found.get("units", FEW_UNITS) < FEW_UNITS:  # older audits do not count them
            prose.say(
                "It rests on the images of {units:words} persons: whether it holds for others is not shown.",
                units=found["units"],
            )
        alike = [PROPERTIES[each["name"]][1] for each in shortcuts["found"] if each["same_as"] == found["name"]]
        if alike:
            prose.say("Mostly the same images stand out in {alike}.", alike=alike)
    prose.say(
        "A model may have learned that in place of the face, so {table} gives each result within images that are alike "
        "in it.", table=Ref("tbl-strata"),
    )  # fmt: skip


def say_largest_strata(prose: Prose) -> None:
    """For each shortcut the accuracies within its largest stratum of test images."""
    results = prose.results
    for strata in divide_tests(results):
        stratum = max(strata, key=lambda each: len(_test_rows(results, each)))
        rates = {model: _accuracy(select_stratum(table, stratum)) for model, table in results.tests.items()}
        values: dict[str, Any] = {
            "stratum": stratum.name, "count": len(_test_rows(results, stratum)), "all": results.test_size,
            "share": _largest_share(_test_rows(results, stratum)),
        }  # fmt: skip
        if len(rates) > LISTED:
            values |= {"low": min(rates.values()).value, "high": max(rates.values()).value}
            words = "the accuracies lie between {low:pct} and {high:pct}"
        else:
            for number, (model, rate) in enumerate(rates.items()):
                values |= {f"model{number}": Model(model), f"rate{number}": rate.value}
            listed = join_words(f"{{model{number}}} on {{rate{number}:pct}}" for number in range(len(rates)))
            words = listed.replace(" on", " is right on", 1)
        prose.say(
            "Besides the face, {property} tells labels too; on the {count:count} of {all:count} test images that are "
            f"alike in that ({{stratum}}), {words} (always naming the largest class: {{share:pct}}).",
            property=PROPERTIES[stratum.property][0], metric="test accuracy", **values,
        )  # fmt: skip


def strata_table(results: Results) -> Shown:
    """Every model's accuracy and macro F1 on all test images and within each stratum. Empty without a shortcut."""
    rows, groups = [], []
    for stratum in [None, *(stratum for strata in divide_tests(results) for stratum in strata)]:
        for model, table in results.tests.items():
            part = table if stratum is None else select_stratum(table, stratum)
            name = "all" if stratum is None else stratum.name
            right = Figures(f"{count_correct(part):,} of {len(part):,}")
            whole = set(part["label"]) == set(results.class_names)
            f1 = classification_table(part, results.class_names).at["macro avg", "f1-score"] if whole else None
            rows.append([name, _largest_share(part), Model(model), right, _accuracy(part), f1])
            groups.append(name)
    if len(set(groups)) < 2:
        return Shown()
    frame = frame_of(rows, ["Test images", "Largest class", "Model", "Correct", "Accuracy", "Macro F1"])
    note = (
        f"In brackets: Wilson's {LEVEL:.0%} intervals. Largest class: its share among these images. Macro F1 is given "
        "where every class is there."
    )
    caption = "Results within images that are alike in a property that tells labels by itself."
    return show_table(
        results, "tbl-strata", frame, caption, note, groups=groups, merge=("Test images", "Largest class"),
        may_break=True,
    )  # fmt: skip


def divide_tests(results: Results) -> list[list[Stratum]]:
    """The strata of each shortcut that test images are in; those that say the same as another are left out."""
    found = results.audit.get("shortcuts", {}).get("found", ())
    divided = [divide_by(results.manifest, each["name"]) for each in found if not each["same_as"]]
    return [[stratum for stratum in strata if len(_test_rows(results, stratum))] for strata in divided]


def _test_rows(results: Results, stratum: Stratum) -> pd.DataFrame:
    return select_stratum(next(iter(results.tests.values())), stratum)


def _accuracy(table: pd.DataFrame) -> Estimate:
    correct = count_correct(table)
    return Estimate(correct / len(table), *wilson_interval(correct, len(table)))


def _largest_share(table: pd.DataFrame) -> float:
    return float(table["label"].value_counts(normalize=True).max())
