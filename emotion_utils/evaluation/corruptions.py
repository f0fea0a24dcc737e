"""Images made worse in ways that a camera or a scarf would: for the question how much a model can do without.

Images stay on the device that they are on. What chance adds is drawn on the CPU, and JPEG is written and read there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import torch
from torch.nn import functional

from emotion_utils.counter_rng import draw_uniform, id_keys
from emotion_utils.parallel import count_workers, map_ahead

# Of each kind the amounts, from slight to severe.
DEGRADATIONS: dict[str, tuple[float, ...]] = {
    "blur": (0.01, 0.02, 0.04),  # standard deviation, in sides of the image
    "noise": (0.05, 0.1, 0.2),  # standard deviation, of the range of values
    "JPEG": (50, 20, 5),  # quality
    "low resolution": (2, 4, 8),  # times fewer pixels along a side
    "dark": (0.5, 0.25, 0.1),  # times the light
    "eyes covered": (1,),
    "mouth covered": (1,),
}
# Rows and columns (parts of the sides) that hold the feature in nearly all images cut to the face.
COVERED = {"eyes covered": (0.22, 0.50, 0.10, 0.90), "mouth covered": (0.62, 0.95, 0.20, 0.80)}
BLUR_REACH = 3  # standard deviations; what lies beyond counts for nothing
DRAWN_AT_ONCE = 1 << 14  # numbers: larger arrays would be new memory from the system each time, which takes longer


def degrade_all(images: torch.Tensor, ids: Sequence[str]) -> Iterator[tuple[str, float, torch.Tensor]]:
    """Each kind and amount of DEGRADATIONS with what it makes of `images`, see `degrade`; chance is drawn once."""
    noise = draw_noise(images, ids)
    for kind, amounts in DEGRADATIONS.items():
        for amount in amounts:
            yield kind, amount, degrade(images, ids, kind, amount, noise)


def degrade(
    images: torch.Tensor, ids: Sequence[str], kind: str, amount: float, noise: torch.Tensor | None = None
) -> torch.Tensor:
    """uint8 (B, 3, H, W) to the same on the same device; what is random hangs on each image's id alone.

    `noise`: what `draw_noise` returns for these images, where it has been drawn before.
    """
    if kind in COVERED:
        height, width = images.shape[-2:]
        top, bottom, left, right = COVERED[kind]
        return cover(images, slice(round(top * height), round(bottom * height)),
                     slice(round(left * width), round(right * width)))  # fmt: skip
    if kind == "noise":
        return _add_noise(images, draw_noise(images, ids) if noise is None else noise, amount)
    return CHANGES[kind](images, amount)


def cover(images: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    """Copies of uint8 (B, 3, H, W), on the same device, whose pixels in there have the mean colour of their image."""
    covered = images.clone()
    sums = images.sum(dim=(2, 3), keepdim=True).cpu()  # few, and Apple's GPU has no float64
    mean = (sums.double() / images[0, 0].numel()).round().to(torch.uint8)
    covered[:, :, rows, columns] = mean.to(images.device)
    return covered


def draw_noise(images: torch.Tensor, ids: Sequence[str]) -> torch.Tensor:
    """Normal noise (Box and Muller 1958) of mean 0 and deviation 1, float32, of the shape and on the device of images.

    The same numbers whatever the device: they are drawn on the CPU.
    """
    noise = torch.empty((len(ids), images[0].numel()), dtype=torch.float32)

    def draw(place: int, key: np.ndarray) -> None:
        for first in range(0, noise.shape[1], DRAWN_AT_ONCE):
            part = noise[place, first : first + DRAWN_AT_ONCE]
            radius, angle = (
                torch.from_numpy(draw_uniform(key, len(part), first=start)[0])
                for start in (first, noise.shape[1] + first)
            )
            part.copy_((1 - radius).log_().mul_(-2).sqrt_().mul_(angle.mul_(2 * math.pi).cos_()))

    for _ in map_ahead(lambda task: draw(*task), enumerate(id_keys(ids)[:, None]), count_workers()):
        pass
    return noise.reshape(images.shape).to(images.device)


def _blur(images: torch.Tensor, amount: float) -> torch.Tensor:
    sigma = amount * images.shape[-1]
    height, width = (_blurring(side, sigma) for side in images.shape[-2:])
    return _resample(images, height, width)


def _coarsen(images: torch.Tensor, amount: float) -> torch.Tensor:
    height, width = (_coarsening(side, max(1, round(side / amount))) for side in images.shape[-2:])
    return _resample(images, height, width)


def _resample(images: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """Each column times `down` (H, H), each row times `across` (W, W), in one product each.

    On two cores that takes a thirtieth of the time of a severe blur as a sum over a window (224 px).
    """
    down, across = (matrix.float().to(images.device) for matrix in (down, across))
    pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
    return _to_bytes(down @ (pixels @ across.T))


def _blurring(side: int, sigma: float) -> torch.Tensor:
    """float64 (side, side): Gaussian weights of each pixel's surroundings; beyond the edge lies the reflection."""
    reach = math.ceil(BLUR_REACH * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    around = functional.pad(torch.eye(side, dtype=torch.float64)[:, None], (reach, reach), mode="reflect")
    return functional.conv1d(around, (weights / weights.sum())[None, None])[:, 0].T


def _coarsening(side: int, small: int) -> torch.Tensor:
    """float64 (side, side): means over `small` stretches, and the lines between these."""
    pixels = torch.eye(side, dtype=torch.float64)[None]
    means = functional.interpolate(pixels, small, mode="area")
    return functional.interpolate(means, side, mode="linear", align_corners=False)[0].T


def _add_noise(images: torch.Tensor, noise: torch.Tensor, amount: float) -> torch.Tensor:
    return _to_bytes(torch.add(images, noise, alpha=255 * amount))


def _compress(images: torch.Tensor, quality: float) -> torch.Tensor:
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]

    def compress(pixels: np.ndarray) -> np.ndarray:
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], settings)
        return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)

    pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    changed = np.stack(list(map_ahead(compress, pixels, count_workers())))
    return torch.from_numpy(changed).to(images.device).permute(0, 3, 1, 2)


def _darken(images: torch.Tensor, amount: float) -> torch.Tensor:
    return _to_bytes(images.float() * amount)


def _to_bytes(pixels: torch.Tensor) -> torch.Tensor:
    """Rounded in place."""
    return pixels.round_().clamp_(0, 255).to(torch.uint8)


CHANGES: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "blur": _blur, "JPEG": _compress, "low resolution": _coarsen, "dark": _darken,
}  # fmt: skip
