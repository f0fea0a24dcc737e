"""Images that the stand-ins for pretrained weights learn from: synthetic persons, who are in no data set.

What is asked of them is who they are and how they hold their faces at rest: any brows with any lids and any mouth, by
chance and not by emotion. No emotion is rendered, and none is asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from emotion_utils.synthetic.action_units import Strengths, draw_action_units
from emotion_utils.synthetic.faces import iterate_views
from emotion_utils.synthetic.person import Appearance, draw_appearance

FIRST_PERSON = 1_000_000  # seeds of persons from here on belong to the pretext task
SIBLINGS = 5  # persons who share skin, hair and all other looks but their proportions
TAKES = 4  # images of one moment: painting a head takes longer than an image of it
IMAGE_PX = 48  # the side of a whole image of a person, as in the demo profile

Tell = Callable[[int], None]  # images rendered so far


class PretextImages(NamedTuple):
    """images uint8 (N, H, W, 3) RGB; labels int64 (N, Q), the answers to Q questions; classes: how many each has."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[int, ...]

    def digest(self) -> str:
        """SHA-256 (hex) of images and answers."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()


def render_persons(num_images: int, num_persons: int, size_px: int, seed: int, tell: Tell) -> PretextImages:
    """The middles of images of persons. The questions: who is it, and how are brows, lids and mouth held at rest?

    Brothers and sisters look alike but for that and for their proportions, so that hair and skin alone tell nobody.
    """
    habits = np.random.default_rng([seed, 2]).integers(0, _WAYS, (num_persons, len(_WAYS)))
    labels = np.empty((num_images, 1 + len(_WAYS)), np.int64)
    images = np.empty((num_images, size_px, size_px, 3), np.uint8)
    for moment, start in enumerate(range(0, num_images, TAKES)):
        person, takes = moment % num_persons, slice(start, min(start + TAKES, num_images))
        labels[takes] = person, *habits[person]
        rng = np.random.default_rng([seed, 3, moment])
        views = iterate_views(find_person(seed, person), _hold(habits[person], rng), rng, IMAGE_PX)
        for place, view in zip(range(takes.start, takes.stop), views, strict=False):
            images[place] = _cut_middle(view, size_px, rng)
            tell(place + 1)
    return PretextImages(images, labels, (num_persons, *_WAYS))


def render_traits(num_images: int, num_persons: int, size_px: int, seed: int, tell: Tell) -> PretextImages:
    """The same without the first question, for which there are too many persons: what anybody's face shows."""
    images = render_persons(num_images, num_persons, size_px, seed, tell)
    return PretextImages(images.images, images.labels[:, 1:], images.classes[1:])


PRETEXTS = {"people": render_persons, "traits": render_traits}


# -- persons ---------------------------------------------------------------------------------------

# How a face may be held at rest: for each part some ways, each the action units that it takes at full strength.
HABITS: dict[str, tuple[Strengths, ...]] = {
    "brows": ({}, {1: 1.0}, {2: 1.0}, {4: 1.0}, {1: 0.9, 2: 0.9}),
    "lids": ({}, {5: 1.0}, {6: 1.0}, {7: 1.0}),
    "mouth": (
        {}, {10: 1.0}, {12: 1.0}, {15: 1.0}, {17: 1.0}, {20: 1.0}, {24: 1.0}, {25: 1.0}, {25: 0.6, 26: 1.0},
    ),
}  # fmt: skip
_WAYS = tuple(map(len, HABITS.values()))


@lru_cache(maxsize=256)
def find_person(seed: int, person: int) -> Appearance:
    """Everybody has proportions of their own; SIBLINGS in a row share all other looks."""
    first, own = FIRST_PERSON * (seed + 1) + person // SIBLINGS, FIRST_PERSON * (seed + 2) - 1 - person
    family = draw_appearance(np.random.default_rng([first, 0]))
    return replace(family, shape=draw_appearance(np.random.default_rng([own, 0])).shape)


def _hold(habits: np.ndarray, rng: np.random.Generator) -> Strengths:
    """The action units of a face at rest, more or less, and some flicker, as in every synthetic face."""
    units = draw_action_units("neutral", rng)
    for ways, way in zip(HABITS.values(), habits, strict=True):
        for unit, strength in ways[way].items():
            units[unit] = min(1.0, units[unit] + strength * rng.uniform(0.5, 1.0))
    return units


def _cut_middle(image: np.ndarray, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """The square from brows to chin, or thereabouts: what stays is as large as in a whole image."""
    room = len(image) - size_px
    top, left = np.clip(room * np.array([0.7, 0.5]) + rng.uniform(-3, 3, 2), 0, room).round().astype(int)
    return image[top : top + size_px, left : left + size_px]
