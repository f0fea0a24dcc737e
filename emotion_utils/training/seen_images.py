"""What training sees beside the faces: a network is right on images like those, and is given such images later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from emotion_utils.models.input_spec import Colour, InputSpec
from emotion_utils.run import Run
from emotion_utils.store.batches import Dataset

SAMPLED_IMAGES = 512
GREY_SPREAD = 1.0  # 0-255: mean over an image of how far its channels lie apart, below which it is grey
FEW = 0.01  # share of images of the other kind that teach nothing: one stray colour image in a hundred grey ones


def with_seen_images(input_spec: InputSpec, train_set: Dataset, run: Run) -> InputSpec:
    """`input_spec` with what the images of `train_set` are: colour or grey, from which size, synthetic or not."""
    manifest = run.read("manifest")
    trained = manifest[manifest["split"] == "train"]
    sides = trained[["width", "height"]].min(axis=1)
    if "face_side" in trained:
        sides = sides.where(trained["face_side"] == 0, trained["face_side"])
    return replace(
        input_spec, colour=find_colour(train_set), source_px=int(sides.median()),
        is_synthetic=run.config.data == "synthetic",
    )  # fmt: skip


def find_colour(dataset: Dataset) -> Colour:
    """Whether the images are grey, coloured or both, from a sample spread evenly over them."""
    positions = np.unique(np.linspace(0, len(dataset) - 1, SAMPLED_IMAGES).round().astype(int))
    grey = np.mean([is_grey(dataset.batch(part).images) for part in np.array_split(positions, len(positions))])
    return "grey" if grey >= 1 - FEW else "colour" if grey <= FEW else "both"


def is_grey(images: torch.Tensor) -> np.ndarray:
    """bool (B,) of uint8 RGB images (B, 3, H, W)."""
    spread = images.amax(1).float() - images.amin(1).float()
    return (spread.mean((1, 2)) < GREY_SPREAD).cpu().numpy()
