"""Figures of what the audit found: how near duplicates are told, images cut to their face, suspected labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion_utils.audit.faces import cut_frame
from emotion_utils.audit.frames import frames_of
from emotion_utils.figures.data import plot_gallery
from emotion_utils.figures.style import INK, MUTED, SPLIT_COLORS, figure_style
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.source import Source
from emotion_utils.store.resize import resize_square

SHOWN_PX = 128  # side of an image in a gallery
PAIRS_SHOWN = 9
CROPS_SHOWN = 7
SUSPECTS_SHOWN = 16
SUSPECTS_A_ROW = 8
FRAME_COLOR = (255, 196, 0)


def plot_distances(near: Mapping[str, Any]) -> Figure:
    """Of an audit's near_duplicates: the distances of random pairs with the threshold, and what the candidates are."""
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 2.5), layout="constrained")
        counts = np.array(near["distance_histogram"])
        bits = np.flatnonzero(counts)
        starts = np.arange(0, len(counts), 2)  # half of the bits of a hash are set, so that distances are even
        left.bar(starts, np.add.reduceat(counts, starts), width=2.0, color=SPLIT_COLORS["train"])
        left.set_yscale("log")
        if len(bits):
            left.set_xlim(min(bits[0], near["threshold_bits"]) - 45, bits[-1] + 4)  # room for the words
        left.set(xlabel="different bits of 256", ylabel="random pairs", title="Distances of random pairs")
        _mark(left, near["threshold_bits"] + 0.5, f"up to {near['threshold_bits']} bits:\ncompared closely")
        edges = np.linspace(0, 1, len(near["similarity_histogram"]) + 1)
        heights = np.array(near["similarity_histogram"])
        taken = edges[:-1] >= near["min_similarity"] - 1e-9
        colors = np.where(taken, SPLIT_COLORS["test"], SPLIT_COLORS["val"])
        right.bar(edges[:-1], heights, width=np.diff(edges), align="edge", color=colors)
        right.set(xlabel="similarity of fine structure", ylabel="candidates", xlim=(0, 1))
        right.set_title("Similarity of the candidates")
        right.set_ylim(0, 1.35 * max(heights.max(initial=0), 1))
        _mark(right, near["min_similarity"], f"from {near['min_similarity']:.2f} on:\nnearly the same")
    plt.close(figure)
    return figure


def plot_pairs(source: Source, manifest: pd.DataFrame, near: Mapping[str, Any]) -> Figure | None:
    """The least similar pairs that were taken as near duplicates, one above the other; mirrored ones turned back."""
    pairs = near["examples"][:PAIRS_SHOWN]
    if not pairs:
        return None
    views = _views(source, manifest, [pair[side] for side in ("path", "other") for pair in pairs])
    above, below = views[: len(pairs)], views[len(pairs) :]
    below = [view[:, ::-1] if pair["mirrored"] else view for view, pair in zip(below, pairs, strict=True)]
    titles = [f"{pair['similarity']:.2f}" + (" mirrored" if pair["mirrored"] else "") for pair in pairs]
    return plot_gallery([above, below], captions=[titles, []])


def plot_crops(source: Source, manifest: pd.DataFrame) -> Figure | None:
    """Images that were cut to their face, spread over the data: as they came with the frame, and what is used."""
    cropped = manifest[(manifest["face_side"] > 0) & (manifest["status"] == "kept")]
    if cropped.empty:
        return None
    rows = cropped.iloc[np.unique(np.linspace(0, len(cropped) - 1, CROPS_SHOWN).round().astype(int))]
    before = []
    for path, (left, top, side) in zip(rows["path"], frames_of(rows).tolist(), strict=True):
        image = decode_rgb(source.read(path)).copy()
        thick = max(2, round(max(image.shape) / 60))
        before.append(cv2.rectangle(image, (left, top), (left + side, top + side), FRAME_COLOR, thick))
    return plot_gallery([before, _views(source, manifest, rows["path"].tolist())], row_titles=("as it came", "used"))


def plot_suspects(source: Source, manifest: pd.DataFrame, suspects: pd.DataFrame) -> Figure | None:
    """The most doubtful labels, the worst first: what the data say, and what the model would say."""
    shown = suspects.head(SUSPECTS_SHOWN)
    if shown.empty:
        return None
    paths = manifest.set_index("id")["path"][shown["id"]].tolist()
    views = _views(source, manifest, paths)
    texts = [f"{row.label}\nor {row.suggested}?" for row in shown.itertuples()]
    starts = range(0, len(shown), SUSPECTS_A_ROW)
    return plot_gallery(
        [views[start : start + SUSPECTS_A_ROW] for start in starts],
        captions=[texts[start : start + SUSPECTS_A_ROW] for start in starts],
    )


def _views(source: Source, manifest: pd.DataFrame, paths: list[str]) -> list[np.ndarray]:
    """What is used of these images, uint8 (SHOWN_PX, SHOWN_PX, 3) each."""
    rows = manifest.set_index("path").loc[paths]
    pairs = zip(paths, frames_of(rows), strict=True)
    return [resize_square(cut_frame(decode_rgb(source.read(path)), frame), SHOWN_PX) for path, frame in pairs]


def _mark(axes: Axes, place: float, text: str) -> None:
    """A vertical line with words on its left."""
    axes.axvline(place, color=INK, linewidth=1, linestyle="--")
    axes.annotate(
        text, (place, 0.97), (-4, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
        ha="right", va="top", fontsize=7.5, color=MUTED,
    )  # fmt: skip
