"""Common corruptions of images, as a camera or a scarf would cause them, each in several severities.

Images stay on their device. Noise is drawn on the CPU, and JPEG is encoded and decoded there.
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

# The severities of each kind, from slight to severe; robustness.csv calls them `amount`.
CORRUPTIONS: dict[str, tuple[float, ...]] = {
    "blur": (0.01, 0.02, 0.04),  # standard deviation, as a share of the image's side
    "noise": (0.05, 0.1, 0.2),  # standard deviation, as a share of the range of values
    "JPEG": (50, 20, 5),  # quality
    "low resolution": (2, 4, 8),  # factor by which each side has fewer pixels
    "dark": (0.5, 0.25, 0.1),  # factor of brightness
    "eyes covered": (1,),
    "mouth covered": (1,),
}
# Top, bottom, left and right (0-1) of the rectangle that holds the feature in nearly all images cropped to the face.
OCCLUDED = {"eyes covered": (0.22, 0.50, 0.10, 0.90), "mouth covered": (0.62, 0.95, 0.20, 0.80)}
BLUR_REACH = 3  # standard deviations; the Gaussian is cut off there
DRAWN_AT_ONCE = 1 << 14  # numbers; larger arrays would be fetched from the system anew each time, which is slower


def corrupt_all(images: torch.Tensor, ids: Sequence[str]) -> Iterator[tuple[str, float, torch.Tensor]]:
    """Yields each kind and severity of CORRUPTIONS with the images that `corrupt` makes; noise is drawn only once."""
    noise = draw_noise(images, ids)
    for kind, severities in CORRUPTIONS.items():
        for severity in severities:
            yield kind, severity, corrupt(images, ids, kind, severity, noise)


def corrupt(
    images: torch.Tensor, ids: Sequence[str], kind: str, severity: float, noise: torch.Tensor | None = None
) -> torch.Tensor:
    """Corrupts uint8 (B, 3, H, W); shape, dtype and device stay. Randomness depends on each image's id alone.

    `noise`: the result of `draw_noise` for these images, if it has been drawn already.
    """
    if kind in OCCLUDED:
        height, width = images.shape[-2:]
        top, bottom, left, right = OCCLUDED[kind]
        return occlude(images, slice(round(top * height), round(bottom * height)),
                       slice(round(left * width), round(right * width)))  # fmt: skip
    if kind == "noise":
        return _add_noise(images, draw_noise(images, ids) if noise is None else noise, severity)
    return FUNCTIONS[kind](images, severity)


def occlude(images: torch.Tensor, rows: slice, columns: slice) -> torch.Tensor:
    """Copies of uint8 (B, 3, H, W), on the same device, with the rectangle filled with each image's mean colour."""
    occluded = images.clone()
    sums = images.sum(dim=(2, 3), keepdim=True).cpu()  # few, and Apple's GPU has no float64
    mean = (sums.double() / images[0, 0].numel()).round().to(torch.uint8)
    occluded[:, :, rows, columns] = mean.to(images.device)
    return occluded


def draw_noise(images: torch.Tensor, ids: Sequence[str]) -> torch.Tensor:
    """Standard normal noise (Box and Muller 1958), float32, in the shape and on the device of `images`.

    It is drawn on the CPU, so it is the same on every device.
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


def _blur(images: torch.Tensor, severity: float) -> torch.Tensor:
    sigma = severity * images.shape[-1]
    height, width = (_blur_matrix(side, sigma) for side in images.shape[-2:])
    return _resample(images, height, width)


def _coarsen(images: torch.Tensor, severity: float) -> torch.Tensor:
    height, width = (_coarsen_matrix(side, max(1, round(side / severity))) for side in images.shape[-2:])
    return _resample(images, height, width)


def _resample(images: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """Multiplies columns by `down` (H, H) and rows by `across` (W, W), one matrix product each.

    For a severe blur at 224 px on two cores this takes a thirtieth of the time of a convolution.
    """
    down, across = (matrix.float().to(images.device) for matrix in (down, across))
    pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
    return _to_uint8(down @ (pixels @ across.T))


def _blur_matrix(side: int, sigma: float) -> torch.Tensor:
    """float64 (side, side): Gaussian weights around each pixel; the image is reflected at its edges."""
    reach = math.ceil(BLUR_REACH * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    around = functional.pad(torch.eye(side, dtype=torch.float64)[:, None], (reach, reach), mode="reflect")
    return functional.conv1d(around, (weights / weights.sum())[None, None])[:, 0].T


def _coarsen_matrix(side: int, small: int) -> torch.Tensor:
    """float64 (side, side): averages down to `small` pixels and interpolates linearly back up."""
    pixels = torch.eye(side, dtype=torch.float64)[None]
    means = functional.interpolate(pixels, small, mode="area")
    return functional.interpolate(means, side, mode="linear", align_corners=False)[0].T


def _add_noise(images: torch.Tensor, noise: torch.Tensor, severity: float) -> torch.Tensor:
    return _to_uint8(torch.add(images, noise, alpha=255 * severity))


def _compress(images: torch.Tensor, quality: float) -> torch.Tensor:
    settings = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]

    def compress(pixels: np.ndarray) -> np.ndarray:
        _, data = cv2.imencode(".jpg", pixels[..., ::-1], settings)
        return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)

    pixels = images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    changed = np.stack(list(map_ahead(compress, pixels, count_workers())))
    return torch.from_numpy(changed).to(images.device).permute(0, 3, 1, 2)


def _darken(images: torch.Tensor, severity: float) -> torch.Tensor:
    return _to_uint8(images.float() * severity)


def _to_uint8(pixels: torch.Tensor) -> torch.Tensor:
    """uint8; `pixels` is rounded in place."""
    return pixels.round_().clamp_(0, 255).to(torch.uint8)


FUNCTIONS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "blur": _blur, "JPEG": _compress, "low resolution": _coarsen, "dark": _darken,
}  # fmt: skip
