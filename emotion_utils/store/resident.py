"""Images in the memory of a GPU, where they fit: no batch of them travels there again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from emotion_utils.devices import upload
from emotion_utils.store.batches import Dataset

SHARE = 0.5  # of the GPU's free memory at most: the rest is the network's
CHUNK_IMAGES = 1024  # that travel at a time


class ResidentImages:
    """uint8 (N, 3, H, W) on a device; rows int (B,) give uint8 (B, 3, H, W) there."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels = pixels

    @property
    def shape(self) -> torch.Size:
        return self.pixels.shape

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        return self.pixels[upload(rows, self.pixels.device)]


def keep_resident(dataset: Dataset, device: torch.device) -> Dataset:
    """The dataset with its images in the memory of `device`; as it is on a CPU, in shards, or without room for it."""
    if dataset.shards is not None or isinstance(dataset.images, ResidentImages) or not _has_room(dataset, device):
        return dataset
    return make_resident(dataset, device)


def make_resident(dataset: Dataset, device: torch.device) -> Dataset:
    """A copy of its images on `device`."""
    height, width = dataset.images.shape[1:3]
    pixels = torch.empty((len(dataset), 3, height, width), dtype=torch.uint8, device=device)
    for start in range(0, len(dataset), CHUNK_IMAGES):
        rows = dataset.rows[start : start + CHUNK_IMAGES]
        pixels[start : start + len(rows)] = upload(dataset.images[rows], device).permute(0, 3, 1, 2)
    return replace(dataset, images=ResidentImages(pixels), rows=np.arange(len(dataset)))


def _has_room(dataset: Dataset, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    needed = len(dataset) * int(np.prod(dataset.images.shape[1:]))
    return needed <= SHARE * torch.cuda.mem_get_info(device)[0]
