"""The images on which an exported file is held against the model that it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.models.reference import reference_pixels
from emotion_utils.run import Run
from emotion_utils.store.batches import Dataset, open_split, restore_images
from emotion_utils.store.resize import resize_square

BATCH_IMAGES = 64
SYNTHETIC_FACES = 64  # where there is no run


@dataclass(frozen=True)
class Images:
    """Faces as the network takes them."""

    what: str  # for a person: "300 images of the test split"
    dataset: Dataset | None  # None: `pixels` are all
    pixels: np.ndarray | None = None

    def batches(self) -> Iterator[np.ndarray]:
        """uint8 RGB (n, S, S, 3), n at most BATCH_IMAGES."""
        for start in range(0, len(self), BATCH_IMAGES):
            if self.dataset is None:
                yield self.pixels[start : start + BATCH_IMAGES]
                continue
            positions = np.arange(start, min(start + BATCH_IMAGES, len(self)))
            yield np.ascontiguousarray(self.dataset.batch(positions).images.permute(0, 2, 3, 1).numpy())

    def __len__(self) -> int:
        return len(self.pixels if self.dataset is None else self.dataset)

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 (n,)."""
        return self.dataset.labels.numpy()


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
    return Images(f"{len(dataset):,} images of the {split} split", dataset)


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
    return Images(f"{len(pixels)} synthetic and reference images", None, pixels), reason
