"""Facial action units and what they do to the outlines of a synthetic face.

Coordinates: x to the right, y down, the origin between eyes and nose, one unit is about half a face's height
(chin near y = 1). Action units (AU, Ekman & Friesen's Facial Action Coding System, 1978) have a strength of 0-1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_utils.synthetic.canvas import smooth_curve

Strengths = dict[int, float]

# Emotion -> variants of its expression in EMFACS (Friesen & Ekman, 1983): AU -> strength at full intensity.
PROTOTYPES: dict[str, tuple[Strengths, ...]] = {
    "angry": (
        {4: 1.0, 5: 0.5, 7: 0.8, 23: 0.8, 24: 0.7, 17: 0.3},
        {4: 1.0, 5: 0.4, 7: 0.9, 24: 1.0},
        {4: 0.9, 5: 0.6, 7: 0.7, 10: 0.6, 23: 0.6, 25: 0.9},
    ),
    "disgust": (
        {9: 1.0, 10: 0.5, 4: 0.3, 7: 0.4, 17: 0.6},
        {9: 0.8, 10: 0.8, 7: 0.4, 16: 0.6, 25: 0.5},
        {9: 0.9, 15: 0.6, 16: 0.3, 17: 0.5, 7: 0.4},
    ),
    "fear": (
        {1: 1.0, 2: 0.6, 4: 0.7, 5: 1.0, 20: 0.9, 25: 0.7},
        {1: 0.9, 2: 0.5, 4: 0.6, 5: 0.9, 20: 1.0, 25: 0.6, 26: 0.4},
    ),
    "happy": (
        {6: 0.7, 12: 0.9, 25: 0.8},
        {6: 0.9, 12: 1.0, 25: 0.9, 26: 0.3},
        {6: 0.6, 12: 0.9},
    ),
    "neutral": ({},),
    "sad": (
        {1: 1.0, 4: 0.6, 15: 0.8, 17: 0.3},
        {1: 0.9, 4: 0.5, 15: 1.0, 17: 0.8},
        {1: 1.0, 4: 0.7, 7: 0.3, 15: 0.8, 20: 0.3, 25: 0.4},
    ),
    "surprise": (
        {1: 0.9, 2: 1.0, 5: 0.8, 25: 0.5, 26: 0.9},
        {1: 1.0, 2: 0.9, 5: 1.0, 25: 0.4, 26: 0.6},
    ),
}
EMOTIONS = tuple(sorted(PROTOTYPES))
ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 16, 17, 20, 23, 24, 25, 26)


def draw_action_units(emotion: str, rng: np.random.Generator, intensity: float | None = None) -> Strengths:
    """Strengths (0-1) of all ACTION_UNITS for one image of `emotion`; `intensity` 0-1, drawn where None.

    Every unit of the prototype varies by itself, and unrelated units flicker a little.
    """
    drawn = 0.4 + 0.6 * rng.beta(3.0, 1.0)
    variants = PROTOTYPES[emotion]
    variant = variants[int(rng.random() * len(variants))]  # one draw for every emotion
    wobble = rng.normal(1.12, 0.2, len(ACTION_UNITS))
    flicker = rng.random(len(ACTION_UNITS)) ** 5 * 0.35
    level = drawn if intensity is None else intensity
    return {
        unit: float(np.clip(level * variant.get(unit, 0.0) * wobble[i] + flicker[i], 0.0, 1.0))
        for i, unit in enumerate(ACTION_UNITS)
    }


@dataclass(frozen=True)
class Proportions:
    """What makes one skull and its soft parts different from another's; lengths in face units."""

    temple: float = 0.74  # half widths of the outline, from the temples down
    cheek: float = 0.76
    jaw: float = 0.60
    chin: float = 0.25
    chin_y: float = 1.04
    eye_x: float = 0.335
    eye_y: float = -0.03
    eye_half: float = 0.185
    eye_open: float = 1.0
    eye_tilt: float = 0.02  # outer corner above the inner one
    brow_y: float = -0.25
    brow_arch: float = 0.04
    brow_thick: float = 0.05
    nose_y: float = 0.36
    nose_half: float = 0.14
    nose_depth: float = 1.0
    mouth_y: float = 0.62
    mouth_half: float = 0.275
    lip_upper: float = 0.065
    lip_lower: float = 0.085


