"""Eyes, nose, mouth and glasses in flat colours."""

from __future__ import annotations

import numpy as np

from emotion_utils.synthetic.action_units import Outlines, Strengths
from emotion_utils.synthetic.canvas import Canvas, ellipse, moved_down, smooth_curve, tint
from emotion_utils.synthetic.person import Appearance

Gaze = tuple[float, float]  # how far the irises are off the middle of the eyes
_IRIS_RADIUS = 0.088


def paint_eye(canvas: Canvas, looks: Appearance, lines: Outlines, side: int, gaze: Gaze) -> None:
    """Eyeball and lids; `side` 0 is the image's left."""
    upper, lower, sign = lines.upper_lids[side], lines.lower_lids[side], 2 * side - 1
    _paint_eyeball(canvas, looks, upper, lower, _iris_centre(looks, sign, gaze))
    canvas.fill(lower, tint(looks.skin, 0.80, 0.62, 0.58), 0.8, line=0.016, soft=0.004)
    canvas.fill(np.array([upper[0], upper[1], lower[1]]), tint(looks.skin, 0.85, 0.55, 0.52), 0.7, soft=0.006)
    wing = upper[-1] + np.array([0.03 * sign, -0.025]) * looks.lashes
    lashes = np.concatenate([upper, [wing], moved_down(upper[:0:-1], -0.018 - 0.02 * looks.lashes)])
    canvas.fill(lashes, tint(looks.brow_colour, 0.35, 0.35, 0.35), 0.9)
    # A low brow pushes its fold over the crease of the lid.
    gap = upper[7, 1] - lines.brows[side][5:15, 1].mean()
    bare = np.clip((gap - 0.05) / 0.08, 0, 1)
    crease = upper[1:] * (1.03, 1) - (0.03 * looks.shape.eye_x * sign, 0.052)
    opacity = (0.35 + 0.5 * looks.lid_crease) * bare
    canvas.fill(crease, tint(looks.skin, 0.62, 0.50, 0.47), opacity, line=0.018, soft=0.007)


def _paint_eyeball(canvas: Canvas, looks: Appearance, upper: np.ndarray, lower: np.ndarray, centre: Gaze) -> None:
    almond = np.concatenate([upper, lower[::-1]])
    opening = canvas.mask(almond)
    (x, y), radius, iris = centre, _IRIS_RADIUS, np.float32(looks.iris)
    canvas.fill(almond, (0.93, 0.91, 0.89), gloss=0.0)
    canvas.fill(ellipse(x, y, radius, radius), 0.45 * iris, clip=opening)
    canvas.fill(ellipse(x, y, 0.84 * radius, 0.84 * radius), iris, clip=opening, soft=0.008)
    canvas.fill(ellipse(x, y + 0.03, 0.55 * radius, 0.4 * radius), 1.35 * iris + 0.03, 0.7, clip=opening, soft=0.015)
    canvas.fill(ellipse(x, y, 0.44 * radius, 0.44 * radius), (0.02, 0.02, 0.02), clip=opening)
    canvas.fill(moved_down(upper, 0.012), (0.12, 0.08, 0.08), 0.55, soft=0.02, line=0.045, clip=opening)


def paint_glint(canvas: Canvas, looks: Appearance, lines: Outlines, side: int, gaze: Gaze, from_right: bool) -> None:
    """The lamp's reflection in one eye; painted after the light."""
    opening = canvas.mask(np.concatenate([lines.upper_lids[side], lines.lower_lids[side][::-1]]))
    x, y = _iris_centre(looks, 2 * side - 1, gaze)
    spot = ellipse(x + (0.035 if from_right else -0.035), y - 0.033, 0.02, 0.02, 10)
    canvas.fill(spot, (1, 1, 1), 0.9, soft=0.004, clip=opening)


def _iris_centre(looks: Appearance, sign: int, gaze: Gaze) -> Gaze:
    return sign * looks.shape.eye_x + gaze[0], looks.shape.eye_y - 0.012 + gaze[1]


def paint_nose(canvas: Canvas, looks: Appearance, lines: Outlines) -> None:
    """Nostrils, wings and the edge below the tip; the light on the relief does the rest."""
    y, half = lines.nose
    dark = tint(looks.skin, 0.42, 0.27, 0.24)
    canvas.fill([ellipse(s * 0.45 * half, y + 0.012, 0.34 * half, 0.022) for s in (-1, 1)], dark, 0.85, soft=0.008)
    wing = smooth_curve([(0.86 * half, y - 0.10), (1.02 * half, y - 0.04), (0.85 * half, y + 0.01)], 4)
    canvas.fill([wing, wing * (-1, 1)], dark, 0.5, line=0.018, soft=0.008)
    base = smooth_curve([(-0.5 * half, y + 0.02), (0.0, y + 0.035), (0.5 * half, y + 0.02)], 4)
    canvas.fill(base, dark, 0.35, line=0.02, soft=0.01)


