"""A stand-in for Source that keeps its files in memory, and the manifest that an audit would write of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import cv2
import numpy as np
import pandas as pd

CLASSES = ("angry", "happy", "sad")


@dataclass
class MemorySource:
    files: dict[str, bytes]
    reads: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes:
        self.reads.append(path)
        return self.files[path]

    @property
    def manifest(self) -> pd.DataFrame:
        paths = sorted(self.files)
        table = pd.DataFrame({"path": paths, "label": [path.split("/")[0] for path in paths]})
        table["id"] = [hashlib.sha256(self.files[path]).hexdigest() for path in paths]
        return table.assign(group="", split="", status="kept", reason="", width=200, height=100)


def random_images(count: int, size_px: int = 24, seed: int = 0) -> list[np.ndarray]:
    """uint8 (size_px, size_px, 3) each, smooth enough that resizing keeps something of them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return [cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_LINEAR) for image in coarse]


def png(image: np.ndarray) -> bytes:
    """A PNG file of uint8 (H, W, 3) RGB."""
    return cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))[1].tobytes()


def memory_source(count: int = 30, size_px: int = 24) -> MemorySource:
    """`count` different images, in turn of CLASSES."""
    images = random_images(count, size_px)
    return MemorySource({f"{CLASSES[i % 3]}/{i:04d}.png": png(image) for i, image in enumerate(images)})
