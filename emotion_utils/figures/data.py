"""Figures about the data: class balance, contact sheet, augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from emotion_utils.config import SPLITS
from emotion_utils.figures.style import MUTED, SPLIT_COLORS, figure_style

if TYPE_CHECKING:
    import torch

    from emotion_utils.store.batches import Dataset

# Of the counts on the bars, which are of one colour on light and dark pages.
ON_BARS = {"train": "#fdfdfd", "val": "#111418", "test": "#111418"}
CELL_IN = 0.85  # side of one image in a gallery, inches
COLUMNS = 9
LEAST_LABELLED = 0.05  # of the longest bar: a shorter part has no room for its count


def plot_class_balance(manifest: pd.DataFrame, class_names: tuple[str, ...]) -> Figure:
    """Bars of kept images per class, one shade per split, each with its count where there is room for it."""
    kept = manifest[manifest["status"] == "kept"]
    counts = pd.crosstab(kept["label"], kept["split"]).reindex(index=class_names, columns=SPLITS, fill_value=0)
    with figure_style():
        figure, axes = plt.subplots(figsize=(6.4, 0.5 + 0.42 * len(class_names)), layout="constrained")
        left, widest = np.zeros(len(counts)), counts.sum(axis=1).max()
        for split in SPLITS:
            bars = axes.barh(counts.index, counts[split], left=left, color=SPLIT_COLORS[split], label=split, height=0.7)
            numbers = [f"{count}" if count >= LEAST_LABELLED * widest else "" for count in counts[split]]
            axes.bar_label(bars, numbers, label_type="center", fontsize=8, color=ON_BARS[split])
            left += counts[split].to_numpy()
        axes.invert_yaxis()
        axes.set_xlabel("images")
        axes.legend(ncols=len(SPLITS), loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    plt.close(figure)
    return figure


def plot_contact_sheet(dataset: Dataset, *, seed: int) -> Figure:
    """Some images of each class (rows), drawn at random from `seed`."""
    rng = np.random.default_rng(seed)
    labels = dataset.labels.numpy()
    rows = []
    for label in range(len(dataset.class_names)):
        places = np.flatnonzero(labels == label)
        rows.append(np.sort(rng.choice(places, min(COLUMNS, len(places)), replace=False)))
    images = [list(dataset.batch(row).images.permute(0, 2, 3, 1).numpy()) for row in rows]
    return plot_gallery(images, row_titles=dataset.class_names)


def plot_augmentation(images: torch.Tensor, epochs: list[torch.Tensor]) -> Figure:
    """Each image as it is (first column), uint8 (B, 3, H, W), and as each epoch shows it, float (B, 3, H, W)."""
    columns = [images.float() / 255, *epochs]
    rows = [[column[row].permute(1, 2, 0).clamp(0, 1).numpy() for column in columns] for row in range(len(images))]
    titles = ["as it is", *[f"epoch {number}" for number in range(1, len(epochs) + 1)]]
    return plot_gallery(rows, column_titles=titles)


def plot_gallery(
    images: list[list[np.ndarray]],
    row_titles: tuple[str, ...] = (),
    column_titles: list[str] | None = None,
    captions: list[list[str]] | None = None,
) -> Figure:
    """Rows of images, each (H, W, 3), with a title before each row, above each column, or above each image."""
    width = max(len(row) for row in images)
    lines = 1 + max((text.count("\n") for row in captions or [] for text in row), default=-1)
    with figure_style():
        height = (CELL_IN + 0.15 * lines) * len(images) + (0.25 if column_titles else 0)
        size = (CELL_IN * width + (0.8 if row_titles else 0), height)
        figure, grid = plt.subplots(len(images), width, figsize=size, squeeze=False, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02 if captions else 0, hspace=0)
        for axes in grid.flat:
            axes.set_axis_off()
        for row, cells in zip(grid, images, strict=True):
            for axes, image in zip(row, cells, strict=False):
                axes.imshow(image, interpolation="nearest")
        for row, title in zip(grid, row_titles, strict=False):
            row[0].text(-0.12, 0.5, title, transform=row[0].transAxes, ha="right", va="center")
        for axes, title in zip(grid[0], column_titles or [], strict=False):
            axes.set_title(title, fontsize=8)
        for row, texts in zip(grid, captions or [], strict=False):
            for axes, text in zip(row, texts, strict=False):
                axes.set_title(text, fontsize=7, fontweight="normal", loc="center", pad=2, color=MUTED)
    plt.close(figure)
    return figure
