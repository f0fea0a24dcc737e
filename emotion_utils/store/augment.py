"""Random mirror images, rotations, zooms, shifts, colours and covered parts, drawn for each image alone.

What an image gets follows from (seed, epoch, id): batch size, order, number of processes and resuming change nothing.
It is applied to whole batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from emotion_utils.counter_rng import draw_uniform, id_keys, mix_keys
from emotion_utils.devices import upload
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.recipe import AugmentConfig

AUGMENT = 3  # what a key is for; see order.ORDER
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in brightness (ITU-R BT.601)
ASPECT = 3.3  # of a covered part, height to width or width to height at most (Zhong et al. 2020)
UNIT = np.float32(255)  # a Python number would have numpy divide in float64, in twice the time
THREADS_FROM_PX = 112  # smaller images are warped by one thread: handing Python's lock to and fro would cost more


class Changes(NamedTuple):
    """What is done to each image of a batch, float64 (B,) each; sizes are relative to the image's side."""

    mirror: np.ndarray  # -1: mirrored, 1: not
    angle_deg: np.ndarray  # counter-clockwise
    zoom: np.ndarray  # above 1: larger
    right: np.ndarray
    down: np.ndarray
    brightness: np.ndarray  # factors; 1 changes nothing, likewise the two below
    contrast: np.ndarray
    saturation: np.ndarray
    covered: np.ndarray | None = None  # (B, 4): left, top, right, bottom of a rectangle; None: no part of any image

    @property
    def colours(self) -> tuple[np.ndarray, ...]:
        return self.brightness, self.contrast, self.saturation


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """uint8 (B, 3, H, W) 0-255 to float32 0-1, contiguous."""
    return images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def resize_images(images: torch.Tensor, size_px: int | None) -> torch.Tensor:
    """uint8 (B, 3, S, S) to uint8 (B, 3, size_px, size_px), linear, without aliasing; unchanged for None or S."""
    if size_px in (None, images.shape[-1]):
        return images
    pixels = images if images.device.type == "cpu" else images.float()  # only processors resize bytes
    result = F.interpolate(pixels, (size_px, size_px), mode="bilinear", antialias=True)
    return result if result.dtype == torch.uint8 else result.round().clamp(0, 255).to(torch.uint8)


def augment(images: torch.Tensor, ids: Sequence[str], *, config: AugmentConfig, seed: int, epoch: int) -> torch.Tensor:
    """uint8 (B, 3, S, S) RGB 0-255 to float32 0-1 on the same device, changed within the ranges of `config`."""
    return apply_changes(images, draw_changes(id_keys(ids), config=config, seed=seed, epoch=epoch))


def draw_changes(keys: np.ndarray, *, config: AugmentConfig, seed: int, epoch: int) -> Changes:
    """What each image gets in this epoch; keys: uint64 (B,), as `id_keys` makes them."""
    own = mix_keys(keys, seed, epoch, AUGMENT)
    draws = draw_uniform(own, 8).T
    mirror = np.where(draws[0] < config.flip, -1.0, 1.0)
    if config.flip_order == "alternating":
        first = draw_uniform(mix_keys(keys, seed, 1, AUGMENT), 1)[:, 0] < config.flip
        mirror = np.where(first ^ (epoch % 2 == 0), -1.0, 1.0)
    span = 2 * draws - 1  # [-1, 1)
    return Changes(
        mirror,
        span[1] * config.rotate_deg,
        1 + span[2] * config.scale,
        span[3] * config.shift,
        span[4] * config.shift,
        1 + span[5] * config.brightness,
        1 + span[6] * config.contrast,
        1 + span[7] * config.saturation,
        _draw_rectangles(draw_uniform(own, 5, first=8).T, config) if config.erase else None,
    )


def _draw_rectangles(draws: np.ndarray, config: AugmentConfig) -> np.ndarray:
    """float64 (B, 4): left, top, right, bottom as shares of the side; without extent where nothing is covered."""
    least, most = config.erase_area
    area = (draws[0] < config.erase) * (least + draws[1] * (most - least))
    aspect = ASPECT ** (2 * draws[2] - 1)
    width, height = (np.sqrt(area * factor).clip(max=1) for factor in (1 / aspect, aspect))
    left, top = draws[3] * (1 - width), draws[4] * (1 - height)
    return np.stack([left, top, left + width, top + height], axis=1)


def apply_changes(images: torch.Tensor, changes: Changes) -> torch.Tensor:
    """uint8 (B, 3, S, S) to float32 0-1: a warp, a colour transform, a cover; what changes nothing is left out.

    Outside the image the warp finds its reflection. The colours are clamped to 0-1 once, at the end. On the CPU all
    results are rounded to bytes.
    """
    theta = _affine(changes)
    warps = not np.array_equal(theta, np.broadcast_to(np.eye(2, 3), theta.shape))
    recolours = any(np.any(factor != 1) for factor in changes.colours)
    if not warps and not recolours and changes.covered is None:
        return to_unit(images)
    if images.device.type == "cpu":
        return _change_on_cpu(images, theta if warps else None, changes if recolours else None, changes.covered)
    pixels = _warp(images, theta) if warps else images.to(torch.float32, memory_format=torch.contiguous_format)
    pixels = _recolour(pixels, changes) if recolours else pixels
    return (pixels if changes.covered is None else _cover(pixels, changes.covered)).div_(255)


