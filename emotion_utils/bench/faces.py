"""How well and how fast faces are detected: in images as given, and pasted into cluttered scenes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from emotion_utils.audit.face_detectors import PROBES, Box, DetectorMissing, FaceDetector
from emotion_utils.audit.faces import crop_faces, find_faces, frame_face, rank_faces
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.source import open_source

SCENE_PX = (480, 640)  # height, width
PASTED_PX = (60, 220)  # longer side of a pasted image, drawn evenly
FACE_SIDE = 0.84  # share of the side that the face has in an image cropped to it
MIN_OVERLAP = 0.5  # least intersection over union of a box that counts as the face
MIN_CONTAINED = 0.8  # least share of the true box in a crop that shows the face
MATERIALS = ("as given", "in a scene", "scene alone")


@dataclass(frozen=True)
class Sample:
    """An image, uint8 (H, W, 3), and its only face; None for a scene without one."""

    image: np.ndarray
    face: Box | None


def bench_faces(
    spec: str, *, images: int = 200, seed: int = 0, detectors: Sequence[FaceDetector] | None = None
) -> pd.DataFrame:
    """A row per detector that works (None: all of face_detectors.PROBES) and material, over a sample of `spec`.

    Columns: detector; material; images; found (share with any face); recall (share with a box over the true one);
    false_boxes (per image); chosen_wrong (share whose first face is not the true one); contained (share of cut ones
    whose crop shows the face); cropped (share that crop=auto cuts); cpu_ms (median processor time of crop=auto).
    """
    sample = draw_images(spec, images, seed)
    rows = []
    for detector in working_detectors() if detectors is None else detectors:
        for material in MATERIALS:
            rows.append({"detector": detector.name, "material": material, **_measure(detector, material, sample, seed)})
    return pd.DataFrame(rows)


def working_detectors() -> list[FaceDetector]:
    """One of each kind that works on this machine."""
    found = []
    for probe in PROBES:
        try:
            found.append(probe())
        except DetectorMissing:
            continue
    return found


def draw_images(spec: str, images: int, seed: int) -> list[np.ndarray]:
    """At most `images` images of a source, drawn by `seed`, as uint8 (H, W, 3)."""
    source = open_source(spec, synthetic_images=max(30, images))
    rows = np.random.default_rng(seed).permutation(len(source.table))[:images]
    return [decode_rgb(source.read(path)) for path in source.table["path"].iloc[rows]]


def make_samples(material: str, images: Sequence[np.ndarray], seed: int) -> Iterator[Sample]:
    """One sample per image; the same scenes and places for the same seed."""
    for number, image in enumerate(images):
        rng = np.random.default_rng([seed, number])
        if material == "as given":
            yield Sample(image, central_face(Box(0, 0, image.shape[1], image.shape[0])))
        elif material == "in a scene":
            yield paste_face(draw_scene(rng), image, rng)
        else:
            yield Sample(draw_scene(rng), None)


def draw_scene(rng: np.random.Generator) -> np.ndarray:
    """uint8 (*SCENE_PX, 3): clouds of several sizes under discs, boxes, rings and lines, blurred and noisy."""
    height, width = SCENE_PX
    scene = np.full((height, width, 3), rng.uniform(40, 215, 3), np.float32)
    for cells in (4, 12, 40):
        clouds = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        scene += rng.uniform(5, 40) * cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(30, 80)):
        colour = tuple(rng.integers(0, 256, 3).tolist())
        x, y, to_x, to_y = rng.integers(0, (width, height, width, height)).tolist()
        wide, tall, thick = rng.integers(4, (90, 90, 9)).tolist()
        shape = rng.integers(4)
        if shape == 0:
            cv2.ellipse(scene, (x, y), (wide, tall), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
        elif shape == 1:
            cv2.rectangle(scene, (x, y), (x + wide, y + tall), colour, -1)
        elif shape == 2:
            cv2.line(scene, (x, y), (to_x, to_y), colour, thick, cv2.LINE_AA)
        else:
            cv2.circle(scene, (x, y), wide // 3, colour, thick, cv2.LINE_AA)
    scene = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.3, 1.5)))
    return np.clip(scene + rng.normal(0, rng.uniform(1, 8), scene.shape), 0, 255).astype(np.uint8)


def paste_face(scene: np.ndarray, image: np.ndarray, rng: np.random.Generator) -> Sample:
    """`scene` with `image` at a place and in a size of PASTED_PX drawn by `rng`."""
    scale = rng.integers(PASTED_PX[0], PASTED_PX[1] + 1) / max(image.shape[:2])
    width, height = (max(1, round(scale * side)) for side in image.shape[1::-1])
    left, top = (int(rng.integers(0, room + 1)) for room in (scene.shape[1] - width, scene.shape[0] - height))
    scene = scene.copy()
    scene[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return Sample(scene, central_face(Box(left, top, width, height)))


def central_face(image: Box) -> Box:
    """Where the face is within an image that was cut for it; that of a narrow one reaches beyond its sides."""
    side = round(FACE_SIDE * (image.width * image.height) ** 0.5)
    left, top = image.left + (image.width - side) // 2, image.top + (image.height - side) // 2
    return Box(left, top, side, side)


def shared_area(one: Box, other: Box) -> int:
    """Pixels that lie in both."""
    across = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    down = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    return max(0, across) * max(0, down)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0-1."""
    shared = shared_area(one, other)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _measure(detector: FaceDetector, material: str, images: Sequence[np.ndarray], seed: int) -> dict[str, float]:
    facts = [_look(detector, sample) for sample in make_samples(material, images, seed)]
    table = pd.DataFrame(facts).astype("float64")
    means = table.drop(columns="cpu_ms").mean()  # NaN where there is nothing to be right about
    return {"images": len(table), **means, "cpu_ms": table["cpu_ms"].median()}


def _look(detector: FaceDetector, sample: Sample) -> dict[str, float]:
    start = time.process_time()
    result = crop_faces(sample.image, "auto", detector)
    cpu_ms = 1000 * (time.process_time() - start)
    faces = rank_faces(find_faces(sample.image, detector), *sample.image.shape[:2])
    right = [sample.face is not None and overlap(face, sample.face) >= MIN_OVERLAP for face in faces]
    return {
        "found": bool(faces),
        "recall": np.nan if sample.face is None else any(right),
        "false_boxes": right.count(False),
        "chosen_wrong": bool(faces) and not right[0],
        "contained": _is_contained(result.box, sample) if result.outcome == "cropped" else np.nan,
        "cropped": result.outcome == "cropped",
        "cpu_ms": cpu_ms,
    }


def _is_contained(chosen: Box, sample: Sample) -> float:
    if sample.face is None:
        return np.nan
    crop = frame_face(chosen, *sample.image.shape[:2])
    return shared_area(crop, sample.face) >= MIN_CONTAINED * sample.face.width * sample.face.height
