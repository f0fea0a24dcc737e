"""How the models fare on pictures that were made worse: sentences and tables from robustness.csv. No torch."""

from __future__ import annotations

import pandas as pd

from emotion_utils.evaluation.metrics import LEVEL, wilson_interval
from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, html_table, safe, safe_model, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import MISSING, rate, with_interval

AS_THEY_ARE = "as they are"  # of the pictures: nothing was done to them


def tell_worse(results: Results) -> Prose:
    """What each model can do without least, and most."""
    prose = Prose(results, "robustness")
    if not results.robustness:
        prose.say("How the models fare on blurred, dark or partly covered pictures was not measured in this run.")
        return prose
    first = next(iter(results.robustness.values()))
    pictures = int(first.loc[first["kind"] == AS_THEY_ARE, "count"].sum())
    prose.say(
        "{table} has the accuracies on {pictures:count} test pictures, as they are and made worse step by step.",
        table=Ref("tbl-robustness"), pictures=pictures,
    )  # fmt: skip
    for model, table in results.robustness.items():
        rates = _severest(table)
        worst, best = rates.idxmin(), rates.drop(AS_THEY_ARE).idxmax()
        prose.item()
        if rates[worst] >= rates[AS_THEY_ARE]:
            prose.say("{model} loses no accuracy to any of these changes.", model=Model(model))
            continue
        prose.say(
            "{model} suffers most from {worst} at its most severe: {low:pct} right, beside {clean:pct} of the same "
            "pictures as they are; least from {best}, with {high:pct}.",
            model=Model(model), worst=worst, best=best, low=float(rates[worst]), high=float(rates[best]),
            clean=float(rates[AS_THEY_ARE]), metric="accuracy", comparison="robustness",
        )  # fmt: skip
    return prose


def robustness_table(results: Results) -> Shown:
    """Accuracy of each model for each change and amount; empty where nothing was measured."""
    if not results.robustness:
        return Shown("")
    sums = {model: _sum(table, ["kind", "amount"]) for model, table in results.robustness.items()}
    rows = []
    for kind, amount in next(iter(sums.values())).index:
        cells = []
        for table in sums.values():
            correct, count = (int(value) for value in table.loc[(kind, amount), ["correct", "count"]])
            cells.append(with_interval(correct / count, wilson_interval(correct, count)))
        rows.append([safe(kind), MISSING if kind == AS_THEY_ARE else f"{amount:g}", *cells])
    head = ("Pictures", "Amount", *(safe_model(results, model) for model in sums))
    note = (
        f"In brackets: Wilson's {LEVEL:.0%} intervals. Amount: standard deviation of the blur in sides of the picture "
        "and of the noise in the range of values; quality of the JPEG; times fewer pixels a side; times the light."
    )
    caption = "Accuracy on test pictures that were made worse."
    table = html_table(head, [rows[:1], rows[1:]])
    return show_table(results, "tbl-robustness", table, caption, note, may_break=True)


def robustness_classes_table(results: Results) -> Shown:
    """Recall of each class under each change at its most severe; empty where nothing was measured."""
    if not results.robustness:
        return Shown("")
    severest = [_at_severest(table).set_index(["kind", "label"]) for table in results.robustness.values()]
    groups = []
    for kind in dict.fromkeys(severest[0].index.get_level_values("kind")):
        rows = []
        for name in results.class_names:
            found = [table.loc[(kind, name)] for table in severest]
            shown = [rate(row["correct"] / row["count"], 4) if row["count"] else MISSING for row in found]
            rows.append([safe(kind), safe(name), *shown])
        groups.append(rows)
    head = ("Pictures", "Class", *(safe_model(results, model) for model in results.robustness))
    caption = "Recall of each class on test pictures made worse, each change at its most severe."
    table = html_table(head, groups, words=(0, 1))
    return show_table(results, "tbl-robustness-classes", table, caption, may_break=True)


def _at_severest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last amount of each kind; amounts are listed from slight to severe."""
    last = table.groupby("kind", sort=False)["amount"].transform("last")
    return table[table["amount"] == last]


def _severest(table: pd.DataFrame) -> pd.Series:
    """Accuracy by kind at its most severe."""
    sums = _sum(_at_severest(table), ["kind"])
    return sums["correct"] / sums["count"]


def _sum(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return table.groupby(by, sort=False)[["count", "correct"]].sum()
