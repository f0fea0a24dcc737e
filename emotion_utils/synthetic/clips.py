"""Synthetic faces in motion: expressions that rise, hold and fall, heads that move; known at every frame. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from emotion_utils.synthetic.action_units import Strengths, draw_action_units, place_outlines
from emotion_utils.synthetic.faces import OVERSAMPLING
from emotion_utils.synthetic.head import paint_head
from emotion_utils.synthetic.person import draw_appearance, draw_cloth
from emotion_utils.synthetic.scene import (
    Pose,
    draw_background,
    draw_light,
    draw_pose,
    find_places,
    render_view,
    turn_light,
)

HEAD_SCALE = 0.72  # of a face unit in half the side of a head's square: hair and shoulders have room
ONSET_S = 0.5  # from one expression to the next; posed smiles take 0.4 to 0.8 s
STEPS = 12  # different expressions on the way: heads between them are painted once
SWAY_S = 3.1  # period of a head's slow movement
FACE_SIDE = 1.45  # of the square from brows to chin, in face units ...
FACE_MIDDLE_Y = 0.22  # ... and its middle, below the origin of the face


@dataclass(frozen=True)
class Actor:
    """A person in a clip: a course of expressions, a path, and the seconds between which it is there."""

    person_seed: int
    course: tuple[tuple[str, float], ...]  # emotion, and the second from which on it rises
    path: tuple[tuple[float, float, float], ...]  # time in s and place (x, y) of the head's middle, in pixels
    size_px: int = 160  # side of the square that holds the head
    present_s: tuple[float, float] = (0.0, 1e9)

    def place_at(self, time_s: float) -> tuple[float, float]:
        times, across, down = zip(*self.path, strict=True)
        return float(np.interp(time_s, times, across)), float(np.interp(time_s, times, down))


@dataclass(frozen=True)
class TrueFace:
    """What is known of a face in a frame."""

    person_seed: int
    box: tuple[float, float, float, float]  # left, top, width, height, in pixels: from the brows to the chin
    emotion: str  # the stronger of the two expressions between which the face is
    strength: float  # 0-1, of the expression that rises


def draw_course(
    names: Sequence[str], seconds: float, hold_s: tuple[float, float], rng: np.random.Generator
) -> list[tuple[str, float]]:
    """Expressions one after the other, no two alike, each held for a time within `hold_s`.

    The first has risen when the clip begins.
    """
    course, time_s = [(str(rng.choice(names)), -ONSET_S)], float(rng.uniform(*hold_s))
    while time_s < seconds:
        course.append((str(rng.choice([name for name in names if name != course[-1][0]])), time_s))
        time_s += float(rng.uniform(*hold_s))
    return course


def expression_at(course: Sequence[tuple[str, float]], time_s: float) -> tuple[str, str, float]:
    """The expression that fades, the one that rises, and how far it has risen, 0-1, at `time_s`."""
    begun = max(sum(start <= time_s for _, start in course), 1)
    emotion, start = course[begun - 1]
    before = course[begun - 2][0] if begun > 1 else "neutral"
    return before, emotion, float(np.clip((time_s - start) / ONSET_S, 0, 1))


def emotion_at(course: Sequence[tuple[str, float]], time_s: float) -> str:
    """The expression that is the stronger one at `time_s`."""
    before, emotion, risen = expression_at(course, time_s)
    return emotion if risen >= 0.5 else before


def blend_units(before: Strengths, after: Strengths, share: float) -> Strengths:
    """Action units between two expressions; `share` 0-1 of the second."""
    return {unit: (1 - share) * strength + share * after[unit] for unit, strength in before.items()}


def render_sequence(
    person_seed: int, seed: int, course: Sequence[tuple[str, float]], times_s: Sequence[float], size_px: int
) -> Iterator[np.ndarray]:
    """One face alone at each of `times_s`: uint8 (size_px, size_px, 3), with a camera's noise. The head sways."""
    rng = np.random.default_rng([person_seed, seed, 5])
    looks, shirt = draw_appearance(np.random.default_rng([person_seed, 0])), draw_cloth(rng)
    pose, light, phase = draw_pose(rng), draw_light(rng), rng.uniform(0, 2 * np.pi, 3)
    units = {
        emotion: draw_action_units(emotion, np.random.default_rng([person_seed, seed, 6]), 0.9)
        for emotion in {"neutral", *(emotion for emotion, _ in course)}
    }
    scene_seed = int(rng.integers(2**31))
    canvas_px = int(OVERSAMPLING * size_px) // 4 * 4

    @lru_cache(maxsize=4)
    def head(before: str, after: str, step: int) -> tuple[np.ndarray, np.ndarray]:
        blended = blend_units(units[before], units[after], step / STEPS)
        lines = place_outlines(looks.shape, blended)
        return paint_head(canvas_px, looks, blended, lines, turn_light(light, pose), (0.0, 0.0), shirt)

    for number, time_s in enumerate(times_s):
        before, after, risen = expression_at(course, time_s)
        view = np.random.default_rng([scene_seed, number])  # of background, lens and sensor, all drawn anew
        yield render_view(*head(before, after, round(STEPS * risen)), _sway(pose, phase, time_s), size_px, view)