@dataclass(frozen=True)
class Outlines:
    """Points (n, 2) float64 of one face in one expression; of paired parts the image's left one comes first."""

    face: np.ndarray
    brows: tuple[np.ndarray, np.ndarray]  # from the inner to the outer end, along the middle line
    upper_lids: tuple[np.ndarray, np.ndarray]  # from the inner to the outer corner
    lower_lids: tuple[np.ndarray, np.ndarray]
    lip_upper: np.ndarray  # the four mouth curves run from the left to the right corner
    mouth_upper: np.ndarray
    mouth_lower: np.ndarray
    lip_lower: np.ndarray
    nose: tuple[float, float]  # the nose's base: y, half width

    @property
    def lip_corners_above_middle(self) -> float:
        """How far the mouth's corners stand above the middle of the line between the lips."""
        middle = len(self.mouth_upper) // 2
        line_y = (self.mouth_upper[middle, 1] + self.mouth_lower[middle, 1]) / 2
        return float(line_y - (self.mouth_upper[0, 1] + self.mouth_upper[-1, 1]) / 2)


def place_outlines(shape: Proportions, units: Strengths, lopsided: float = 0.0) -> Outlines:
    """The outlines of `shape` under the action units; `lopsided` (-1 to 1) strengthens one side of the mouth."""
    au = {unit: units.get(unit, 0.0) for unit in ACTION_UNITS}
    lids = [_place_lids(shape, au, side) for side in (-1, 1)]
    upper, inner_upper, inner_lower, lower = _place_mouth(shape, au, lopsided)
    nose_y = shape.nose_y - 0.05 * au[9] - 0.02 * au[10]
    nose_half = shape.nose_half + 0.02 * au[9] + 0.015 * au[12]
    return Outlines(
        face=_place_face(shape, au),
        brows=(_place_brow(shape, au, -1), _place_brow(shape, au, 1)),
        upper_lids=(lids[0][0], lids[1][0]),
        lower_lids=(lids[0][1], lids[1][1]),
        lip_upper=upper,
        mouth_upper=inner_upper,
        mouth_lower=inner_lower,
        lip_lower=lower,
        nose=(nose_y, nose_half),
    )


def _place_face(shape: Proportions, au: Strengths) -> np.ndarray:
    drop = 0.13 * au[26] + 0.02 * au[25] - 0.02 * au[17] - 0.01 * au[24]
    full = 0.02 * au[12]
    right = np.array(
        [
            (0.46 * shape.temple, -0.95),
            (0.84 * shape.temple, -0.74),
            (shape.temple, -0.38),
            (shape.cheek + 0.3 * full, 0.05),
            (0.5 * shape.cheek + 0.5 * shape.jaw + full, 0.42 + 0.2 * drop),
            (shape.jaw, 0.68 + 0.6 * drop),
            (0.48 * shape.jaw + 0.52 * shape.chin, 0.91 * shape.chin_y + drop),
            (0.55 * shape.chin, shape.chin_y - 0.008 + drop),
        ]
    )
    left = right[::-1] * (-1, 1)
    ring = np.concatenate([[(0.0, -1.02)], right, [(0.0, shape.chin_y + 0.005 + drop)], left])
    return smooth_curve(ring, steps=5, closed=True)


def _place_brow(shape: Proportions, au: Strengths, side: int) -> np.ndarray:
    y, arch = shape.brow_y, shape.brow_arch
    inner = (0.15 - 0.045 * au[4], y + 0.008 - 0.140 * au[1] - 0.02 * au[2] + 0.128 * au[4] + 0.05 * au[9])
    bend = (0.27, y - 0.5 * arch - 0.085 * au[1] - 0.06 * au[2] + 0.095 * au[4] + 0.03 * au[9])
    peak = (0.42, y - arch - 0.02 * au[1] - 0.11 * au[2] + 0.03 * au[4] + 0.01 * au[9])
    outer = (0.565, y + 0.035 - 0.10 * au[2] + 0.015 * au[1] + 0.015 * au[6])
    return smooth_curve(np.array([inner, bend, peak, outer]), steps=5) * (side, 1)


