"""Figures of a video: smoothed probabilities over time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from emotion_utils.evaluation.video import SMOOTHED
from emotion_utils.figures.style import INK, MODEL_COLORS, figure_style

PANEL_IN = (6.2, 1.1)


def plot_timeline(faces: pd.DataFrame, truth: pd.DataFrame, class_names: Sequence[str]) -> Figure:
    """A band for each class over time, of each track in `faces`; above it what the person nearest to it shows."""
    tracks = [(number, rows) for number, rows in faces[faces["track"].notna()].groupby("track")]
    with figure_style():
        figure, panels = plt.subplots(
            max(1, len(tracks)), sharex=True, squeeze=False, layout="constrained",
            figsize=(PANEL_IN[0], 0.5 + PANEL_IN[1] * max(1, len(tracks))),
        )  # fmt: skip
        colors = [color for color, _ in MODEL_COLORS][: len(class_names)]
        for axes, (number, rows) in zip(panels[:, 0], tracks, strict=False):
            values = rows[[SMOOTHED + name for name in class_names]].to_numpy().T
            axes.stackplot(rows["time_s"], values, colors=colors, alpha=0.75, labels=class_names)
            for start, label in _changes(truth, rows):
                axes.axvline(start, color=INK, linewidth=0.8)
                axes.text(start, 1.03, f" {label}", fontsize=8, va="bottom")
            axes.set(ylim=(0, 1), yticks=[0, 1], ylabel=f"track {int(number)}", xlim=(0, truth["time_s"].max()))
        panels[-1, 0].set_xlabel("seconds")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(class_names))
    plt.close(figure)
    return figure


def _changes(truth: pd.DataFrame, track: pd.DataFrame) -> list[tuple[float, str]]:
    """When the person nearest to a track begins to show which expression."""
    middle = (track["left"] + track["width"] / 2).mean()
    across = (truth["left"] + truth["width"] / 2).groupby(truth["person"]).mean()
    rows = truth[truth["person"] == (across - middle).abs().idxmin()]
    begins = rows[rows["label"] != rows["label"].shift()]
    return list(zip(begins["time_s"], begins["label"], strict=True))
