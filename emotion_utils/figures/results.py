"""Figures about models, in the report's style: curves, confusion matrices, metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from emotion_utils.figures.style import (
    INK,
    MUTED,
    PAPER,
    RULE,
    SHADE,
    figure_style,
    model_colors,
    model_markers,
    shorten,
    spread_labels,
)  # fmt: skip
from emotion_utils.history import best_epoch

PANEL_IN = (3.6, 2.75)  # width and height of a panel: two stand side by side on a page, one on a phone
DASHES = (0, (2, 1.6))  # of a training curve
CURVES = {"loss": ("Loss", "train_loss", "val_loss"), "acc": ("Accuracy", "train_acc", "val_acc")}


# -- curves ----------------------------------------------------------------------------------------


def plot_curves(
    histories: Mapping[str, pd.DataFrame], labels: Mapping[str, str], kinds: Sequence[str] = tuple(CURVES)
) -> Figure:
    """A panel by epoch for each of `kinds` (loss, acc): training dashed, validation solid, the best epoch ringed.

    `labels` are the models' names as shown.
    """
    width, height = PANEL_IN
    with figure_style():
        figure, panels = plt.subplots(
            1, len(kinds), figsize=(len(kinds) * width, max(height, 0.2 * len(histories) + 1.2)), squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for axes, kind in zip(panels.flat, kinds, strict=True):
            _draw_curves(axes, histories, kind, labels)
        marks = [
            Line2D([], [], color=INK, marker="o", label="validation"),
            Line2D([], [], color=INK, linewidth=1, linestyle=DASHES, label="training"),
            Line2D([], [], color=INK, linestyle="", marker="o", markersize=9, mfc="none", label="best epoch"),
        ]
        figure.legend(handles=marks, loc="outside lower left", ncols=3)
    plt.close(figure)
    return figure


def read_places(
    figure: Figure, histories: Mapping[str, pd.DataFrame], kind: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Where the points of a drawn figure of `plot_curves` with one panel lie, in points (1/72 inch) from the top left.

    `epochs` and their `x`; `top` and `bottom` of the axes; and `series`: name, color, values and `y` of val and train.
    What is not finite is None.
    """
    axes, (width, height) = figure.axes[0], figure.get_size_inches() * 72
    box, (left, right), (low, high) = axes.get_position(), axes.get_xlim(), axes.get_ylim()
    _, train, val = CURVES[kind]
    colors = model_colors(histories)

    def down(value: float) -> float | None:
        share = (value - low) / (high - low)
        return round(height * (1 - box.y0 - box.height * share), 1) if math.isfinite(value) else None

    series = []
    for model, history in histories.items():
        figures = {"name": labels[model], "color": colors[model]}
        for part, column in (("val", val), ("train", train)):
            values = history[column].tolist()
            figures[part] = [round(value, 4) if math.isfinite(value) else None for value in values]
            figures[f"{part}_y"] = [down(value) for value in values]
        series.append(figures)
    epochs = list(range(1, max(len(history) for history in histories.values()) + 1))
    x = [round(width * (box.x0 + box.width * (epoch - left) / (right - left)), 1) for epoch in epochs]
    return {"epochs": epochs, "x": x, "top": down(high), "bottom": down(low), "series": series}


