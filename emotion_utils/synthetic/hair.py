"""Hair behind and before the face, scarves, beards and brows."""

from __future__ import annotations

import cv2
import numpy as np

from emotion_utils.synthetic.action_units import Outlines
from emotion_utils.synthetic.canvas import (
    Canvas,
    Paint,
    ellipse,
    moved_down,
    pixel_axis,
    resize,
    smooth_curve,
    soft_noise,
    tint,
)
from emotion_utils.synthetic.person import Appearance

LONG_FROM_Y = 0.5  # hair that reaches below this falls from its parting; shorter hair stands away from the face


def paint_strands(size_px: int, looks: Appearance) -> np.ndarray:
    """The colour of the hair varied along its strands, (S, S, 3) float32."""
    rng = np.random.default_rng(looks.texture_seed)
    hair, half_px = looks.hair, size_px // 2
    root_y = -1.1 if hair.end_y > LONG_FROM_Y else -0.25
    axis = pixel_axis(half_px)
    x, y = np.meshgrid(axis - np.float32(0.8 * hair.part_x), axis - np.float32(root_y))
    turns = cv2.phase(x, y) * np.float32(1 / (2 * np.pi)) + 0.06 * soft_noise(9, half_px, rng)
    places = np.linspace(0, 1, 1024)
    wave = sum(
        share * np.interp(places * count, np.arange(count + 1), rng.random(count + 1))
        for share, count in ((0.55, 60), (0.45, 200))
    ).astype(np.float32)
    pattern = wave.take((turns * 1023).astype(np.int32), mode="wrap")
    if hair.curl:
        pattern = 0.35 * pattern + 0.8 * soft_noise(28, half_px, rng)
    strength = 0.12 if looks.style == "scarf" else 0.5
    pattern = resize(pattern, size_px)[..., None]
    return np.float32(looks.hair_colour) * (1 + strength * (pattern - 0.55)) + 0.03 * pattern


def paint_back_hair(canvas: Canvas, looks: Appearance, strands: np.ndarray) -> None:
    """What of long hair hangs behind neck and ears."""
    if looks.hair.density and looks.hair.end_y > 0.1:
        canvas.fill(smooth_curve(_silhouette(looks), 3), strands * np.float32(0.6), solid=True)


def paint_hair(canvas: Canvas, looks: Appearance, strands: np.ndarray) -> None:
    """Hair over forehead, temples and cheeks, with the shadow that it throws on the skin."""
    hair = looks.hair
    if not hair.density:
        return
    if hair.bun:
        canvas.fill(ellipse(0, -1.13, 1.1 * hair.bun, 0.85 * hair.bun), strands, solid=True, gloss=0.4)
    inner, outer = _hairline(looks), smooth_curve(_silhouette(looks), 3)
    shadow = tint(looks.skin, 0.55, 0.45, 0.42)
    canvas.fill(moved_down(inner[6:-6], 0.02), shadow, 0.4 * hair.density, soft=0.035, line=0.07, clip=canvas.alpha)
    soft = 0.010 if hair.density == 1 else 0.03
    if looks.style == "scarf":
        canvas.fill(outer, strands, soft=soft, clip=1 - canvas.mask(inner), solid=True, gloss=0.35)
        hem = np.append(inner, inner[:1], axis=0)
        canvas.fill(hem, tint(looks.hair_colour, 0.55, 0.55, 0.55), 0.6, soft=0.008, line=0.02)
    else:
        canvas.fill(np.concatenate([outer, inner]), strands, hair.density, soft=soft, solid=True, gloss=0.35)


def _silhouette(looks: Appearance) -> np.ndarray:
    """The hair's outer edge from its left end over the crown to its right end."""
    hair, shape = looks.hair, looks.shape
    radius_x, radius_y = shape.temple + 0.03 + hair.side, 0.90 + hair.top
    turn = np.linspace(np.pi, 2 * np.pi, 61)
    rough = np.random.default_rng(looks.texture_seed).normal(0, 1, 31).clip(-1.5, 1.5).repeat(2)[:61]
    lobes = 2 * np.abs(np.sin(np.arange(61) * 0.55 + looks.texture_seed % 7 + 0.3 * rough)) - 1
    swell = 1 + hair.curl * lobes + 0.2 * hair.ragged * rough
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    skull = np.sign(circle) * np.abs(circle) ** 0.86  # broader than an ellipse
    arch = skull * (radius_x, radius_y) * swell[:, None] - (0, 0.13)
    if hair.end_y <= 0.1:
        return arch
    steps = np.linspace(0.05, hair.end_y, 7)
    if hair.round_ends:
        width = radius_x * np.sqrt(np.clip(1 - ((steps + 0.1) / 0.75) ** 2, 0.05, 1))
    else:
        width = radius_x + 0.06 * np.sin((steps - 0.05) / 1.5 * np.pi) + 1.6 * hair.curl * np.sin(9 * steps)
        width[-2:] -= (0.015, 0.09)  # the ends turn inwards
    right = np.stack([width, steps], 1)
    return np.concatenate([right[::-1] * (-1, 1), arch, right])


