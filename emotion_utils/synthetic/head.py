"""Paints one head: flat colours first, then light on the relief of the face."""

from __future__ import annotations

import numpy as np

from emotion_utils.synthetic.action_units import Outlines, Strengths
from emotion_utils.synthetic.canvas import (
    Canvas,
    Paint,
    ellipse,
    moved_down,
    resize,
    smooth_curve,
    soft_noise,
    sum_bumps,
    tint,
)
from emotion_utils.synthetic.features import Gaze, paint_eye, paint_glasses, paint_glint, paint_mouth, paint_nose
from emotion_utils.synthetic.hair import paint_back_hair, paint_beard, paint_brow, paint_hair, paint_strands
from emotion_utils.synthetic.person import Appearance
from emotion_utils.synthetic.relief import Light, draw_folds, raise_relief, shed_light


def paint_head(
    size_px: int, looks: Appearance, units: Strengths, lines: Outlines, light: Light, gaze: Gaze, shirt: Paint
) -> tuple[np.ndarray, np.ndarray]:
    """A lit head seen from the front: RGB (S, S, 3) and coverage (S, S), float32 0-1."""
    canvas = Canvas(size_px)
    strands = paint_strands(size_px, looks)
    paint_back_hair(canvas, looks, strands)
    _paint_bust(canvas, looks, strands, shirt)
    _paint_skin(canvas, looks, units, lines)
    folds = draw_folds(canvas, looks, units, lines)
    canvas.rgb *= 1 - folds[..., None] * np.float32([0.34, 0.42, 0.42])
    for side in (0, 1):
        paint_eye(canvas, looks, lines, side, gaze)
    paint_nose(canvas, looks, lines)
    paint_beard(canvas, looks, lines, strands)
    paint_mouth(canvas, looks, units, lines)
    for brow in lines.brows:
        paint_brow(canvas, looks, brow)
    paint_hair(canvas, looks, strands)
    shed_light(canvas, raise_relief(canvas, looks, units, lines, folds), light)
    for side in (0, 1):
        paint_glint(canvas, looks, lines, side, gaze, from_right=light.direction[0] > 0)
    paint_glasses(canvas, looks)
    return canvas.rgb, canvas.alpha


def _paint_bust(canvas: Canvas, looks: Appearance, strands: np.ndarray, shirt: Paint) -> None:
    """Neck, shoulders and ears."""
    half = 0.34 + 0.25 * (looks.shape.jaw - 0.5)
    side = np.array([(-half, 0.5), (-half * 0.97, 1.1), (-half * 1.25, 1.32), (-0.9, 1.6)])
    neck = smooth_curve(np.concatenate([side, side[::-1] * (-1, 1)]), 4)
    canvas.fill(neck, tint(looks.skin, 0.80, 0.74, 0.72), solid=True)
    side = np.array([(1.9, 1.6), (1.3, 1.42), (0.75, 1.28), (0.42, 1.22), (0.25, 1.38)])
    cloth = np.concatenate([side, [(0.0, 1.43)], side[::-1] * (-1, 1)])
    canvas.fill(smooth_curve(cloth, 4, closed=True), shirt, solid=True)
    if looks.style == "scarf":
        side = np.array([(0.62, 0.5), (0.66, 1.0), (1.0, 1.6)])
        wrap = smooth_curve(np.concatenate([side, side[::-1] * (-1, 1)]), 4, closed=True)
        canvas.fill(wrap, strands * np.float32(0.85), solid=True)
    ear = looks.shape.cheek + 0.025
    canvas.fill([ellipse(s * ear, 0.07, 0.085, 0.19) for s in (-1, 1)], tint(looks.skin, 0.96, 0.88, 0.86), solid=True)
    shells = [ellipse(s * (ear + 0.015), 0.05, 0.045, 0.12) for s in (-1, 1)]
    canvas.fill(shells, tint(looks.skin, 0.78, 0.64, 0.60), soft=0.02)


def _paint_skin(canvas: Canvas, looks: Appearance, units: Strengths, lines: Outlines) -> None:
    """The face with its shadows and its flush, freckles if there are any."""
    rng = np.random.default_rng(looks.texture_seed + 2)
    half_px = canvas.size_px // 2
    shadow, blush = sum_bumps(half_px, _shadows(looks, lines)), sum_bumps(half_px, _blushes(units, lines))
    blush *= np.float32(0.30 * looks.flush)
    loss = 0.05 * soft_noise(24, half_px, rng)[..., None] - 0.025 + shadow[..., None] * np.float32([0.85, 1, 1])
    loss += blush[..., None] * np.float32([0.25, 0.60, 0.50])  # flushed skin loses green and blue
    canvas.fill(lines.face, np.float32(looks.skin) * (1 - resize(loss, canvas.size_px)), solid=True, gloss=1.0)
    if looks.freckles:
        spots = rng.normal(0, 1, (46, 2)) * (0.30, 0.10)
        dots = [ellipse(x, y, 0.011, 0.011, 6) for x, y in moved_down(spots, 0.20)]
        canvas.fill(dots, tint(looks.skin, 0.78, 0.62, 0.52), 0.45 * looks.freckles)


def _shadows(looks: Appearance, lines: Outlines) -> list[tuple[float, ...]]:
    """Where little light gets in: eye sockets, below nose, lip and chin."""
    shape, nose_y = looks.shape, lines.nose[0]
    right = [
        (shape.eye_x, shape.eye_y - 0.02, 0.17, 0.10, 0.24),
        (shape.eye_x - 0.03, shape.eye_y + 0.11, 0.11, 0.04, 0.10 + 0.14 * looks.age),
        (0.09, nose_y + 0.035, 0.07, 0.035, 0.22),
    ]
    middle = [
        (0.0, lines.lip_lower[10, 1] + 0.05, 0.15, 0.035, 0.22),
        (0.0, lines.face[:, 1].max() + 0.04, 0.5, 0.06, 0.25),
    ]
    return right + [(-x, *rest) for x, *rest in right] + middle


def _blushes(units: Strengths, lines: Outlines) -> list[tuple[float, ...]]:
    """Cheeks, tip of the nose, chin."""
    cheek_y = 0.24 - 0.05 * units[12]
    return [
        (-0.42, cheek_y, 0.17, 0.13, 0.55),
        (0.42, cheek_y, 0.17, 0.13, 0.55),
        (0.0, lines.nose[0] - 0.06, 0.10, 0.10, 0.55),
        (0.0, lines.face[:, 1].max() - 0.1, 0.16, 0.09, 0.25),
    ]