def paint_mouth(canvas: Canvas, looks: Appearance, au: Strengths, lines: Outlines) -> None:
    """Lips, and what an open mouth shows."""
    upper_lip = np.concatenate([lines.lip_upper, lines.mouth_upper[::-1]])
    lower_lip = np.concatenate([lines.mouth_lower, lines.lip_lower[::-1]])
    gap = float((lines.mouth_lower[10] - lines.mouth_upper[10])[1])
    canvas.fill(lower_lip, tint(looks.lips, 1.06, 1.06, 1.06), 0.92, soft=0.006, gloss=1.6)
    canvas.fill(upper_lip, tint(looks.lips, 0.86, 0.86, 0.86), 0.92, soft=0.006)
    rim = tint(looks.lips, 0.42, 0.30, 0.30)
    if gap > 0.02:
        _paint_mouth_inside(canvas, au, lines, gap)
    if gap > 0.05:
        canvas.fill(lines.mouth_upper, rim, 0.5, line=0.014, soft=0.004)
    else:
        canvas.fill((lines.mouth_upper + lines.mouth_lower) / 2, rim, 0.85 * (1 - gap / 0.06), line=0.02, soft=0.004)
    corners = [ellipse(x, y, 0.022, 0.018, 10) for x, y in (lines.lip_upper[0], lines.lip_upper[-1])]
    canvas.fill(corners, rim, 0.6, soft=0.012)


def _paint_mouth_inside(canvas: Canvas, au: Strengths, lines: Outlines, gap: float) -> None:
    upper, lower = lines.mouth_upper, lines.mouth_lower
    opening = np.concatenate([upper, lower[::-1]])
    inside = canvas.mask(opening)
    canvas.fill(opening, (0.16, 0.05, 0.05), gloss=0.0)
    if gap > 0.12:
        tongue = ellipse(0, lower[10, 1] + 0.02, 0.17, min(0.45 * gap, 0.12))
        canvas.fill(tongue, (0.62, 0.26, 0.26), 0.85, soft=0.015, clip=inside)
    shown = 0.045 + 0.05 * au[12] + 0.06 * au[10] + 0.02 * au[20] - 0.02 * au[26] - 0.07 * au[15]
    teeth = np.concatenate([moved_down(upper, -0.02), moved_down(upper[::-1], max(shown, 0.0))])
    canvas.fill(teeth, (0.93, 0.91, 0.86), 0.96, soft=0.004, clip=inside)
    if au[10] * au[25] > 0.15 or au[20] * au[25] > 0.3:  # a snarl or a grimace bares the lower row as well
        teeth = np.concatenate([moved_down(lower, 0.02), moved_down(lower[::-1], -min(0.05, 0.45 * gap))])
        canvas.fill(teeth, (0.86, 0.83, 0.78), 0.9, soft=0.004, clip=inside)
    canvas.fill(upper, (0.2, 0.08, 0.08), 0.5, soft=0.012, line=0.03, clip=inside)
    corners = [ellipse(x, y, 0.07, 0.07, 12) for x, y in (upper[0], upper[-1])]
    canvas.fill(corners, (0.14, 0.05, 0.05), 0.7, soft=0.03, clip=inside)


def paint_glasses(canvas: Canvas, looks: Appearance) -> None:
    """Frames over the lit face."""
    if not looks.glasses:
        return
    shape, is_round = looks.shape, looks.glasses == "round"
    radius_x, radius_y, corners = (0.235, 0.205, 1.0) if is_round else (0.255, 0.175, 0.55)
    circle = np.append(ellipse(0, 0, 1, 1, 40), [[1.0, 0.0]], axis=0)
    right = np.sign(circle) * np.abs(circle) ** corners * (radius_x, radius_y) + (
        shape.eye_x + 0.015,
        shape.eye_y + 0.03,
    )
    hinge = (shape.eye_x + 0.015 + radius_x, shape.eye_y - 0.02)
    arm = np.array([hinge, (shape.cheek + 0.02, shape.eye_y - 0.03)])
    bridge = smooth_curve([(-0.12, shape.eye_y - 0.01), (0, shape.eye_y - 0.045), (0.12, shape.eye_y - 0.01)], 4)
    canvas.fill([right, right * (-1, 1)], (1.0, 1.0, 1.0), 0.07)
    canvas.fill([right, right * (-1, 1), arm, arm * (-1, 1), bridge], looks.glasses_colour, line=0.03)