def render_clip(
    actors: Sequence[Actor], width: int, height: int, fps: float, seconds: float, seed: int = 0
) -> Iterator[tuple[np.ndarray, list[TrueFace]]]:
    """Frames uint8 (height, width, 3) of `actors` before a wall, the later ones in front; and what is known."""
    rng = np.random.default_rng([seed, 7])
    wall = cv2.resize(draw_background(64, rng), (width, height), interpolation=cv2.INTER_CUBIC)
    heads = [_Head(actor) for actor in actors]
    for number in range(round(seconds * fps)):
        time_s, frame, known = number / fps, wall.copy(), []
        for actor, head in zip(actors, heads, strict=True):
            if actor.present_s[0] <= time_s < actor.present_s[1]:
                known.append(head.paint(frame, time_s))
        noise = np.random.default_rng([seed, 8, number]).standard_normal(frame.shape[:2], dtype=np.float32)
        yield (np.clip(frame + 0.01 * noise[..., None], 0, 1) * 255 + 0.5).astype(np.uint8), known


class _Head:
    """An actor's head; each expression is painted once."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor
        rng = np.random.default_rng([actor.person_seed, 9])
        self._looks = draw_appearance(np.random.default_rng([actor.person_seed, 0]))
        self._shirt, self._phase = draw_cloth(rng), rng.uniform(0, 2 * np.pi, 3)
        self._pose, self._light = Pose(0.0, 0.0, 0.0, HEAD_SCALE, (0.0, 0.0)), draw_light(rng)
        self._painted: dict[tuple[str, str, int], np.ndarray] = {}

    def paint(self, frame: np.ndarray, time_s: float) -> TrueFace:
        """Puts the head into `frame`, float32 (H, W, 3) 0-1."""
        actor = self._actor
        before, after, risen = expression_at(actor.course, time_s)
        across, down = actor.place_at(time_s)
        left, top, size = round(across - actor.size_px / 2), round(down - actor.size_px / 2), actor.size_px
        pose = _sway(self._pose, self._phase, time_s)
        canvas = self._find(before, after, round(STEPS * risen))
        map_x, map_y = find_places(pose, size, canvas.shape[0])
        head = cv2.remap(canvas, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        rows = slice(max(0, top), max(0, min(frame.shape[0], top + size)))
        columns = slice(max(0, left), max(0, min(frame.shape[1], left + size)))
        part = head[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        frame[rows, columns] += part[..., 3:] * (part[..., :3] - frame[rows, columns])
        unit = HEAD_SCALE * size / 2  # pixels of a face unit
        x, y = (size / 2 + unit * value for value in (pose.shift[0], pose.shift[1] - 0.08 + FACE_MIDDLE_Y))
        side = FACE_SIDE * unit
        box = (left + x - side / 2, top + y - side / 2, side, side)
        return TrueFace(actor.person_seed, box, emotion_at(actor.course, time_s), risen)

    def _find(self, before: str, after: str, step: int) -> np.ndarray:
        key = before, after, step
        if key not in self._painted:
            actor = self._actor
            units = self._units()
            blended = blend_units(units[before], units[after], step / STEPS)
            lines = place_outlines(self._looks.shape, blended)
            canvas_px = int(1.5 * actor.size_px) // 4 * 4
            light = turn_light(self._light, self._pose)
            rgb, alpha = paint_head(canvas_px, self._looks, blended, lines, light, (0.0, 0.0), self._shirt)
            self._painted[key] = np.dstack([rgb, alpha])
        return self._painted[key]

    def _units(self) -> Mapping[str, Strengths]:
        actor = self._actor
        names = {"neutral", *(emotion for emotion, _ in actor.course)}
        return {name: draw_action_units(name, np.random.default_rng([actor.person_seed, 6]), 0.9) for name in names}


def _sway(pose: Pose, phase: np.ndarray, time_s: float) -> Pose:
    """The pose of a head that is not quite still."""
    yaw, pitch, roll = np.sin(2 * np.pi * time_s / SWAY_S + phase) * (4, 2, 2)
    return replace(pose, yaw=pose.yaw + yaw, pitch=pose.pitch + pitch, roll=pose.roll + roll)
