"""Images with text: examples with what each model predicts for a face and where it looks, and the average faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from emotion_utils.evaluation.examples import CONFIDENCE
from emotion_utils.figures.style import INK, MUTED, RULE, figure_style, model_colors, shorten
from emotion_utils.files import replacing
from emotion_utils.run import Run

if TYPE_CHECKING:
    from emotion_utils.evaluation.regions import RegionBox
    from emotion_utils.store.batches import Dataset

FACE_IN = 0.9  # side of a face in an example
TITLE_IN, GAP_IN = 0.19, 0.1  # height of the words above a face; space between examples
BARS_IN, PERCENT_IN = 0.48, 0.38  # widths right of it and of the names
NAME_PT = 7  # size of the letters of the names
BAR_IN = (0.125, 0.22)  # height of one, where there are many and where there are few
HEAT = "inferno"


def say_confidence(prob: float) -> str:
    """A probability (0-1) as a word."""
    return next(word for least, word in CONFIDENCE if prob >= least)


def plot_examples(
    images: np.ndarray,
    predictions: Mapping[str, pd.DataFrame],
    saliency: Mapping[str, np.ndarray],
    class_names: Sequence[str],
    titles: Mapping[str, str],
) -> Figure | None:
    """A row per face, uint8 (n, H, W, 3): its label, and for each model its prediction, probabilities and saliency.

    `predictions` has a row per face and model: `label` (empty where it is not known), `predicted`, a probability per
    class. `saliency` are maps (n, H, W), 0-1, of each model for its answer; `titles` the models' names as shown. None
    where there is no face.
    """
    if not len(images):
        return None
    names, colors = [shorten(name) for name in class_names], model_colors(predictions)
    bar_in = min(max(FACE_IN / len(names), BAR_IN[0]), BAR_IN[1])
    names_in = _measure_widest(names) + GAP_IN
    column_in = FACE_IN + names_in + BARS_IN + PERCENT_IN
    row_in = TITLE_IN + max(FACE_IN, bar_in * len(names)) + GAP_IN
    width, height = FACE_IN + 2 * GAP_IN + column_in * len(predictions), TITLE_IN + row_in * len(images)
    with figure_style():
        figure = plt.figure(figsize=(width, height))

        def place(left: float, top: float, across: float, down: float) -> Axes:
            """Axes at a place in inches from the top left."""
            return figure.add_axes((left / width, 1 - (top + down) / height, across / width, down / height))

        for column, (model, table) in enumerate(predictions.items()):
            left, color = FACE_IN + 2 * GAP_IN + column_in * column, colors[model]
            look = {"fontsize": 8, "fontweight": "bold", "va": "top", "color": color}
            figure.text(left / width, 1 - 0.02 / height, titles[model], **look)
            for row, (image, heat) in enumerate(zip(images, saliency[model], strict=True)):
                top = 2 * TITLE_IN + row_in * row
                if column == 0:
                    _draw_face(place(0, top, FACE_IN, FACE_IN), image, shorten(table.iloc[row]["label"]))
                panel = place(left, top, FACE_IN, FACE_IN)
                draw_saliency(panel, image, heat)
                panel.set_title(_say_answer(table.iloc[row], class_names), fontsize=7.5, pad=3, fontweight="normal")
                bars = place(left + FACE_IN + names_in, top, BARS_IN, bar_in * len(names))
                _draw_probabilities(bars, table.iloc[row], class_names, color)
                bars.set_yticks(range(len(names)), names, fontsize=NAME_PT)
    plt.close(figure)
    return figure


def _measure_widest(names: Sequence[str]) -> float:
    """The width of the widest name, in inches."""
    with figure_style():
        figure = plt.figure()
        texts = [figure.text(0, 0, name, fontsize=NAME_PT) for name in names]
        plt.close(figure)
        return max(text.get_window_extent().width for text in texts) / figure.dpi


def _draw_face(axes: Axes, image: np.ndarray, label: str) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(label, fontsize=8.5, pad=3)


def _say_answer(row: pd.Series, class_names: Sequence[str]) -> str:
    """`surely happy`, and whether that is wrong where the label is known."""
    right = row["label"] in ("", row["predicted"])
    return f"{say_confidence(row[list(class_names)].max())} {shorten(row['predicted'])}{'' if right else ': wrong'}"


def draw_saliency(axes: Axes, image: np.ndarray, saliency: np.ndarray) -> None:
    """A face, uint8 (H, W, 3), in grey, and over it, the warmer the more, what speaks for the answer, (H, W) 0-1."""
    axes.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.imshow(saliency, cmap=HEAT, vmin=0, vmax=1, alpha=0.75 * saliency, interpolation="bilinear")
    axes.set_axis_off()


def _draw_probabilities(axes: Axes, row: pd.Series, class_names: Sequence[str], color: str) -> None:
    """A bar per class, that of the label outlined."""
    probs = row[list(class_names)].astype(float).to_numpy()
    places = np.arange(len(class_names))
    edges = [INK if name == row["label"] else "none" for name in class_names]
    axes.barh(places, probs, height=0.78, color=color, edgecolor=edges, linewidth=0.8)
    for where, prob in zip(places, probs, strict=True):
        axes.text(1.06, where, f"{100 * prob:.0f}%", va="center", fontsize=7, color=MUTED)
    axes.set(xlim=(0, 1), ylim=(len(class_names) - 0.5, -0.5), xticks=[])
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)


def pick_faces(
    dataset: Dataset, predictions: Mapping[str, pd.DataFrame], ids: Sequence[str]
) -> tuple[np.ndarray, dict[str, pd.DataFrame]]:
    """What `plot_examples` needs of the images `ids`: faces, uint8 (n, H, W, 3), and each model's rows for them."""
    place = {identity: number for number, identity in enumerate(dataset.ids)}
    batch = dataset.batch(np.array([place[identity] for identity in ids], dtype=int))
    rows = {model: table.set_index("id").loc[list(ids)] for model, table in predictions.items()}
    return batch.images.permute(0, 2, 3, 1).numpy(), rows


