"""Robustness to corruptions: accuracy on corrupted test images, from robustness.csv. No torch."""

from __future__ import annotations

import pandas as pd

from emotion_utils.artefacts import CLEAN
from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.figures.corruptions import name_condition, plot_corruptions, sum_classes
from emotion_utils.figures.style import figure_svg, model_colors
from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Estimate, frame_of

WIDTH_PX = 270


def write_corruptions(results: Results) -> Prose:
    """Which corruption costs each model most accuracy, and which least."""
    prose = Prose(results, "robustness")
    if not results.robustness:
        prose.say("Robustness to corruptions was not measured in this run.")
        return prose
    first = next(iter(results.robustness.values()))
    images = int(first.loc[first["kind"] == CLEAN, "count"].sum())
    prose.say(
        "{figure} and {table} give the accuracies on {images:count} test images, clean and under corruptions of "
        "increasing severity.",
        figure=Ref("fig-corruptions"), table=Ref("tbl-robustness"), images=images,
    )  # fmt: skip
    severities = first[first["kind"] != CLEAN].groupby("kind", sort=False)["amount"].nunique()
    if 1 in set(severities):
        prose.say("Of {kinds} there is one severity.", kinds=list(severities.index[severities == 1]))
    prose.say(
        "Findings are on each corruption at its highest severity. As the correct images are counted and not named, "
        "accuracies are compared by their intervals and not by a paired test, which as a rule shows smaller losses."
    )
    for model, table in results.robustness.items():
        prose.item()
        counts = sum_at_highest_severity(table)
        _say_robustness(prose, model, counts)
        _say_lower_severities(prose, table, counts)
        _say_chance(prose, counts)
    return prose


def _say_robustness(prose: Prose, model: str, counts: pd.DataFrame) -> None:
    rates = counts["correct"] / counts["count"]
    worst, best = rates.idxmin(), rates.drop(CLEAN).idxmax()
    if rates[worst] >= rates[CLEAN]:
        prose.say(
            "At the highest severity no corruption costs {model} accuracy.",
            model=Model(model), metric="accuracy", comparison="robustness",
        )  # fmt: skip
        return
    figures = {"worst": worst, "low": float(rates[worst]), "clean": float(rates[CLEAN])}
    figures |= {"model": Model(model), "metric": "accuracy", "comparison": "robustness"}
    if _interval(counts, worst)[1] >= _interval(counts, CLEAN)[0]:
        prose.say(
            "At the highest severity no corruption is shown to cost {model} accuracy: the lowest is {low:pct}, with "
            "{worst}, against {clean:pct} on the same clean images, and the intervals overlap.", **figures,
        )  # fmt: skip
        return
    others = [kind for kind in counts.index if kind != CLEAN]
    highs, lows = ({kind: _interval(counts, kind)[end] for kind in others} for end in (1, 0))
    most = all(highs[worst] < lows[kind] for kind in others if kind != worst)
    least = len(others) > 1 and all(lows[best] > highs[kind] for kind in others if kind != best)
    if most:
        template = (
            "The corruption {worst} costs {model} most accuracy: {low:pct} at the highest severity, against "
            "{clean:pct} on the same clean images"
        )
    else:
        template = (
            "Corruptions cost {model} accuracy: it is between {low:pct} and {high:pct} at the highest severity, "
            "against {clean:pct} on the same clean images; which costs most is not shown, as intervals overlap"
        )
    least_said = ("; {best} costs least" + (" ({high:pct})" if most else "")) if least else ""
    prose.say(f"{template}{least_said}.", best=best, high=float(rates[best]), **figures)


def _say_lower_severities(prose: Prose, table: pd.DataFrame, highest: pd.DataFrame) -> None:
    """The lowest accuracy of all severities, where that is below all those at the highest one."""
    sums = sum_classes(table, ["kind", "amount"])
    rates, least = sums["correct"] / sums["count"], (highest["correct"] / highest["count"]).min()
    if rates.min() >= least:
        return
    kind, amount = rates.idxmin()
    severity = name_condition(kind, amount)[1]
    prose.say(
        "At a lower severity its accuracy is {low:pct} ({kind}, {severity}).", low=float(rates.min()), kind=kind,
        severity=severity, amount=float(amount), metric="accuracy", comparison="robustness",
    )  # fmt: skip