def _place_lids(shape: Proportions, au: Strengths, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower lid from the inner to the outer corner."""
    up = shape.eye_open * (0.088 + 0.055 * au[5] - 0.020 * au[7] - 0.012 * au[6] - 0.012 * au[4] - 0.02 * au[9])
    up = max(up - 0.02 * au[1] * (1 - au[5]) * (1 - au[2]), 0.012)  # sorrow lets the lid hang
    down = max(shape.eye_open * 0.052 - 0.028 * au[7] - 0.034 * au[6] - 0.02 * au[9] + 0.008 * au[5], 0.004)
    slant = 0.03 * au[1] * (1 - au[2]) - 0.02 * au[4] * (1 - au[1])  # inner half of the upper lid up or down
    t = np.linspace(-1.0, 1.0, 15)
    dome = (1 - t**2) ** 0.8
    x = shape.eye_x + shape.eye_half * t
    corner_y = shape.eye_y - shape.eye_tilt * t
    upper_y = corner_y - up * dome * (1 + 0.12 * t) + slant * t * dome
    lower_y = corner_y + down * dome * (1 + 0.10 * t)
    return np.stack([side * x, upper_y], 1), np.stack([side * x, lower_y], 1)


def _place_mouth(shape: Proportions, au: Strengths, lopsided: float) -> tuple[np.ndarray, ...]:
    """Upper edge of the upper lip, both edges of the opening, lower edge of the lower lip; 21 points each."""
    press = min(0.65 * au[24] + 0.55 * au[23], 0.85)
    half = shape.mouth_half * (1 + 0.34 * au[12] + 0.30 * au[20] - 0.18 * au[26] - 0.10 * au[24] - 0.08 * au[23])
    t = np.linspace(-1.0, 1.0, 21)
    tilt = 1 + 0.35 * lopsided * t  # one side's corner muscle pulls more
    corner_y = shape.mouth_y + (-0.150 * au[12] + 0.112 * au[15]) * tilt + 0.02 * au[20] + 0.05 * au[26]
    middle = shape.mouth_y + 0.015 * au[12] - 0.03 * au[15] - 0.045 * au[17] - 0.02 * au[10] + 0.05 * au[26]
    open_up = 0.030 * au[25] + 0.05 * au[26] + 0.055 * au[10] * au[25]
    open_down = (0.085 * au[25] + 0.22 * au[26] + 0.05 * au[16]) * (1 - 0.5 * press)
    bow = 0.012 * (1 - 0.7 * au[12]) * (1 - press)
    thick_up = shape.lip_upper * (1 - press) * (1 - 0.25 * au[12] - 0.25 * au[20])
    thick_down = shape.lip_lower * (1 - 0.9 * press) * (1 - 0.2 * au[12] - 0.2 * au[20]) + 0.025 * au[17] * (1 - press)
    round_off = 0.95 - 0.45 * max(au[26], 0.6 * au[20] * au[25], 0.7 * au[10] * au[25])  # from bow to box
    dome = np.clip(1 - t**2, 0, None) ** round_off
    lip_dome = np.clip(1 - np.abs(t) ** 2.2, 0, None)
    arc = corner_y + (middle - corner_y) * (1 - t**2)
    cupid = bow * np.exp(-((t / 0.22) ** 2))
    inner_up = arc - open_up * dome
    inner_low = arc + open_down * dome
    upper = inner_up - thick_up * lip_dome * (1 + 0.12 * np.exp(-(((np.abs(t) - 0.3) / 0.2) ** 2))) + cupid
    upper -= 0.03 * au[10] * np.exp(-(((np.abs(t) - 0.35) / 0.3) ** 2)) * lip_dome
    lower = inner_low + thick_down * np.clip(1 - t**2, 0, None) ** 0.8 + 0.03 * au[16] * dome
    x = half * t
    return tuple(np.stack([x, y], 1) for y in (upper, inner_up, inner_low, lower))
