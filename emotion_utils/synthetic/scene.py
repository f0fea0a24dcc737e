"""Everything about one image that is not the face: pose, lamp, background, camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emotion_utils.synthetic.canvas import EXTENT, resize
from emotion_utils.synthetic.relief import Light

HALF_FRAME = 1.0  # face units from the middle of the image to its edge, at scale 1 ...
MIDDLE_Y = 0.08  # ... and where that middle lies: nearer to the chin than to the hair


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, shift in face units."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift: tuple[float, float]


def draw_pose(rng: np.random.Generator) -> Pose:
    """Mostly towards the camera, seldom turned by more than 15 degrees."""
    yaw, pitch, roll = np.clip(rng.normal(0, (9, 6, 4)), (-24, -12, -12), (24, 12, 12))
    return Pose(yaw, pitch, roll, rng.uniform(0.86, 1.09), tuple(rng.normal(0, 0.06, 2)))


def draw_light(rng: np.random.Generator) -> Light:
    """One lamp before and above the face, from either side, with more or less light from everywhere."""
    side, up = np.deg2rad([rng.uniform(-75, 75), rng.uniform(-5, 55)])
    direction = (np.sin(side) * np.cos(up), -np.sin(up), np.cos(side) * np.cos(up))
    contrast, warmth = rng.uniform(0.28, 0.56), rng.normal(0, 0.04)
    key = 1.2 * contrast * np.array([1 + warmth, 1.0, 1 - 1.3 * warmth])
    fill = 1.05 * (1 - contrast) * (1 + rng.normal(0, 0.025, 3))
    return Light(direction, tuple(key), tuple(fill))


def turn_light(light: Light, pose: Pose) -> Light:
    """The light as the turned head meets it."""
    yaw, pitch, roll = np.deg2rad([pose.yaw, pose.pitch, pose.roll])
    x, y, z = light.direction
    x, y = x * np.cos(roll) + y * np.sin(roll), -x * np.sin(roll) + y * np.cos(roll)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x, z = x * np.cos(yaw) - z * np.sin(yaw), x * np.sin(yaw) + z * np.cos(yaw)
    return Light((x, y, z), light.key, light.fill)


def render_view(head: np.ndarray, alpha: np.ndarray, pose: Pose, size_px: int, rng: np.random.Generator) -> np.ndarray:
    """A frontal head (S, S, 3) and its coverage (S, S), float32 0-1, as a camera sees it: uint8 (H, W, 3)."""
    map_x, map_y = (resize(places, 2 * size_px) for places in find_places(pose, size_px, head.shape[0]))
    moved = cv2.remap(np.dstack([head, alpha]), map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    background = resize(draw_background(size_px, rng), 2 * size_px)
    image = background + moved[..., 3:] * (moved[..., :3] - background)
    return _expose(cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA), rng)


def find_places(pose: Pose, size_px: int, canvas_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the image lies on the canvas, x and y in pixels, (H, W) float32.

    A head's smooth depth moves the features under yaw and pitch while its outline stays.
    """
    axis = ((np.arange(size_px, dtype=np.float32) + 0.5) / size_px * 2 - 1) * np.float32(HALF_FRAME / pose.scale)
    x, y = np.meshgrid(axis - np.float32(pose.shift[0]), axis - np.float32(pose.shift[1] - MIDDLE_Y))
    yaw, pitch, roll = np.float32(np.deg2rad([pose.yaw, pose.pitch, pose.roll]))
    x, y = x * np.cos(roll) + y * np.sin(roll), -x * np.sin(roll) + y * np.cos(roll)
    head_x, head_y = x, y
    for _ in range(3):
        depth = _depth(head_x, head_y)
        head_x = x / np.cos(yaw) - depth * np.sin(yaw)
        head_y = y / np.cos(pitch) - depth * np.sin(pitch)
    unit_px = canvas_px / (2 * EXTENT)
    return (head_x + EXTENT) * unit_px - 0.5, (head_y + EXTENT) * unit_px - 0.5