def _draw_curves(axes: Axes, histories: Mapping[str, pd.DataFrame], kind: str, labels: Mapping[str, str]) -> None:
    title, train, val = CURVES[kind]
    colors, markers = model_colors(histories), model_markers(histories)
    longest = max(len(history) for history in histories.values())
    for model, history in histories.items():
        look = {"color": colors[model], "marker": markers[model]}
        axes.plot(history["epoch"], history[train], linestyle=DASHES, linewidth=1, alpha=0.75, color=colors[model])
        axes.plot(history["epoch"], history[val], **look, markevery=1 if longest <= 30 else longest // 10)
        best = history[history["epoch"] == best_epoch(history["val_acc"])]
        ring = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": colors[model], "clip_on": False}
        axes.plot(best["epoch"], best[val], "o", **ring)
    axes.set_title(f"{title} vs. epoch")
    axes.set_xlabel("epoch")
    axes.set_ylabel(title.lower())
    axes.grid(axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.spines["left"].set_visible(False)
    margin = 0.03 * longest if longest > 1 else 0.5
    axes.set_xlim(1 - margin, longest + margin)
    if kind == "acc":
        axes.set_ylim(top=1.015)
    _label_lines(axes, {model: history[["epoch", val]] for model, history in histories.items()}, labels, colors)


def _label_lines(
    axes: Axes, ends: Mapping[str, pd.DataFrame], labels: Mapping[str, str], colors: dict[str, str]
) -> None:
    """A model's name beside the end of its validation line, moved up or down where two would meet."""
    kept = {model: points[np.isfinite(points).all(axis=1)] for model, points in ends.items()}
    finite = {model: points.iloc[-1] for model, points in kept.items() if len(points)}
    low, high = axes.get_ylim()
    heights = [(point.iloc[1] - low) / (high - low) for point in finite.values()]
    for (model, point), height in zip(finite.items(), spread_labels(heights, 0.075, 0.0, 1.0), strict=True):
        axes.annotate(
            labels[model], xy=(point.iloc[0], point.iloc[1]), xytext=(1.03, height), textcoords="axes fraction",
            color=colors[model], fontsize=8, va="center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colors[model], "linewidth": 0.5, "relpos": (0, 0.5), "shrinkB": 4},
        )  # fmt: skip


# -- confusion matrices ----------------------------------------------------------------------------


def plot_matrix(counts: pd.DataFrame, title: str) -> Figure:
    """A confusion matrix: labels down, predictions across, shaded by the share of each label's images."""
    side = matrix_side_in(len(counts))
    with figure_style():
        figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
        _draw_matrix(axes, counts, title)
    plt.close(figure)
    return figure


def matrix_side_in(classes: int) -> float:
    return min(2.3, 1.5 + 0.27 * classes) if classes <= 4 else min(3.6, 1.2 + 0.3 * classes)


def _draw_matrix(axes: Axes, counts: pd.DataFrame, title: str) -> None:
    values = counts.to_numpy()
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    size, names = len(counts), [shorten(name) for name in counts.index]
    for row, column in np.ndindex(size, size):
        for color, alpha in ((RULE, 0.35), (SHADE, 0.55 * shares[row, column])):
            corner = (column - 0.48, row - 0.48)
            axes.add_patch(plt.Rectangle(corner, 0.96, 0.96, facecolor=color, alpha=alpha, linewidth=0))
        axes.text(
            column, row, f"{values[row, column]:d}", ha="center", va="center", fontsize=8.5 if size <= 5 else 7.5,
            color=INK if values[row, column] else MUTED, fontweight="bold" if row == column else "normal",
        )  # fmt: skip
    axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal", xlabel="predicted", ylabel="label")
    axes.set_xticks(
        range(size),
        names,
        rotation=0 if size <= 3 and max(map(len, names)) <= 8 else 45,
        ha="center" if size <= 3 else "right",
        rotation_mode="anchor",
    )
    axes.set_yticks(range(size), names)
    axes.tick_params(length=0, labelcolor=INK)
    axes.set_title(title, fontsize=8.5)
    axes.spines[:].set_visible(False)


# -- metrics ---------------------------------------------------------------------------------------


def plot_metric(
    values: Mapping[str, tuple[float, float, float]], title: str, labels: Mapping[str, str], chance: float | None = None
) -> Figure:
    """One metric of each model: value, and the low and high end of its interval (0-1), a row per model.

    A dashed line marks the `chance` level, where one is given.
    """
    colors, markers = model_colors(values), model_markers(values)
    with figure_style():
        figure, axes = plt.subplots(figsize=(PANEL_IN[0], 0.75 + 0.42 * len(values)), layout="constrained")
        if chance is not None:
            axes.axvline(chance, color=MUTED, linewidth=0.9, linestyle=DASHES)
        for place, (model, (value, low, high)) in enumerate(values.items()):
            axes.plot(
                [low, high], [place, place], color=colors[model], linewidth=2.4, alpha=0.45, solid_capstyle="round"
            )
            axes.plot(value, place, markers[model], color=colors[model], markersize=6, clip_on=False)
            over = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0} if chance is not None else None
            axes.text(0, place - 0.34, labels[model], color=colors[model], fontsize=8, va="center", bbox=over)
            axes.text(1.0, place - 0.34, f"{value:.4f}", color=INK, fontsize=8, va="center", ha="right")
        axes.set(xlim=(-0.01, 1.01), ylim=(len(values) - 0.6, -0.75), yticks=[], title=title)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
    plt.close(figure)
    return figure
