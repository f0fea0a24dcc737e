"""Two reference images, the same on every machine: a network is recognised by its answers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def reference_pixels(size_px: int) -> np.ndarray:
    """uint8 (2, size, size, 3) RGB: waves that differ by channel, and a texture. Needs NumPy alone."""
    y, x = np.mgrid[:size_px, :size_px]
    y, x, channel = y[:, :, None], x[:, :, None], np.arange(3)
    waves = (x * (3 + 2 * channel) + y * (7 - 3 * channel) + 40 * channel) * 256 // size_px % 256
    texture = (x * x * 31 + y * y * 17 + x * y * 13 + channel * 89) % 251
    return np.stack([waves, texture]).astype(np.uint8)


def reference_images(size_px: int) -> torch.Tensor:
    """The same as float32 (2, 3, size, size) in 0-1."""
    import torch

    return torch.from_numpy(reference_pixels(size_px)).permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255