def _affine(changes: Changes) -> np.ndarray:
    """float64 (B, 2, 3): where each output pixel looks in the input; x to the right, y down, -1 to 1."""
    turn = np.deg2rad(changes.angle_deg)
    cos, sin = np.cos(turn) / changes.zoom, np.sin(turn) / changes.zoom
    # The image is mirrored first, turned and zoomed about its centre, then shifted; looking up goes the way back.
    right, down = 2 * changes.right, 2 * changes.down
    x = changes.mirror * np.stack([cos, -sin, -(cos * right - sin * down)])
    y = np.stack([sin, cos, -(sin * right + cos * down)])
    return np.stack([x, y]).transpose(2, 0, 1)


def _colour_maps(changes: Changes) -> tuple[np.ndarray, np.ndarray]:
    """Brightness b, contrast c about the mean luma, saturation s about each pixel's luma, as one linear map of a pixel.

    z = s y + (1 - s) luma(y) with y = c b x + (1 - c) mean(luma(b x)) is matrix x + share mean(luma(x)).
    Returns matrix float64 (B, 3, 3) and share float64 (B,).
    """
    b, c, s = (factor[:, None, None] for factor in changes.colours)
    return b * c * (s * np.eye(3) + (1 - s) * np.array(LUMA)), (b * (1 - c))[:, 0, 0]


def _change_on_cpu(
    images: torch.Tensor, theta: np.ndarray | None, changes: Changes | None, covered: np.ndarray | None = None
) -> torch.Tensor:
    """uint8 (B, 3, S, S) to float32 0-1: bilinear between places rounded to 1/32 pixel, colours rounded to bytes.

    Whole pixels of three bytes, as the store keeps them, take a quarter of the time of three planes of floats. Torch
    does none of it: its threads stay awake after each operation, and would be in the way of these.
    """
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    result = np.empty(tuple(images.shape), np.float32)
    size_px = pixels.shape[1]
    matrices = None if theta is None else _in_pixels(theta, size_px)
    if changes is not None:
        matrix, share = _colour_maps(changes)
        maps, shares = np.concatenate([matrix, np.zeros_like(matrix[:, :, :1])], axis=2), share.tolist()
    boxes = None if covered is None else _to_pixels(covered, size_px)
    is_own = theta is not None or changes is not None
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def work(part: slice) -> None:
        for place in range(part.start, part.stop):
            image = pixels[place]
            if matrices is not None:
                image = cv2.warpAffine(image, matrices[place], (size_px, size_px), None, flags, cv2.BORDER_REFLECT)
            if changes is not None:
                red, green, blue, _ = cv2.mean(image)
                maps[place, :, 3] = shares[place] * (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)
                image = cv2.transform(image, maps[place])
            if boxes is not None:
                left, top, right, bottom = boxes[place]
                image = image if is_own else image.copy()  # it may be the store's own
                image[top:bottom, left:right] = np.rint(cv2.mean(image)[:3])
            np.divide(image.transpose(2, 0, 1), UNIT, out=result[place], dtype=np.float32)

    workers = count_workers() if size_px >= THREADS_FROM_PX else 1
    step = -(-len(pixels) // workers)
    parts = (slice(start, min(start + step, len(pixels))) for start in range(0, len(pixels), step))
    for _ in map_ahead(work, parts, workers):
        pass
    return torch.from_numpy(result)


def _in_pixels(theta: np.ndarray, size_px: int) -> np.ndarray:
    """`theta` for coordinates of pixel centres, 0 to S - 1, in place of -1 to 1."""
    matrices = theta.copy()
    matrices[:, :, 2] = (theta[:, :, :2].sum(axis=2) * (1 / size_px - 1) + theta[:, :, 2] + 1) * size_px / 2 - 0.5
    return matrices


def _to_pixels(covered: np.ndarray, size_px: int) -> np.ndarray:
    """int64 (B, 4): the first column and row that are covered, and the first ones that no longer are."""
    return np.rint(covered * size_px).astype(np.int64)


def _warp(images: torch.Tensor, theta: np.ndarray) -> torch.Tensor:
    """uint8 (B, 3, S, S) to float32 0-255, bilinear.

    The grid is that of F.affine_grid, made in a tenth of its time: x and y separately.
    """
    pixels = images.to(torch.float32, memory_format=torch.contiguous_format)
    theta = upload(theta.astype(np.float32), pixels.device)
    size_px = pixels.shape[-1]
    centres = (2 * torch.arange(size_px, device=pixels.device) + 1) / size_px - 1
    along_x = theta[:, :, 0, None] * centres
    along_y = theta[:, :, 1, None] * centres + theta[:, :, 2, None]
    grid = (along_x[:, :, None, :] + along_y[:, :, :, None]).permute(0, 2, 3, 1)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recolour(pixels: torch.Tensor, changes: Changes) -> torch.Tensor:
    """float32 (B, 3, S, S) 0-255 to the same, clamped."""
    matrix, share = (upload(values.astype(np.float32), pixels.device) for values in _colour_maps(changes))
    flat = pixels.reshape(len(pixels), 3, -1)
    red, green, blue = flat.mean(dim=2).unbind(1)
    base = share * (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)
    return torch.baddbmm(base[:, None, None], matrix, flat).clamp_(0, 255).view_as(pixels)


def _cover(pixels: torch.Tensor, covered: np.ndarray) -> torch.Tensor:
    """float32 (B, 3, S, S) 0-255 to the same, the rectangles filled with each image's mean, in whole grey levels."""
    size_px = pixels.shape[-1]
    left, top, right, bottom = upload(_to_pixels(covered, size_px), pixels.device).unbind(1)
    places = torch.arange(size_px, device=pixels.device)
    columns, rows = ((places >= a[:, None]) & (places < b[:, None]) for a, b in ((left, right), (top, bottom)))
    is_covered = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.where(is_covered, pixels.mean((2, 3), keepdim=True).round(), pixels)
