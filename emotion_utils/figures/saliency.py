"""Figures of what models look at: shares of saliency, resemblance to random networks, recall of covered faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from emotion_utils.evaluation.occlusion import DEPENDS
from emotion_utils.evaluation.statistics import ALPHA, wilson_interval
from emotion_utils.figures.style import (
    INK,
    MUTED,
    RULE,
    figure_style,
    model_colors,
    model_markers,
    shorten,
    spread_labels,
)

WIDTH_IN = 4.2  # of a figure by itself: still readable on a phone
ROW_IN = 0.125  # of one model within a group of rows
NOTHING = "nothing"  # covered


def plot_shares(shares: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """The mean share of each model's saliency per region (groups of rows) with its interval.

    A grey bar is as long as the share of the image that the region covers: what an evenly spread map would have.
    """
    models, regions = list(dict.fromkeys(shares["model"])), list(dict.fromkeys(shares["region"]))
    colors, markers = model_colors(models), model_markers(models)
    with figure_style():
        figure, axes = plt.subplots(figsize=(WIDTH_IN, _height(len(models), len(regions))), layout="constrained")
        for place, region in enumerate(regions):
            rows = shares[shares["region"] == region].set_index("model")
            axes.barh(place, rows["area"].iloc[0], height=0.82, color=RULE, alpha=0.7, linewidth=0)
            for y, model in zip(_dodge(place, len(models)), models, strict=True):
                row = rows.loc[model]
                axes.plot([row["low"], row["high"]], [y, y], color=colors[model], linewidth=2.2, alpha=0.45)
                axes.plot(row["share"], y, markers[model], color=colors[model], markersize=4.5)
                if place == 0:
                    axes.annotate(
                        labels[model], (max(row["high"], row["area"]), y), xytext=(6, 0), textcoords="offset points",
                        va="center", fontsize=8, color=colors[model],
                    )  # fmt: skip
        _finish_rows(axes, regions)
        axes.set_xlim(left=0)
        axes.set_xlabel("share of the saliency")
    plt.close(figure)
    return figure


def plot_resemblance(table: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """How much saliency resembles that of ever more random networks: a line per model, its interval shaded."""
    models = list(dict.fromkeys(table["model"]))
    colors, markers = model_colors(models), model_markers(models)
    with figure_style():
        figure, axes = plt.subplots(figsize=(WIDTH_IN, 2.5), layout="constrained")
        ends = {}
        for model in models:
            rows = table[table["model"] == model]
            steps, values = [0, *rows["step"]], [1.0, *rows["correlation"]]
            axes.fill_between(rows["step"], rows["low"], rows["high"], color=colors[model], alpha=0.15, linewidth=0)
            axes.plot(steps, values, markers[model] + "-", color=colors[model])
            ends[model] = values[-1]
        last = int(table["step"].max())
        axes.axhline(0, color=MUTED, linewidth=0.6)
        axes.axhline(DEPENDS, color=MUTED, linewidth=0.6, linestyle=(0, (2, 2)))
        axes.set(xlim=(-0.15, last + 0.15), ylim=(min(-0.25, table["low"].min() - 0.05), 1.05))
        axes.set_xticks(range(last + 1))
        axes.set_xlabel("groups of layers randomised, from the output on")
        axes.set_ylabel("rank correlation")
        axes.grid(axis="y")
        axes.spines["left"].set_visible(False)
        _name_ends(axes, ends, labels, colors)
    plt.close(figure)
    return figure


def plot_covered(compared: pd.DataFrame, label: str, labels: Mapping[str, str]) -> Figure:
    """How much of class `label` each model still finds when a region is covered (groups of rows), with intervals.

    A mark is filled where the change is beyond chance (McNemar, adjusted by Holm over all classes, models and regions).
    """
    rows = compared[compared["label"] == label]
    models, regions = list(dict.fromkeys(rows["model"])), list(dict.fromkeys(rows["region"]))
    colors, markers = model_colors(models), model_markers(models)
    with figure_style():
        figure, axes = plt.subplots(figsize=(3.6, _height(len(models), 1 + len(regions))), layout="constrained")
        for number, model in enumerate(models):
            table = rows[rows["model"] == model].set_index("region")
            count, before = int(table["count"].iloc[0]), int(table["before"].iloc[0])
            look = {"color": colors[model], "marker": markers[model]}
            y = _dodge(0, len(models))[number]
            _draw_rate(axes, before, count, y, filled=False, **look)  # what the others are compared with
            axes.text(
                1.03, y, labels[model], transform=axes.get_yaxis_transform(), va="center", fontsize=8,
                color=colors[model],
            )  # fmt: skip
            for place, region in enumerate(regions, start=1):
                row, y = table.loc[region], _dodge(place, len(models))[number]
                _draw_rate(axes, int(row["after"]), count, y, filled=row["p_holm"] <= ALPHA, **look)
        _finish_rows(axes, [NOTHING, *regions])
        axes.axhline(0.5, color=RULE, linewidth=0.8)
        axes.set(xlim=(-0.02, 1.02), title=shorten(label))
        axes.set_xlabel("recall with this region covered")
    plt.close(figure)
    return figure


def _draw_rate(axes: Axes, hits: int, count: int, y: float, *, filled: bool, color: str, marker: str) -> None:
    """A rate with its interval."""
    low, high = wilson_interval(hits, count)
    axes.plot([low, high], [y, y], color=color, linewidth=2.2, alpha=0.4)
    face = {"markerfacecolor": color if filled else "white", "markeredgecolor": color}
    axes.plot(hits / count, y, marker, markersize=4.5, clip_on=False, **face)


def _dodge(place: int, models: int) -> np.ndarray:
    """The rows of the models of one group, a unit high."""
    return place + (np.arange(models) - (models - 1) / 2) * 0.8 / max(models, 1)


def _height(models: int, groups: int) -> float:
    return 0.7 + groups * max(0.3, ROW_IN * models / 0.8)


def _finish_rows(axes: Axes, groups: Sequence[str]) -> None:
    axes.set_yticks(range(len(groups)), groups)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _name_ends(axes: Axes, ends: Mapping[str, float], labels: Mapping[str, str], colors: Mapping[str, str]) -> None:
    low, high = axes.get_ylim()
    heights = spread_labels([(value - low) / (high - low) for value in ends.values()], 0.075, 0.0, 1.0)
    for model, height in zip(ends, heights, strict=True):
        axes.annotate(
            labels[model], (1.0, (ends[model] - low) / (high - low)), xycoords="axes fraction", xytext=(1.03, height),
            textcoords="axes fraction", va="center", fontsize=8, color=colors[model], annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colors[model], "linewidth": 0.5, "relpos": (0, 0.5), "shrinkB": 4},
        )  # fmt: skip
