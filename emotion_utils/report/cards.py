"""Pictures with text: a card per face with what each model said of it, and the average face of each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion_utils.report.style import figure_style, model_color
from emotion_utils.run import Run, replacing

if TYPE_CHECKING:
    from emotion_utils.data.loader import Dataset

CARDS_PER_ROW = 2


def plot_cards(
    dataset: Dataset, predictions: Mapping[str, pd.DataFrame], ids: list[str], titles: Mapping[str, str]
) -> Figure | None:
    """A card per face: the picture, its label, and for each model the probability of each class as bars.

    `titles` are the models' names as shown. None where there is no such face.
    """
    if not ids:
        return None
    by_id = {model: table.set_index("id") for model, table in predictions.items()}
    place = {identity: number for number, identity in enumerate(dataset.ids)}
    rows = -(-len(ids) // CARDS_PER_ROW)
    with figure_style():
        height = 0.5 + 0.14 * len(dataset.class_names) * len(predictions)
        figure = plt.figure(figsize=(7.4, max(1.7, height) * rows), layout="constrained")
        for cell, identity in zip(figure.subfigures(rows, CARDS_PER_ROW, squeeze=False).flat, ids, strict=False):
            picture, bars = cell.subplots(1, 2, width_ratios=[1, 1.15])
            image = dataset.batch(np.array([place[identity]])).images[0].permute(1, 2, 0).numpy()
            picture.imshow(image, interpolation="nearest")
            picture.set_axis_off()
            said = {model: table.loc[identity] for model, table in by_id.items()}
            picture.set_title(next(iter(said.values()))["label"], fontsize=9, fontweight="bold", loc="left")
            _draw_probabilities(bars, said, dataset.class_names, titles)
    plt.close(figure)
    return figure


def _draw_probabilities(
    axes: Axes, said: dict[str, pd.Series], class_names: tuple[str, ...], titles: Mapping[str, str]
) -> None:
    """Bars per class and model under the model's word; the bar of the label is outlined."""
    y = 0.0
    ticks, names = [], []
    for model, row in said.items():
        probs = row[list(class_names)].astype(float).to_numpy()
        places = y + np.arange(len(class_names))
        edges = ["black" if name == row["label"] else "none" for name in class_names]
        axes.barh(places, probs, height=0.8, color=model_color(model), edgecolor=edges, linewidth=0.9)
        for where, prob, name in zip(places, probs, class_names, strict=True):
            axes.text(1.02, where, f"{100 * prob:.0f} %", va="center", fontsize=6.5)
            names.append(name)
        ticks += list(places)
        right = row["predicted"] == row["label"]
        axes.text(
            0, y - 0.62, f"{titles[model]}: {row['predicted']}{'' if right else ', wrong'}", fontsize=6.5, va="bottom"
        )
        y += len(class_names) + 1.4
    axes.set(xlim=(0, 1.2), ylim=(y - 1.2, -1.5), xticks=[])
    axes.set_yticks(ticks, names, fontsize=6.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def plot_average_faces(dataset: Dataset) -> Figure:
    """The mean picture of each class, and below it how its brightness differs from the mean of all classes."""
    means = []
    for label in range(len(dataset.class_names)):
        places = np.flatnonzero(dataset.labels.numpy() == label)
        means.append(_mean_image(dataset, places))
    differences = [(mean - np.mean(means, axis=0)).mean(axis=2) for mean in means]
    limit = max(np.abs(difference).max() for difference in differences)
    with figure_style():
        size = (1.25 * len(means) + 0.6, 2.9)
        figure, grid = plt.subplots(2, len(means), figsize=size, squeeze=False, layout="constrained")
        for axes in grid.flat:
            axes.set_axis_off()
        for column, name in enumerate(dataset.class_names):
            grid[0, column].imshow(means[column] / 255)
            grid[0, column].set_title(name, fontsize=9)
            shown = grid[1, column].imshow(differences[column], cmap="RdBu_r", vmin=-limit, vmax=limit)
        bar = figure.colorbar(shown, ax=grid[1, :], shrink=0.8, pad=0.02)
        bar.set_label("brightness, of 255", fontsize=7)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    plt.close(figure)
    return figure


def _mean_image(dataset: Dataset, places: np.ndarray) -> np.ndarray:
    """float64 (H, W, 3), 0-255; summed in chunks so that memory does not grow with the data."""
    chunks = np.array_split(places, max(1, len(places) // 256))
    total = sum(dataset.batch(chunk).images.double().sum(dim=0) for chunk in chunks)
    return (total / len(places)).permute(1, 2, 0).numpy()


def save_figure(run: Run, figure: Figure | None, name: str) -> Figure | None:
    """Writes `figures/<name>.png` for the report, and hands the figure on so that a notebook shows it."""
    if figure is not None:
        path: Path = run.figures_dir / f"{name}.png"
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None})
    return figure
