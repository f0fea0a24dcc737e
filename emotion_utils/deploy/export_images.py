"""The images on which an exported file is held against the model that it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.models.reference import reference_pixels
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split, restore_images
from emotion_utils.store.resize import resize_square

BATCH_IMAGES = 64
SYNTHETIC_FACES = 64  # where there is no run


@dataclass(frozen=True)
class Images:
    """Faces as a network takes them, read when they are needed."""

    what: str  # for a person: "300 images of the test split"
    count: int
    read: Callable[[np.ndarray], np.ndarray]  # positions, int (n,), to uint8 RGB (n, S, S, 3)
    labels: np.ndarray | None = None  # int64 (count,)

    @classmethod
    def of_pixels(cls, what: str, pixels: np.ndarray, labels: np.ndarray | None = None) -> Images:
        """Of uint8 RGB (n, S, S, 3)."""
        return cls(f"{len(pixels):,} {what}", len(pixels), lambda positions: pixels[positions], labels)

    def spread(self, most: int) -> np.ndarray:
        """uint8 RGB (n, S, S, 3): at most so many, spread evenly over all."""
        return self.read(np.unique(np.linspace(0, self.count - 1, min(most, self.count)).round().astype(int)))

    def batches(self) -> Iterator[np.ndarray]:
        """All, at most BATCH_IMAGES at a time."""
        for start in range(0, self.count, BATCH_IMAGES):
            yield self.read(np.arange(start, min(start + BATCH_IMAGES, self.count)))


def find_run(model_dir: Path) -> Run | None:
    """The run that a model folder lies in; None where it was copied out of it."""
    for folder in model_dir.resolve().parents[1:4]:  # models/NAME, or a seed or a variant below that
        if (folder / "run.json").exists():
            return Run.open(folder)
    return None


def split_images(run: Run, split: str, size_px: int) -> Images:
    """The images of a split, decoded again where the cache has lost them.

    Raises InputError where the data are not there any more, or the network takes another size.
    """
    restore_images(run)
    dataset = open_split(run, split)
    if dataset.size_px != size_px:
        raise InputError(f"{run.root}: its images are of {dataset.size_px} px, the network takes {size_px}")

    def read(positions: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(dataset.batch(positions).images.permute(0, 2, 3, 1).numpy())

    return Images(f"{len(dataset):,} images of the {split} split", len(dataset), read, dataset.labels.numpy())


def test_images(model_dir: Path, size_px: int) -> tuple[Images, str]:
    """The run's whole test split; or else faces that are made here, and the reason."""
    run = find_run(model_dir)
    reason = "the model folder lies in no run" if run is None else ""
    if run is not None:
        try:
            return split_images(run, "test", size_px), ""
        except EmotionError as error:
            reason = str(error)
    from emotion_utils.synthetic.faces import render_face

    faces = [render_face("happy", number, number, size_px) for number in range(SYNTHETIC_FACES)]
    pixels = np.concatenate([reference_pixels(size_px), [resize_square(face, size_px) for face in faces]])
    return Images.of_pixels("synthetic and reference images", pixels), reason