def _depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the head stands out towards the viewer, in face units."""
    skull = np.maximum(0.62 * (1 - (x / 0.86) ** 2 - ((y - 0.02) / 1.15) ** 2), 0)
    return skull + 0.17 * np.exp(-((x / 0.16) ** 2) - ((y - 0.27) / 0.17) ** 2)


def draw_background(size_px: int, rng: np.random.Generator) -> np.ndarray:
    """A lit wall, alone or with blurred things, a texture or lights before it; (H, W, 3) float32 0-1."""
    base = rng.uniform(0.15, 0.9) * (1 + rng.normal(0, 0.06, 3))
    other = base * (1 + rng.normal(0, 0.25)) + rng.normal(0, 0.05, 3)
    turn, axis = rng.uniform(0, 2 * np.pi), np.linspace(-1, 1, size_px)
    ramp = 0.5 + 0.35 * (np.cos(turn) * axis[None, :] + np.sin(turn) * axis[:, None])
    image = (base + ramp[..., None] * (other - base)).astype(np.float32)
    dress = (lambda wall, _: wall, _add_things, _add_texture, _add_lights)[rng.integers(4)]
    return np.clip(dress(image, rng), 0, 1)


def _add_things(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size_px = len(image)
    tone = image.mean(axis=(0, 1))
    for _ in range(rng.integers(3, 8)):
        x, y, width, height = (rng.random(4) * size_px * (1, 1, 0.6, 0.8)).astype(int).tolist()
        colour = np.clip(tone + rng.normal(0, 0.15) + rng.normal(0, 0.06, 3), 0, 1)
        cv2.rectangle(image, (x, y), (x + width, y + height), colour.tolist(), -1)
    return cv2.GaussianBlur(image, (0, 0), size_px * rng.uniform(0.01, 0.05))


def _add_texture(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    cells = int(rng.integers(3, 11))
    coarse = rng.normal(0, 0.025, (cells, cells, 3)) + rng.normal(0, 0.045, (cells, cells, 1))
    return image + cv2.resize(coarse.astype(np.float32), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _add_lights(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size_px, lights = len(image), np.zeros_like(image)
    for _ in range(rng.integers(4, 12)):
        x, y = (rng.random(2) * size_px).astype(int).tolist()
        colour = rng.uniform(0.05, 0.3) * np.clip(rng.normal(1, 0.25, 3), 0, 2)
        cv2.circle(lights, (x, y), int(size_px * rng.uniform(0.03, 0.14)), colour.tolist(), -1, cv2.LINE_AA)
    return image + cv2.GaussianBlur(lights, (0, 0), size_px * 0.015)


def _expose(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What lens, sensor and JPEG make of an image (H, W, 3) float32 0-1: uint8."""
    sharp_px = image.shape[0] / 64
    blur_px = min(rng.gamma(1.4, 0.16), 0.8) * sharp_px
    exposure, gamma = np.exp(rng.normal(0, (0.13, 0.10)))
    saturation, noise, quality = rng.uniform(0.85, 1.15), min(rng.gamma(1.5, 0.008), 0.03), int(rng.integers(70, 98))
    if blur_px > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), blur_px)
    image = image * np.float32(exposure * (0.45 / image.mean()) ** 0.35)  # the camera meters, but not fully
    image = np.maximum(image, 1e-4) ** np.float32(gamma)
    image = np.where(image > 0.8, 0.8 + 0.2 * np.tanh((image - 0.8) / 0.2), image)  # soft highlights
    grey = image.mean(axis=2, keepdims=True)
    grain = rng.standard_normal(grey.shape, dtype=np.float32) + 0.4 * rng.standard_normal(image.shape, dtype=np.float32)
    image = grey + saturation * (image - grey) + noise * grain
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    settings = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imdecode(cv2.imencode(".jpg", pixels[..., ::-1], settings)[1], cv2.IMREAD_COLOR_RGB)