def _hairline(looks: Appearance) -> np.ndarray:
    """The hair's inner edge from its right end over the forehead to its left end; a scarf's goes all round."""
    hair, shape = looks.hair, looks.shape
    if looks.style == "scarf":
        return ellipse(0, 0.18, 0.66 * shape.cheek / 0.76, 0.86, 48)
    temple, low = shape.temple, max(hair.end_y, -0.02)
    side_x, corner = temple - hair.cover, (hair.corner_x * temple, hair.corner_y)
    right = [(side_x - 0.01, low), (side_x + 0.01, 0.25 * low), (side_x - 0.01, 0.5 * hair.corner_y), corner]
    left = [(-x, y) for x, y in reversed(right)]
    lift, brim_y = 0.3 * hair.part_x, hair.hairline_y + 0.03
    top = [(0.46 * temple + lift, brim_y), (hair.part_x, brim_y - hair.peak), (-0.46 * temple + lift, brim_y)]
    line = smooth_curve([*right, *top, *left], 10)
    locks = np.random.default_rng(looks.texture_seed + 1).normal(0, 1, len(line) // 2 + 1).clip(-1.5, 1.5)
    over_forehead = np.clip((-0.2 - line[:, 1]) / 0.2, 0, 1)
    line[:, 1] += hair.ragged * over_forehead * np.interp(np.arange(len(line)), 2 * np.arange(len(locks)), locks)
    return line


def paint_brow(canvas: Canvas, looks: Appearance, brow: np.ndarray) -> None:
    """One brow along its middle line (n, 2), from the inner to the outer end."""
    t = np.linspace(0, 1, len(brow))
    half = 0.5 * looks.shape.brow_thick * np.interp(t, [0, 0.15, 0.5, 1], [0.7, 1.0, 0.85, 0.18])[:, None] * (0, 1)
    canvas.fill(np.concatenate([brow - half, (brow + half)[::-1]]), looks.brow_colour, 0.66, soft=0.010)
    hairs = [np.stack([brow[i] + half[i], brow[i + 3] - 0.5 * half[i]]) for i in range(len(brow) - 3)]
    canvas.fill(hairs, tint(looks.brow_colour, 0.7, 0.7, 0.7), 0.5, line=0.014)


def paint_beard(canvas: Canvas, looks: Appearance, lines: Outlines, strands: np.ndarray) -> None:
    """Moustache and beard; the lips are painted over them."""
    if not looks.moustache:
        return
    mean = max(float(np.mean(looks.hair_colour)), 0.05)
    colour = np.float32(looks.brow_colour) * (0.7 + 0.6 * strands.mean(axis=2, keepdims=True) / mean)
    if looks.beard:
        _paint_full_beard(canvas, looks, lines, colour)
    t = np.linspace(-1, 1, len(lines.lip_upper))
    rise = max(0.6 * (lines.lip_upper[10, 1] - lines.nose[0] - 0.03), 0.04)
    height = rise * (1 - np.abs(t) ** 2.6) * (1 - 0.3 * np.exp(-((t / 0.12) ** 2))) + 0.015
    tips = 0.06 * np.sign(t) * np.abs(t) ** 3
    top = lines.lip_upper + np.stack([tips, -height], 1)
    bottom = lines.lip_upper + np.stack([0.5 * tips, 0.012 + 0.035 * t**4], 1)
    canvas.fill(np.concatenate([top, bottom[::-1]]), colour, 0.9 * looks.moustache, soft=0.012)


def _paint_full_beard(canvas: Canvas, looks: Appearance, lines: Outlines, colour: Paint) -> None:
    jaw = lines.face[lines.face[:, 1] > 0.1] * (1.02, 1.0)
    right, left = jaw[jaw[:, 0] > 0], jaw[jaw[:, 0] < 0]
    corner = lines.lip_upper[-1]
    cheek = np.array([(0.52, 0.40), (0.42, 0.60), (corner[0] + 0.05, corner[1] + 0.02)])
    ring = [right[np.argsort(right[:, 1])], left[np.argsort(-left[:, 1])], cheek * (-1, 1)]
    ring += [moved_down(lines.lip_lower[5:-5:5], 0.03), cheek[::-1]]
    canvas.fill(np.concatenate(ring), colour, 0.92 * looks.beard, soft=0.03, clip=canvas.alpha)