def _say_chance(prose: Prose, counts: pd.DataFrame) -> None:
    """Under which corruptions the accuracy may be that of guessing, where it is not so on clean images."""
    chance = 1 / len(prose.results.class_names)
    reaches = {kind: _interval(counts, kind)[0] <= chance for kind in counts.index}
    kinds = [kind for kind, reached in reaches.items() if reached]
    if kinds and not reaches[CLEAN]:
        prose.say(
            "Under {kinds} it is then not shown to exceed the chance level of {chance:pct}.",
            kinds=kinds, chance=chance, metric="accuracy", comparison="chance",
        )  # fmt: skip


def corruptions_figure(results: Results) -> Shown:
    """Accuracy of each model under each corruption by severity, a panel each; empty where nothing was measured."""
    if not results.robustness:
        return Shown()
    panels, colors = [], model_colors(results.models)
    for number, (model, table) in enumerate(results.robustness.items()):
        label = results.label(model)
        counts = sum_at_highest_severity(table)
        rates = (counts["correct"] / counts["count"]).rename({CLEAN: "clean"})
        read = "; ".join(f"{kind} {rate:.2f}" for kind, rate in rates.items())
        alt = f"Accuracy of {label}, each corruption at its highest severity: {read}."
        panels.append(figure_svg(plot_corruptions(table, label, colors[model]), f"corruptions-{number}", alt))
    caption = (
        "Accuracy on corrupted test images: a row for each corruption, a dot for each severity, from low (faint) to "
        f"high (full, with its {LEVEL:.0%} interval). The line marks the accuracy on clean images."
    )
    return show_figure(results, "fig-corruptions", panels, caption, columns=3, width_px=WIDTH_PX)


def corruptions_table(results: Results) -> Shown:
    """Accuracy of each model by corruption and severity; empty where nothing was measured."""
    if not results.robustness:
        return Shown()
    sums = [sum_classes(table, ["kind", "amount"]) for table in results.robustness.values()]
    rows = []
    for kind, amount in sums[0].index:
        counts = [table.loc[(kind, amount)].astype(int) for table in sums]
        rates = [Estimate(c["correct"] / c["count"], *wilson_interval(c["correct"], c["count"])) for c in counts]
        rows.append([*name_condition(kind, amount), *rates])
    frame = frame_of(rows, ["Corruption", "Severity", *map(Model, results.robustness)])
    note = (
        f"In brackets: Wilson's {LEVEL:.0%} intervals. Blur and noise: standard deviation, as a share of the image's "
        "side and of the range of its values."
    )
    return show_table(
        results, "tbl-robustness", frame, "Accuracy on corrupted test images.", note, may_break=True,
        groups=frame["Corruption"], merge=("Corruption",),
    )  # fmt: skip


def corrupted_classes_table(results: Results) -> Shown:
    """Recall of each class under each corruption at its highest severity; empty where nothing was measured."""
    if not results.robustness:
        return Shown()
    tables = [_at_highest_severity(table).set_index(["kind", "label"]) for table in results.robustness.values()]
    rows = []
    for kind in dict.fromkeys(tables[0].index.get_level_values("kind")):
        for name in results.class_names:
            counts = [table.loc[(kind, name)] for table in tables]
            rates = [each["correct"] / each["count"] if each["count"] else None for each in counts]
            rows.append([name_condition(kind, 1)[0], name, *rates])
    frame = frame_of(rows, ["Corruption", "Class", *map(Model, results.robustness)])
    return show_table(
        results, "tbl-robustness-classes", frame,
        "Recall of each class on corrupted test images, each corruption at its highest severity.", may_break=True,
        decimals=4, groups=frame["Corruption"], merge=("Corruption",),
    )  # fmt: skip


def sum_at_highest_severity(table: pd.DataFrame) -> pd.DataFrame:
    """`count` and `correct` of all classes together by kind at its highest severity."""
    return sum_classes(_at_highest_severity(table), ["kind"])


def _at_highest_severity(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last amount of each kind; amounts are listed from the lowest severity to the highest."""
    last = table.groupby("kind", sort=False)["amount"].transform("last")
    return table[table["amount"] == last]


def _interval(counts: pd.DataFrame, kind: str) -> tuple[float, float]:
    return wilson_interval(int(counts.loc[kind, "correct"]), int(counts.loc[kind, "count"]))
