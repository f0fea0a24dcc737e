"""Figures on what probabilities are worth: reliability of each model, and risk over coverage of all."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from emotion_utils.evaluation.calibration import Caution
from emotion_utils.evaluation.metrics import LEVEL
from emotion_utils.figures.style import (
    INK,
    MUTED,
    figure_style,
    figure_svg,
    model_colors,
    model_markers,
    spread_labels,
)  # fmt: skip
from emotion_utils.report.exhibits import Shown, show_figure
from emotion_utils.report.results import Results

SIDE_IN = 2.3
RISK_IN = (5.6, 2.7)  # width and least height
WIDTH_PX = 250


def reliability_figure(results: Results) -> Shown:
    """Accuracy over confidence of each model, a panel each."""
    panels, colors = [], model_colors(results.models)
    for number, model in enumerate(results.models):
        found, label = results.calibrations[model], results.label(model)
        read = "; ".join(
            f"at {row.confidence:.2f} right in {row.accuracy:.2f} of {row.count}" for row in found.bins.itertuples()
        )
        figure = plot_reliability(found.bins, found.bins_after, label, colors[model])
        panels.append(figure_svg(figure, f"reliability-{number}", f"Reliability of {label}: {read}."))
    caption = (
        "How often answers are right, by the probability that they were given with; on the diagonal the two agree. "
        f"Dots with {LEVEL:.0%} intervals show the probabilities as they are, crosses those at the fitted temperature."
    )
    return show_figure(results, "fig-reliability", panels, caption, columns=3, width_px=WIDTH_PX)


def risk_figure(results: Results) -> Shown:
    """Share of wrong answers over the share of images that are answered."""
    labels = {model: results.label(model) for model in results.models}
    ends = "; ".join(
        f"{labels[model]} {found.risk[-1]:.3f} of all, {found.risk[len(found.risk) // 2]:.3f} of the surer half"
        for model, found in results.cautions.items()
    )
    svg = figure_svg(plot_risk(results.cautions, labels), "risk", f"Lines of the share of wrong answers: {ends}.")
    caption = "Share of wrong answers among the surest ones, by how many of the test images are answered."
    return show_figure(results, "fig-risk", [svg], caption, columns=1, width_px=560)


def plot_reliability(before: pd.DataFrame, after: pd.DataFrame, title: str, color: str) -> Figure:
    """`before` and `after` as from `calibration.reliability`."""
    with figure_style():
        figure, axes = plt.subplots(figsize=(SIDE_IN, SIDE_IN), layout="constrained")
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7, linestyle=(0, (2, 2)))
        axes.vlines(before["confidence"], before["low"], before["high"], color=color, linewidth=1.8, alpha=0.45)
        axes.plot(before["confidence"], before["accuracy"], "o", color=color, markersize=4.5, clip_on=False)
        axes.plot(after["confidence"], after["accuracy"], "x", color=INK, markersize=4, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability given", ylabel="share right", aspect="equal")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_title(title, fontsize=8.5)
    plt.close(figure)
    return figure


def plot_risk(cautions: Mapping[str, Caution], labels: Mapping[str, str]) -> Figure:
    """The risk-coverage curve of each model, its threshold marked, its name at the right end."""
    colors, markers = model_colors(cautions), model_markers(cautions)
    with figure_style():
        height = max(RISK_IN[1], 0.2 * len(cautions) + 1)
        figure, axes = plt.subplots(figsize=(RISK_IN[0], height), layout="constrained")
        for model, found in cautions.items():
            axes.plot(found.coverage, found.risk, color=colors[model])
            if found.answered:
                place = found.answered - 1
                axes.plot(found.coverage[place], found.risk[place], markers[model], color=colors[model], markersize=6)
        top = max(float(found.risk.max()) for found in cautions.values())
        axes.set(xlim=(0, 1), ylim=(0, max(1.05 * top, 0.05)), xlabel="share answered", ylabel="share wrong")
        axes.set_title("Risk over coverage")
        axes.grid(axis="y")
        high = axes.get_ylim()[1]
        heights = [found.risk[-1] / high for found in cautions.values()]
        for model, place in zip(cautions, spread_labels(heights, 0.075, 0.0, 1.0), strict=True):
            axes.annotate(
                labels[model], (1.03, place), xycoords="axes fraction", color=colors[model], fontsize=8, va="center",
                annotation_clip=False,
            )  # fmt: skip
    plt.close(figure)
    return figure
