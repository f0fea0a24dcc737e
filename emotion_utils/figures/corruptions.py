"""Figures of robustness to corruptions: accuracy by kind and severity."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from emotion_utils.artefacts import CLEAN
from emotion_utils.evaluation.statistics import wilson_interval
from emotion_utils.figures.style import MUTED, figure_style

PANEL_IN = (2.5, 2.3)
# The severities of evaluation.corruptions with their units.
SEVERITIES = {
    "blur": "{:g} of the side", "noise": "{:g} of the range", "JPEG": "quality {:g}",
    "low resolution": "{:g} times coarser", "dark": "{:g} of the brightness", "eyes covered": "{:g} rectangle",
    "mouth covered": "{:g} rectangle",
}  # fmt: skip


def name_condition(kind: str, amount: float) -> tuple[str, str | None]:
    """The `kind` and `amount` of robustness.csv as a table shows them: (`blur`, `0.02 of the side`)."""
    return ("clean", None) if kind == CLEAN else (kind, SEVERITIES.get(kind, "{:g}").format(amount))


def sum_classes(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """`count` and `correct` of all classes together, by columns of robustness.csv."""
    return table.groupby(by, sort=False)[["count", "correct"]].sum()


def plot_corruptions(table: pd.DataFrame, title: str, color: str) -> Figure:
    """One model's rows of robustness.csv: accuracy to the right, a row for each corruption."""
    sums = sum_classes(table, ["kind", "amount"])
    shares = sums["correct"] / sums["count"]
    kinds = [kind for kind in dict.fromkeys(table["kind"]) if kind != CLEAN]
    with figure_style():
        figure, axes = plt.subplots(figsize=PANEL_IN, layout="constrained")
        axes.axvline(shares[CLEAN].iloc[0], color=MUTED, linewidth=0.9)
        for place, kind in enumerate(kinds):
            steps = shares[kind].to_numpy()
            alphas = [0.3 + 0.7 * (step + 1) / len(steps) for step in range(len(steps))]
            low, high = wilson_interval(*(int(sums.loc[kind].iloc[-1][name]) for name in ("correct", "count")))
            axes.hlines(place, low, high, color=color, linewidth=1.8, alpha=0.45)
            axes.scatter(steps, [place] * len(steps), s=22, color=color, alpha=alphas, linewidths=0, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(len(kinds) - 0.5, -0.5), xlabel="accuracy")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks(range(len(kinds)), kinds)
        axes.grid(axis="x")
        figure.suptitle(title, x=0.02, ha="left", fontsize=8.5, fontweight="bold")  # over the names of the rows too
    plt.close(figure)
    return figure
