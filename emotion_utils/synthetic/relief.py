"""The face as a landscape, and the light that falls on it.

The folds that action units throw, and the bulges between them, are heights: they shade themselves under any lamp.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emotion_utils.synthetic.action_units import Outlines, Strengths
from emotion_utils.synthetic.canvas import Canvas, moved_down, resize, smooth_curve, sum_bumps
from emotion_utils.synthetic.person import Appearance

Fold = tuple[float, float, list]  # strength 0-1, width, points


@dataclass(frozen=True)
class Light:
    """A key light over an even fill (RGB); the direction points from the face to the lamp (x right, y down, z out)."""

    direction: tuple[float, float, float]
    key: tuple[float, float, float]
    fill: tuple[float, float, float]


def draw_folds(canvas: Canvas, looks: Appearance, units: Strengths, lines: Outlines) -> np.ndarray:
    """Strength (0-1) of the skin's folds over the canvas, (S, S) float32."""
    mask = np.zeros((canvas.size_px, canvas.size_px), np.uint8)
    folds = _folds_of_middle(looks, units, lines)
    for side in (0, 1):
        folds += _folds_of_eye(looks, units, lines, side) + _folds_of_cheek(looks, units, lines, side)
    for strength, width, points in folds:
        if strength < 0.06:
            continue
        curve = canvas.to_px(smooth_curve(points, 16 // len(points)))
        for share in (0.25, 0.5, 0.75, 1.0):  # a fold runs out at its ends
            inset = int(len(curve) * 0.4 * (share - 0.25))
            canvas.draw_line(mask, [curve[inset : len(curve) - inset]], width, share * min(strength, 1.0))
    return canvas.blur(mask * np.float32(1 / 255), 0.012)


def _folds_of_cheek(looks: Appearance, au: Strengths, lines: Outlines, side: int) -> list[Fold]:
    sign, (nose_y, nose_half) = 2 * side - 1, lines.nose
    x, y = lines.lip_upper[-side]
    start = (sign * (nose_half + 0.01), nose_y - 0.06)
    bend = ((start[0] + x) / 2 + sign * (0.06 + 0.03 * au[12]), (start[1] + y) / 2 - 0.01)
    end = (x + sign * (0.075 + 0.02 * au[12]), y + 0.02 + 0.06 * au[12])
    beside_nose = 0.12 + 0.35 * looks.age + 0.75 * au[12] + 0.5 * au[10] + 0.55 * au[9] + 0.15 * au[6] + 0.2 * au[20]
    below_mouth = 0.25 * looks.age + 0.75 * au[15] + 0.2 * au[17]
    return [
        (beside_nose, 0.028, [start, bend, end]),
        (below_mouth, 0.022, [(x + sign * 0.015, y + 0.01), (x + sign * 0.05, y + 0.12)]),
        (0.6 * au[12], 0.02, [(x + sign * 0.035, y - 0.03), (x + sign * 0.05, y + 0.03)]),
    ]


def _folds_of_eye(looks: Appearance, au: Strengths, lines: Outlines, side: int) -> list[Fold]:
    sign, lid, brow_y = 2 * side - 1, lines.lower_lids[side], looks.shape.brow_y
    x, y = lid[-1]
    pouch = 0.15 + 0.35 * looks.age + 0.5 * au[6] + 0.4 * au[7] + 0.3 * au[9]
    frown = [(sign * 0.062, brow_y - 0.09), (sign * 0.042, brow_y), (sign * 0.055, brow_y + 0.10)]
    crow = 0.25 * looks.age + 0.65 * au[6]
    feet = [[(x + sign * 0.05, y + 0.6 * dy), (x + sign * 0.14, y + 1.8 * dy)] for dy in (-0.05, 0.0, 0.05)]
    return [
        (pouch, 0.02, list(moved_down(lid[[2, 7, 12]], 0.05))),
        (0.75 * au[4], 0.02, frown),
        (0.9 * au[9], 0.018, [(sign * 0.02, 0.02), (sign * 0.09, -0.04)]),
        (0.8 * au[9], 0.018, [(sign * 0.02, 0.08), (sign * 0.10, 0.03)]),
        *[(crow, 0.014, foot) for foot in feet],
    ]


def _folds_of_middle(looks: Appearance, au: Strengths, lines: Outlines) -> list[Fold]:
    reach, bow = 0.16 + 0.28 * au[2], 0.02 - 0.05 * au[1]
    raised = 0.8 * au[1] * (0.55 + 0.45 * au[2]) + 0.22 * max(looks.age - 0.3, 0)
    chin_y = lines.lip_lower[10, 1] + 0.09
    return [
        *[
            (raised * (1 - 0.15 * rank), 0.018, [(-reach, y - bow), (0.0, y), (reach, y - bow)])
            for rank, y in enumerate((-0.43, -0.51, -0.59))
        ],
        (0.1 + 0.8 * au[17], 0.026, [(-0.13, chin_y + 0.06), (0.0, chin_y), (0.13, chin_y + 0.06)]),
    ]


def raise_relief(canvas: Canvas, looks: Appearance, au: Strengths, lines: Outlines, folds: np.ndarray) -> np.ndarray:
    """Height of head and face towards the viewer, in face units, at half the canvas's size: (S/2, S/2) float32."""
    half_px = canvas.size_px // 2
    relief = sum_bumps(half_px, _paired_bumps(looks, au, lines) + _middle_bumps(looks, au, lines))
    small = cv2.resize(canvas.alpha, (half_px // 2, half_px // 2), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.11 * canvas.unit_px / 4)  # the whole head curves away at its edge
    relief += 0.42 * cv2.resize(small, (half_px, half_px), interpolation=cv2.INTER_CUBIC)
    relief -= 0.022 * cv2.resize(folds, (half_px, half_px), interpolation=cv2.INTER_AREA)
    return relief


def _paired_bumps(looks: Appearance, au: Strengths, lines: Outlines) -> list[tuple[float, ...]]:
    shape, (nose_y, nose_half) = looks.shape, lines.nose
    cheek_y = 0.22 - 0.07 * au[12] - 0.03 * au[6]
    right = [
        (0.33, shape.brow_y + 0.03 * au[4], 0.18, 0.07, 0.045 + 0.02 * au[4]),
        (shape.eye_x, shape.eye_y - 0.03, 0.16, 0.10, -0.085),
        (shape.eye_x, shape.eye_y, 0.11, 0.08, 0.05),
        (0.44, cheek_y, 0.16, 0.13, 0.05 + 0.05 * au[12] + 0.03 * au[6]),
        (0.80 * nose_half, nose_y - 0.04, 0.05, 0.05, 0.06),
        (0.07, -0.27, 0.04, 0.06, 0.025 * au[4]),
        (0.50, 0.62, 0.14, 0.20, -0.02 + 0.02 * au[12]),
    ]
    return right + [(-x, *rest) for x, *rest in right]


def _middle_bumps(looks: Appearance, au: Strengths, lines: Outlines) -> list[tuple[float, ...]]:
    deep, nose_y = looks.shape.nose_depth, lines.nose[0]
    upper_y, lower_y = lines.lip_upper[10, 1], lines.lip_lower[10, 1]
    mouth_y = (lines.mouth_upper[10, 1] + lines.mouth_lower[10, 1]) / 2
    full = 1 - au[24]
    return [
        (0.0, -0.15, 0.62, 0.85, 0.85),
        (0.0, -0.10, 0.055, 0.10, 0.033 * deep),
        (0.0, 0.02, 0.064, 0.10, 0.050 * deep),
        (0.0, 0.14, 0.076, 0.10, 0.072 * deep),
        (0.0, nose_y - 0.07, 0.085, 0.075, 0.15 * deep),
        (0.0, mouth_y, 0.26, 0.13, 0.06),
        (0.0, upper_y + 0.03, 0.16, 0.035, 0.02 * full),
        (0.0, lower_y - 0.045, 0.15, 0.04, 0.03 * full),
        (0.0, lower_y + 0.055, 0.15, 0.04, -0.03),
        (0.0, lines.face[:, 1].max() - 0.12, 0.17, 0.10, 0.05 + 0.03 * au[17]),
        (0.0, 1.25, 0.9, 0.14, -0.25),
    ]


def shed_light(canvas: Canvas, relief: np.ndarray, light: Light) -> None:
    """Multiplies the flat colours with wrapped diffuse light and adds a soft sheen where the canvas is glossy."""
    half_px = relief.shape[0]
    slope_x = cv2.Sobel(relief, cv2.CV_32F, 1, 0, scale=canvas.unit_px / 16)
    slope_y = cv2.Sobel(relief, cv2.CV_32F, 0, 1, scale=canvas.unit_px / 16)
    steep = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    x, y, z = np.float32(light.direction)
    diffuse = np.clip(((z - x * slope_x - y * slope_y) * steep + 0.3) / 1.3, 0, 1)
    between = np.float32((x, y, z + 1)) / np.linalg.norm((x, y, z + 1)).astype(np.float32)
    shine = np.clip((between[2] - between[0] * slope_x - between[1] * slope_y) * steep, 0, 1)
    for _ in range(4):
        shine *= shine
    # Blood scatters red: in the half shadow skin turns warm before it turns dark.
    glow = 0.5 * (1 - diffuse) * diffuse * np.minimum(resize(canvas.gloss, half_px), 1)
    bright = diffuse[..., None] * np.float32(light.key) + np.float32(light.fill)
    bright[..., 0] += glow * np.float32(light.key[0])
    canvas.rgb *= resize(bright, canvas.size_px)
    canvas.rgb += (np.float32(0.10) * resize(shine, canvas.size_px) * canvas.gloss)[..., None] * np.float32(light.key)
