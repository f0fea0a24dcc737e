"""Pictures that the stand-ins for pretrained weights learn from: cards with signs on them, and rendered people.

None of them is in a default data set: the people have identity seeds of their own, and the cards show no faces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from emotion_utils.data.synthetic import EMOTIONS, render_face

FIRST_PERSON = 1_000_000  # identity seeds from here on belong to the pretext task
OVERSAMPLING = 3  # cards are drawn larger and shrunk: smooth edges at any place
SUBPIXEL_BITS = 3  # of OpenCV's fixed-point coordinates
CORNERS = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])

Tell = Callable[[int], None]  # pictures drawn so far


class Pictures(NamedTuple):
    """images uint8 (N, H, W, 3) RGB; labels int64 (N, Q), the answers to Q questions; classes: how many each has."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[int, ...]


def render_people(num_pictures: int, num_people: int, size_px: int, seed: int, tell: Tell) -> Pictures:
    """Pictures of people in all expressions, poses and lights. The question: who is it?"""
    labels = np.arange(num_pictures)[:, None] % num_people
    images = np.empty((num_pictures, size_px, size_px, 3), np.uint8)
    for place, person in enumerate(labels[:, 0]):
        emotion = EMOTIONS[place // num_people % len(EMOTIONS)]
        images[place] = render_face(emotion, FIRST_PERSON * (seed + 1) + int(person), place, size_px)
        tell(place + 1)
    return Pictures(images, labels, (num_people,))


def render_cards(num_pictures: int, num_signs: int, size_px: int, seed: int, tell: Tell) -> Pictures:
    """Cards with a sign of the first `num_signs` near each corner. The questions: which signs, and which outline?"""
    classes = (num_signs,) * len(CORNERS) + (len(CARDS),)
    labels = np.random.default_rng([seed, 0]).integers(0, classes, (num_pictures, len(classes)))
    images = np.empty((num_pictures, size_px, size_px, 3), np.uint8)
    for place, row in enumerate(labels):
        images[place] = _draw_card(row[:-1], row[-1], size_px, np.random.default_rng([seed, 1, place]))
        tell(place + 1)
    return Pictures(images, labels, classes)


PRETEXTS = {"people": render_people, "cards": render_cards}


# -- one card --------------------------------------------------------------------------------------


def _draw_card(signs: np.ndarray, outline: int, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """RGB uint8 (size_px, size_px, 3): a shaded card before clutter, seen by a poor camera."""
    side = size_px * OVERSAMPLING
    picture = _draw_ground(side, rng)
    middle, reach = side * (0.5 + rng.normal(0, 0.05, 2)), side * rng.uniform(0.32, 0.48)
    turn, paper = rng.normal(0, 0.14), rng.uniform(0.15, 0.9, 3)
    corners = _turned(CARDS[outline] * rng.uniform(0.9, 1.1, 2), turn) * reach * 0.9 + middle
    _lay(picture, corners, paper, rng)
    spread = rng.uniform(0.33, 0.45)
    for corner, sign in zip(CORNERS, signs, strict=True):
        at = _turned(corner * spread + rng.normal(0, 0.03, 2), turn) * reach + middle
        size, ink = reach * rng.uniform(0.15, 0.3), _contrast_with(paper, rng)
        width_px = max(1, round(side * rng.uniform(0.01, 0.035)))
        for line in SIGNS[sign][1](rng):
            points = _fixed(_turned(line, turn + rng.normal(0, 0.08)) * size + at)
            if SIGNS[sign][0] == "spot":
                cv2.fillPoly(picture, [points], ink, cv2.LINE_AA, SUBPIXEL_BITS)
            else:
                cv2.polylines(picture, [points], False, ink, width_px, cv2.LINE_AA, SUBPIXEL_BITS)
    return _expose(picture, size_px, rng)


def _draw_ground(side: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, cloth or foliage with a few loose threads, float32 (side, side, 3) 0-1."""
    cells, base, contrast = int(rng.integers(2, 16)), rng.uniform(0.1, 0.9, 3), rng.uniform(0.02, 0.15)
    coarse = base + rng.normal(0, contrast, (cells, cells, 1)) + rng.normal(0, contrast / 2, (cells, cells, 3))
    picture = cv2.resize(coarse.astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(rng.integers(0, 4)):
        thread = (np.cumsum(rng.normal(0, 0.1, (5, 2)), axis=0) + rng.random(2)) * side
        width_px = 1 + int(side * rng.uniform(0.005, 0.03))
        cv2.polylines(picture, [_fixed(thread)], False, rng.random(3).tolist(), width_px, cv2.LINE_AA, SUBPIXEL_BITS)
    return picture


def _lay(picture: np.ndarray, corners: np.ndarray, paper: np.ndarray, rng: np.random.Generator) -> None:
    """Lays the card into the picture, lit from one side."""
    cover = np.zeros(picture.shape[:2], np.float32)
    cv2.fillPoly(cover, [_fixed(corners)], 1.0, cv2.LINE_AA, SUBPIXEL_BITS)
    axis, angle = np.linspace(-1, 1, len(picture), dtype=np.float32), rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.4) * (np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None])
    picture += cover[..., None] * (light[..., None] * paper - picture)


def _contrast_with(paper: np.ndarray, rng: np.random.Generator) -> list[float]:
    while True:
        ink = rng.random(3)
        if abs(ink.mean() - paper.mean()) > 0.15:
            return ink.tolist()


def _expose(picture: np.ndarray, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """Shrinks, blurs, brightens or darkens, and adds noise."""
    small = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.1, 0.9)) * rng.uniform(0.75, 1.25)
    small += rng.normal(0, rng.uniform(0, 0.06), small.shape)
    return (np.clip(small, 0, 1) * 255).round().astype(np.uint8)


def _turned(points: np.ndarray, angle: float) -> np.ndarray:
    return points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)


# -- outlines: points (n, 2) in -1..1, x to the right and y down ------------------------------------


def _arc(start_deg: float, end_deg: float, points: int = 16) -> np.ndarray:
    angles = np.deg2rad(np.linspace(start_deg, end_deg, points))
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _bar(degrees: float) -> np.ndarray:
    return _arc(degrees, degrees + 180, 2)


def _flat(points: np.ndarray, rng: np.random.Generator, least: float, most: float) -> np.ndarray:
    return points * [1, rng.uniform(least, most)]


DOWN = np.array([0, 0.5])
CARDS = (_arc(0, 360, 32) * [1, 1.15], _arc(45, 405, 5) * 1.25, _arc(0, 360, 32) * 1.05, _arc(90, 450, 7) * 1.15)
_WAVE = np.stack([np.linspace(-1, 1, 16), 0.4 * np.sin(np.linspace(-np.pi, np.pi, 16))], 1)
_Lines = Callable[[np.random.Generator], list[np.ndarray]]
SIGNS: tuple[tuple[str, _Lines], ...] = (
    ("bowl", lambda rng: [_flat(_arc(15, 165) - DOWN, rng, 0.4, 1.1)]),
    ("arch", lambda rng: [_flat(_arc(195, 345) + DOWN, rng, 0.4, 1.1)]),
    ("bar", lambda rng: [_bar(0)]),
    ("slope", lambda rng: [_bar(rng.uniform(-45, -20))]),
    ("fall", lambda rng: [_bar(rng.uniform(20, 45))]),
    ("ring", lambda rng: [_flat(_arc(0, 360, 24), rng, 0.5, 1.0)]),
    ("cross", lambda rng: [_bar(45), _bar(-45)]),
    ("wave", lambda rng: [_WAVE]),
    ("box", lambda rng: [_flat(_arc(45, 405, 5), rng, 0.4, 0.9)]),
    ("roof", lambda rng: [np.array([[-1, 0.4], [0, -0.4], [1, 0.4]])]),
    ("valley", lambda rng: [np.array([[-1, -0.4], [0, 0.4], [1, -0.4]])]),
    ("spot", lambda rng: [_flat(_arc(0, 360, 24), rng, 0.5, 1.0)]),
)
