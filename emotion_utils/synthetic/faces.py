"""The embedded data set: synthetic persons whose faces move by the action units of their emotion.

Nothing is stored: an image follows from its emotion, its person and its own number alone, and can be rendered again at
any size. Every person shows several emotions, so that a split can keep persons together. No torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.synthetic.action_units import PROTOTYPES, Strengths, draw_action_units, place_outlines
from emotion_utils.synthetic.head import paint_head
from emotion_utils.synthetic.person import Appearance, draw_appearance, draw_cloth
from emotion_utils.synthetic.scene import draw_light, draw_pose, render_view, turn_light

EMOTIONS = tuple(sorted(PROTOTYPES))
IMAGES_PER_PERSON = (5, 8)  # fewest, most
OVERSAMPLING = 2.75  # side of the canvas on which a head is painted, in sides of the image
_PERSONS_OF_A_SEED = 2**32  # seeds of persons from here on belong to tables, smaller ones are free for other uses
_PATH = re.compile(r"([a-z]+)/person_(\d+)_(\d+)\.png")


def render_face(
    emotion: str, person_seed: int, image_seed: int, size_px: int = 96, intensity: float | None = None
) -> np.ndarray:
    """One image: RGB uint8 (size_px, size_px, 3).

    Pose, light, background and camera follow from the two seeds and not from the emotion. `intensity` is 0-1; None
    draws it, and some faces show little. Raises InputError for an emotion that is not one of EMOTIONS.
    """
    _check_emotions([emotion])
    scene = np.random.default_rng([person_seed, image_seed, 1])
    units = draw_action_units(emotion, np.random.default_rng([person_seed, image_seed, 2]), intensity)
    return next(iterate_views(_find_person(person_seed), units, scene, size_px))


def iterate_views(looks: Appearance, units: Strengths, rng: np.random.Generator, size_px: int) -> Iterator[np.ndarray]:
    """Endless images, RGB uint8 (size_px, size_px, 3), of one moment: light, clothes and gaze stay, pose and
    background change. The first takes most of the time; `rng` draws everything that is not the face."""
    pose, light, shirt = draw_pose(rng), draw_light(rng), draw_cloth(rng)
    gaze_x, gaze_y = np.clip(rng.normal(0, (0.022, 0.010)), -0.05, 0.05)
    lines = place_outlines(looks.shape, units, lopsided=float(np.clip(rng.normal(0, 0.3), -1, 1)))
    canvas_px = int(OVERSAMPLING * size_px) // 4 * 4
    head, alpha = paint_head(canvas_px, looks, units, lines, turn_light(light, pose), (gaze_x, gaze_y), shirt)
    while True:
        yield render_view(head, alpha, pose, size_px, rng)
        pose = draw_pose(rng)


def synthetic_table(num_images: int, classes: Sequence[str], seed: int) -> pd.DataFrame:
    """Rows `path, label, group, split` ("") in the order of persons; a longer table starts with a shorter one.

    The classes are as balanced as the number allows, and follow one another at random.
    """
    _check_emotions(classes)
    rng = np.random.default_rng([seed, 0])
    labels = _deal_labels(classes, rng)
    rows: list[tuple[str, str, str, str]] = []
    person = 0
    while len(rows) < num_images:
        group = f"person_{person:03d}"
        for image in range(np.random.default_rng([seed, 1, person]).integers(*IMAGES_PER_PERSON, endpoint=True)):
            label = next(labels)
            rows.append((f"{label}/{group}_{image:03d}.png", label, group, ""))
        person += 1
    return pd.DataFrame(rows[:num_images], columns=["path", "label", "group", "split"])


def render_path(path: str, seed: int, size_px: int) -> np.ndarray:
    """The image of a row of `synthetic_table(..., seed)`: RGB uint8 (size_px, size_px, 3)."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise InputError(f"{path!r} is not the path of a synthetic face, which looks like happy/person_012_003.png")
    emotion, person, image = match.groups()
    return render_face(emotion, _PERSONS_OF_A_SEED * (seed + 1) + int(person), int(image), size_px)


def _deal_labels(classes: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Endless labels; every run of len(classes) of them holds each class once."""
    while True:
        yield from (str(label) for label in rng.permutation(list(classes)))


def _check_emotions(names: Sequence[str]) -> None:
    for name in names:
        if name not in PROTOTYPES:
            raise InputError(f"there are no synthetic faces for {name!r}; the emotions are {', '.join(EMOTIONS)}")


@lru_cache(maxsize=256)
def _find_person(person_seed: int) -> Appearance:
    return draw_appearance(np.random.default_rng([person_seed, 0]))
