"""Figures of calibration: reliability of each model, and risk by coverage of all."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from emotion_utils.evaluation.calibration import SelectivePrediction
from emotion_utils.figures.style import (
    INK,
    MUTED,
    figure_style,
    model_colors,
    model_markers,
    spread_labels,
)  # fmt: skip

SIDE_IN = 2.3
RISK_IN = (4.2, 2.5)  # width and least height


def plot_reliability(before: pd.DataFrame, after: pd.DataFrame, title: str, color: str) -> Figure:
    """`before` and `after` as from `calibration.reliability`."""
    with figure_style():
        figure, axes = plt.subplots(figsize=(SIDE_IN, SIDE_IN), layout="constrained")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        axes.vlines(before["confidence"], before["low"], before["high"], color=color, linewidth=1.8, alpha=0.45)
        axes.plot(before["confidence"], before["accuracy"], "o", color=color, markersize=4.5, clip_on=False)
        axes.plot(after["confidence"], after["accuracy"], "x", color=INK, markersize=4, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", aspect="equal")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_title(title, fontsize=8.5)
    plt.close(figure)
    return figure


def plot_risk(selective: Mapping[str, SelectivePrediction], labels: Mapping[str, str]) -> Figure:
    """The risk-coverage curve of each model, its threshold marked, its name at the right end."""
    colors, markers = model_colors(selective), model_markers(selective)
    with figure_style():
        height = max(RISK_IN[1], 0.2 * len(selective) + 1)
        figure, axes = plt.subplots(figsize=(RISK_IN[0], height), layout="constrained")
        for model, found in selective.items():
            axes.plot(found.coverage, found.risk, color=colors[model])
            if found.answered:
                place = found.answered - 1
                axes.plot(found.coverage[place], found.risk[place], markers[model], color=colors[model], markersize=6)
        top = max(float(found.risk.max()) for found in selective.values())
        axes.set(xlim=(0, 1), ylim=(0, max(1.05 * top, 0.05)), xlabel="coverage", ylabel="risk")
        axes.set_title("Risk by coverage")
        axes.grid(axis="y")
        high = axes.get_ylim()[1]
        heights = [found.risk[-1] / high for found in selective.values()]
        for model, place in zip(selective, spread_labels(heights, 0.075, 0.0, 1.0), strict=True):
            axes.annotate(
                labels[model], (1.03, place), xycoords="axes fraction", color=colors[model], fontsize=8, va="center",
                annotation_clip=False,
            )  # fmt: skip
    plt.close(figure)
    return figure
