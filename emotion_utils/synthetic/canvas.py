"""A small image addressed in face units, with anti-aliased soft shapes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

EXTENT = 1.5  # the canvas shows -EXTENT to EXTENT face units both ways
_SHIFT = 4  # sub-pixel bits of OpenCV's polygon coordinates
Paint = Sequence[float] | np.ndarray  # RGB 0-1: one colour, or an image (S, S, 3)
Shape = np.ndarray | list[np.ndarray]  # points (n, 2) in face units; a list holds several shapes of one colour
Window = tuple[slice, slice]


class Canvas:
    """Square float32 RGB image (0-1), its coverage and how much each place shines, all (S, S[, 3])."""

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self.unit_px = size_px / (2 * EXTENT)
        self.rgb = np.zeros((size_px, size_px, 3), np.float32)
        self.alpha = np.zeros((size_px, size_px), np.float32)
        self.gloss = np.zeros((size_px, size_px), np.float32)

    def to_px(self, points: np.ndarray) -> np.ndarray:
        """Fixed-point pixel coordinates (n, 2) int32 as OpenCV draws them."""
        return ((np.asarray(points) + EXTENT) * (self.unit_px * (1 << _SHIFT)) - (1 << _SHIFT) / 2).astype(np.int32)

    def blur(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur, `sigma` in face units."""
        sigma_px = sigma * self.unit_px
        return cv2.GaussianBlur(image, (0, 0), sigma_px) if sigma_px > 0.25 else image

    def draw_line(self, mask: np.ndarray, px: list[np.ndarray], width: float, level: float = 1.0) -> None:
        """Open lines of `width` face units on a uint8 mask; a line thinner than a pixel is drawn fainter instead."""
        width_px = width * self.unit_px
        shade = int(255 * level * min(width_px, 1.0))
        cv2.polylines(mask, px, False, shade, max(round(width_px), 1), cv2.LINE_AA, _SHIFT)

    def cover(self, shape: Shape, soft: float = 0.0, line: float = 0.0) -> tuple[Window, np.ndarray]:
        """Window and mask (h, w) float32 0-1 of filled polygons or, with `line` > 0, of open lines of that width."""
        px = [self.to_px(points) for points in (shape if isinstance(shape, list) else [shape])]
        corners = px[0] if len(px) == 1 else np.concatenate(px)
        margin = int((3 * soft + line) * self.unit_px) + 2
        (left, top), (right, bottom) = (corners.min(0) >> _SHIFT).tolist(), (corners.max(0) >> _SHIFT).tolist()
        left, top = (min(max(edge - margin, 0), self.size_px - 1) for edge in (left, top))
        right, bottom = (max(min(edge + margin, self.size_px), 1) for edge in (right, bottom))
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        mask = np.zeros((bottom - top, right - left), np.uint8)
        px = [points - np.int32((left << _SHIFT, top << _SHIFT)) for points in px]
        if line:
            self.draw_line(mask, px, line)
        else:
            cv2.fillPoly(mask, px, 255, cv2.LINE_AA, _SHIFT)
        return (slice(top, bottom), slice(left, right)), self.blur(mask * np.float32(1 / 255), soft)

    def fill(
        self,
        shape: Shape,
        colour: Paint,
        opacity: float = 1.0,
        *,
        soft: float = 0.0,
        line: float = 0.0,
        clip: np.ndarray | None = None,
        solid: bool = False,
        gloss: float | None = None,
    ) -> None:
        """Lays `colour` over a shape with edges `soft` units wide, inside `clip` (S, S).

        `solid` shapes add to the coverage; `gloss` replaces the shine below.
        """
        window, mask = self.cover(shape, soft, line)
        if clip is not None:
            mask = mask * clip[window]
        if opacity != 1.0:
            mask *= np.float32(opacity)
        if gloss is not None:
            self.gloss[window] += mask * (np.float32(gloss) - self.gloss[window])
        if solid:
            alpha = np.maximum(self.alpha[window], mask, out=self.alpha[window])
            mask = mask / np.maximum(alpha, np.float32(1e-6))  # nothing lies below a shape's outer edge
        paint = np.asarray(colour, np.float32)
        below = self.rgb[window]
        below += mask[..., None] * ((paint[window] if paint.ndim == 3 else paint) - below)

    def mask(self, points: np.ndarray) -> np.ndarray:
        """One polygon on the whole canvas, (S, S) float32 0-1."""
        whole = np.zeros((self.size_px, self.size_px), np.float32)
        window, part = self.cover(points)
        whole[window] = part
        return whole


@lru_cache(maxsize=8)
def pixel_axis(size_px: int) -> np.ndarray:
    """Face units of the pixels' centres along one side."""
    axis = ((np.arange(size_px) + 0.5) * (2 * EXTENT / size_px) - EXTENT).astype(np.float32)
    axis.setflags(write=False)
    return axis


def sum_bumps(size_px: int, bumps: list[tuple[float, float, float, float, float]]) -> np.ndarray:
    """Sum of Gaussians (x, y, sigma x, sigma y, height) over the canvas, (S, S) float32."""
    x, y, sigma_x, sigma_y, height = np.float32(bumps).T[..., None]
    along_x = np.exp(-0.5 * ((pixel_axis(size_px) - x) / sigma_x) ** 2)
    along_y = np.exp(-0.5 * ((pixel_axis(size_px) - y) / sigma_y) ** 2) * height
    return along_y.T @ along_x


def resize(image: np.ndarray, size_px: int) -> np.ndarray:
    """Smoothly enlarged to (size_px, size_px[, 3])."""
    return cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR)


def soft_noise(cells: int, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of mean 0.5 with about `cells` blotches a side, (S, S) float32."""
    coarse = rng.random((cells, cells), dtype=np.float32)
    return cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, steps: int = 24) -> np.ndarray:
    """Points (steps, 2) of an ellipse."""
    return _unit_circle(steps) * (radius_x, radius_y) + (x, y)


def moved_down(points: np.ndarray, by: float) -> np.ndarray:
    return points + np.array([0.0, by])


def tint(colour: Paint, red: float, green: float, blue: float) -> np.ndarray:
    """The colour with its channels scaled."""
    return np.float32(colour) * np.float32((red, green, blue))


def smooth_curve(points: np.ndarray | list, steps: int = 6, closed: bool = False) -> np.ndarray:
    """Catmull-Rom curve through `points` (n, 2), with `steps` points per segment; (m, 2) float64."""
    points = np.asarray(points, dtype=np.float64)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    basis = _spline_basis(steps)
    windows = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]])
    curve = np.einsum("tk,knc->ntc", basis, windows).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


@lru_cache(maxsize=8)
def _unit_circle(steps: int) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    return np.stack([np.cos(turn), np.sin(turn)], 1)


@lru_cache(maxsize=8)
def _spline_basis(steps: int) -> np.ndarray:
    """Weights (steps, 4) of four neighbouring points along the segment between the middle two."""
    t = np.arange(steps)[:, None] / steps
    return 0.5 * np.hstack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3])
