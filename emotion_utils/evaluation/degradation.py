"""Pictures made worse in ways that a camera or a scarf would: for the question how much a model can do without."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from torchvision.transforms.functional import gaussian_blur

from emotion_utils.data.keys import draw_uniform, id_keys

# Of each kind the amounts, from slight to severe.
DEGRADATIONS: dict[str, tuple[float, ...]] = {
    "blur": (0.01, 0.02, 0.04),  # standard deviation, in sides of the picture
    "noise": (0.05, 0.1, 0.2),  # standard deviation, of the range of values
    "JPEG": (50, 20, 5),  # quality
    "low resolution": (2, 4, 8),  # times fewer pixels along a side
    "dark": (0.5, 0.25, 0.1),  # times the light
    "eyes covered": (1,),
    "mouth covered": (1,),
}
# Rows and columns (parts of the sides) that hold the feature in nearly all pictures cut to the face.
COVERED = {"eyes covered": (0.22, 0.50, 0.10, 0.90), "mouth covered": (0.62, 0.95, 0.20, 0.80)}


def degrade(images: torch.Tensor, ids: Sequence[str], kind: str, amount: float) -> torch.Tensor:
    """uint8 (B, 3, H, W) to the same; what is random hangs on each picture's id alone."""
    if kind in COVERED:
        return _cover(images, *COVERED[kind])
    return CHANGES[kind](images, ids, amount)


def _blur(images: torch.Tensor, ids: Sequence[str], amount: float) -> torch.Tensor:
    sigma = amount * images.shape[-1]
    return gaussian_blur(images, 2 * int(np.ceil(3 * sigma)) + 1, sigma)


def _add_noise(images: torch.Tensor, ids: Sequence[str], amount: float) -> torch.Tensor:
    """Normal noise (Box and Muller 1958)."""
    count = images[0].numel()
    uniform = draw_uniform(id_keys(ids), 2 * count).reshape(len(ids), 2, count)
    normal = np.sqrt(-2 * np.log1p(-uniform[:, 0])) * np.cos(2 * np.pi * uniform[:, 1])
    noise = torch.from_numpy(255 * amount * normal.reshape(images.shape))
    return (images + noise).round_().clamp_(0, 255).to(torch.uint8)


def _compress(images: torch.Tensor, ids: Sequence[str], amount: float) -> torch.Tensor:
    changed = []
    for image in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=int(amount))
        changed.append(np.asarray(Image.open(file).convert("RGB")))
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2)


def _coarsen(images: torch.Tensor, ids: Sequence[str], amount: float) -> torch.Tensor:
    side = images.shape[-2:]
    small = functional.interpolate(images.float(), [max(1, round(size / amount)) for size in side], mode="area")
    large = functional.interpolate(small, side, mode="bilinear", align_corners=False)
    return large.round_().clamp_(0, 255).to(torch.uint8)


def _darken(images: torch.Tensor, ids: Sequence[str], amount: float) -> torch.Tensor:
    return (images.float() * amount).round_().to(torch.uint8)


def _cover(images: torch.Tensor, top: float, bottom: float, left: float, right: float) -> torch.Tensor:
    """A rectangle of each picture's own mean colour."""
    height, width = images.shape[-2:]
    changed = images.clone()
    mean = images.float().mean(dim=(2, 3), keepdim=True).round_().to(torch.uint8)
    rows, columns = slice(round(top * height), round(bottom * height)), slice(round(left * width), round(right * width))
    changed[:, :, rows, columns] = mean
    return changed


CHANGES: dict[str, Callable[[torch.Tensor, Sequence[str], float], torch.Tensor]] = {
    "blur": _blur, "noise": _add_noise, "JPEG": _compress, "low resolution": _coarsen, "dark": _darken,
}  # fmt: skip