def plot_average_faces(dataset: Dataset, regions: Mapping[str, RegionBox] | None = None) -> Figure:
    """The mean image of each class, and below it how its brightness differs from the mean of all classes.

    `regions` are outlined and named on the first face and outlined on the others.
    """
    means = []
    for label in range(len(dataset.class_names)):
        places = np.flatnonzero(dataset.labels.numpy() == label)
        means.append(average_image(dataset, places))
    differences = [(mean - np.mean(means, axis=0)).mean(axis=2) for mean in means]
    limit = max(np.abs(difference).max() for difference in differences)
    with figure_style():
        size = (1.25 * len(means) + 1.1, 2.9)
        figure, grid = plt.subplots(2, len(means), figsize=size, squeeze=False, layout="constrained")
        for axes in grid.flat:
            axes.set_axis_off()
        for column, name in enumerate(dataset.class_names):
            grid[0, column].imshow(means[column] / 255)
            grid[0, column].set_title(name, fontsize=9)
            _outline(grid[0, column], regions or {}, means[column].shape[0], named=column == 0)
            shown = grid[1, column].imshow(differences[column], cmap="RdBu_r", vmin=-limit, vmax=limit)
        bar = figure.colorbar(shown, ax=grid[1, :], shrink=0.8, pad=0.02)
        bar.set_label("difference, of 255", fontsize=7)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    plt.close(figure)
    return figure


def _outline(axes: Axes, regions: Mapping[str, RegionBox], side_px: int, *, named: bool) -> None:
    for name, box in regions.items():
        left, top = side_px * box.left - 0.5, side_px * box.top - 0.5
        width, height = side_px * (box.right - box.left), side_px * (box.bottom - box.top)
        axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=RULE, linewidth=0.6))
        if named:
            middle = top + height / 2
            axes.text(-2, middle, name, ha="right", va="center", fontsize=7, color=MUTED)


def average_image(dataset: Dataset, places: np.ndarray | None = None) -> np.ndarray:
    """The mean of the images at `places`, or of all: float64 (H, W, 3), 0-255.

    Summed in chunks, so that memory does not grow with the data.
    """
    places = np.arange(len(dataset)) if places is None else places
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
