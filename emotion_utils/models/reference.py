"""Two reference images, the same on every machine: a network is recognised by its logits for them."""

from __future__ import annotations

import torch


def reference_images(size_px: int) -> torch.Tensor:
    """float32 (2, 3, size, size) RGB in 0-1, multiples of 1/255: waves that differ by channel, and a texture."""
    y, x = torch.meshgrid(torch.arange(size_px), torch.arange(size_px), indexing="ij")
    channel = torch.arange(3).view(3, 1, 1)
    waves = (x * (3 + 2 * channel) + y * (7 - 3 * channel) + 40 * channel) * 256 // size_px % 256
    texture = (x * x * 31 + y * y * 17 + x * y * 13 + channel * 89) % 251
    return torch.stack([waves, texture]).to(torch.float32) / 255
