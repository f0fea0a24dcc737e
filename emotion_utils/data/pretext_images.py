"""Pictures that the stand-ins for pretrained weights learn from: generic shapes under clutter, and rendered people.

None of them is in a default data set: the people have identity seeds of their own, and the shapes have no faces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from emotion_utils.data.synthetic import EMOTIONS, render_face

FIRST_PERSON = 1_000_000  # identity seeds from here on belong to the pretext task
OVERSAMPLING = 3  # shapes are drawn larger and shrunk: smooth edges at any place

Tell = Callable[[int], None]  # pictures drawn so far


class Pictures(NamedTuple):
    """images uint8 (N, H, W, 3) RGB, labels int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


def render_people(num_pictures: int, num_people: int, size_px: int, seed: int, tell: Tell) -> Pictures:
    """Pictures of each person in all expressions, poses and lights; the label is the person."""
    labels = np.arange(num_pictures) % num_people
    images = np.empty((num_pictures, size_px, size_px, 3), np.uint8)
    for place, person in enumerate(labels):
        emotion = EMOTIONS[place // num_people % len(EMOTIONS)]
        images[place] = render_face(emotion, FIRST_PERSON * (seed + 1) + int(person), place, size_px)
        tell(place + 1)
    return Pictures(images, labels)


def render_shapes(num_pictures: int, num_shapes: int, size_px: int, seed: int, tell: Tell) -> Pictures:
    """One of the first `num_shapes` shapes in each, at any place, size and colour, under clutter."""
    labels = np.arange(num_pictures) % num_shapes
    images = np.empty((num_pictures, size_px, size_px, 3), np.uint8)
    for place, label in enumerate(labels):
        images[place] = _draw_picture(SHAPES[label], size_px, np.random.default_rng([seed, place]))
        tell(place + 1)
    return Pictures(images, labels)


PRETEXTS = {"people": render_people, "shapes": render_shapes}


def _draw_picture(shape: str, size_px: int, rng: np.random.Generator) -> np.ndarray:
    side = size_px * OVERSAMPLING
    picture = _draw_ground(side, rng)
    for _ in range(rng.integers(0, 4)):
        _stroke(picture, _random_curve(rng) * side, rng, rng.uniform(0.005, 0.02) * side)
    turn, scale = rng.normal(0, 8), rng.uniform(0.3, 0.75) / 2
    middle = rng.uniform(scale, 1 - scale, 2)
    for points in OUTLINES[shape](rng):
        _stroke(picture, (_turned(points, turn) * scale + middle) * side, rng, rng.uniform(0.02, 0.05) * side)
    picture = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.1, 0.9))
    picture += rng.normal(0, rng.uniform(0.0, 0.06), picture.shape)
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def _draw_ground(side: int, rng: np.random.Generator) -> np.ndarray:
    """A shaded wall, cloth or foliage, float32 (side, side, 3) 0-1."""
    cells = int(rng.integers(2, 16))
    base, contrast = rng.uniform(0.15, 0.85, 3), rng.uniform(0.02, 0.15)
    coarse = rng.normal(0, contrast, (cells, cells, 1)) + rng.normal(0, contrast / 2, (cells, cells, 3))
    return cv2.resize((base + coarse).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)


def _stroke(picture: np.ndarray, points: np.ndarray, rng: np.random.Generator, width_px: float) -> None:
    tone = rng.uniform(0, 1, 3)
    cv2.polylines(
        picture, [points.round().astype(np.int32)], False, tone.tolist(), max(1, round(width_px)), cv2.LINE_AA
    )


def _random_curve(rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(rng.normal(0, 0.12, (6, 2)), axis=0) + rng.uniform(0.1, 0.9, 2)


def _turned(points: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]])


# -- shapes: lists of outlines, points (n, 2) in -1..1, x to the right and y down ---------------------


def _arc(start_deg: float, end_deg: float) -> np.ndarray:
    angles = np.deg2rad(np.linspace(start_deg, end_deg, 16))
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _polygon(corners: int, start_deg: float) -> np.ndarray:
    return _arc_points(np.linspace(0, 360, corners + 1) + start_deg)


def _arc_points(degrees: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], 1)


def _bar(degrees: float) -> np.ndarray:
    return _arc_points(np.array([degrees, degrees + 180]))


OUTLINES: dict[str, Callable[[np.random.Generator], list[np.ndarray]]] = {
    "bowl": lambda rng: [_arc(20, 160)],
    "arch": lambda rng: [_arc(200, 340)],
    "left arc": lambda rng: [_arc(110, 250)],
    "right arc": lambda rng: [_arc(-70, 70)],
    "ring": lambda rng: [_polygon(24, 0)],
    "square": lambda rng: [_polygon(4, 45)],
    "diamond": lambda rng: [_polygon(4, 0)],
    "triangle": lambda rng: [_polygon(3, -90)],
    "funnel": lambda rng: [_polygon(3, 90)],
    "bar": lambda rng: [_bar(0)],
    "post": lambda rng: [_bar(90)],
    "slope": lambda rng: [_bar(-35)],
    "fall": lambda rng: [_bar(35)],
    "plus": lambda rng: [_bar(0), _bar(90)],
    "cross": lambda rng: [_bar(45), _bar(-45)],
    "rails": lambda rng: [_bar(0) * 0.9 - [0, 0.5], _bar(0) * 0.9 + [0, 0.5]],
}
SHAPES = tuple(OUTLINES)
