"""Predictions of a saved model for the faces in files: one row per face, or per refused file with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from emotion_utils.devices import pick_device
from emotion_utils.errors import InputError
from emotion_utils.evaluation.input_images import Faces, list_images, read_faces
from emotion_utils.evaluation.predict import PROBABILITY_DECIMALS, device_of, predict_probs
from emotion_utils.files import replacing
from emotion_utils.models.card import load_model
from emotion_utils.models.network import EmotionNet
from emotion_utils.progress import Progress
from emotion_utils.training.repeatable import deterministic

# Batches are always full; the last one is padded. A matrix product of another size sums in another order, so that a
# face's probabilities would depend on how many faces stand beside it. Small, because one image pays for a whole batch.
BATCH_FACES = 8
GPU_BATCH_FACES = 64  # there a full batch takes hardly longer than one image
BOX_COLUMNS = ("left", "top", "width", "height")
FACE_COLUMNS = ("path", "face", *BOX_COLUMNS, "predicted", "confidence")  # then the classes, then reason

IMAGES_AT_ONCE = 64  # held in memory


def predict_files(
    model_dir: str | Path, paths: Iterable[str | Path], *, progress: Progress | None = None
) -> pd.DataFrame:
    """Predictions of the model in `model_dir` for every face in the files, folders and archives `paths`.

    Columns: path; face (1-based within an image); left, top, width, height (its box in pixels of the upright image,
    empty where the image was taken whole); predicted; confidence (0-1, the probability of `predicted`); a probability
    (0-1) for each class in the model's order; reason (why a file was refused; then all others are empty). `progress`
    counts images. Raises InputError for a model that fails its own checks and for a path that holds no images.
    """
    net, card = load_model(model_dir, pick_device())
    images, classes = list_images(paths), card["class_names"]
    found = read_faces(images, card.get("crop", "auto"), net.input_spec.size_px)
    rows: list[dict[str, Any]] = []
    for done, (faces, probs) in enumerate(_answer(net, found), start=1):
        rows += _rows(faces, probs.round(PROBABILITY_DECIMALS), classes)
        if progress:
            progress(done, len(images))
    table = pd.DataFrame(rows, columns=[*FACE_COLUMNS, *classes, "reason"])
    return table.astype(dict.fromkeys(("face", *BOX_COLUMNS), "Int64"))


@contextmanager
def writing_table(path: Path) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yields what writes a table as CSV to `path`, whole or not at all. Raises InputError at once where none can be."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file for the table")
    try:
        with replacing(path) as temporary:
            yield lambda table: temporary.write_text(to_csv(table), encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another --output") from None


def to_csv(table: pd.DataFrame) -> str:
    """The table as text; floats in the shortest form that reads back to the same bits."""
    return table.to_csv(index=False, lineterminator="\n")


def _answer(net: EmotionNet, images: Iterator[Faces]) -> Iterator[tuple[Faces, np.ndarray]]:
    """Each image with the probabilities (n, k) of its faces."""
    with deterministic():
        while group := list(islice(images, IMAGES_AT_ONCE)):
            probs = _predict_full_batches(net, np.concatenate([faces.images for faces in group]))
            ends = np.cumsum([len(faces.images) for faces in group])
            yield from zip(group, np.split(probs, ends[:-1]), strict=True)


def _predict_full_batches(net: EmotionNet, images: np.ndarray) -> np.ndarray:
    """Probabilities float64 (n, k) of uint8 (n, H, W, 3) RGB, from batches of BATCH_FACES or GPU_BATCH_FACES."""
    size = BATCH_FACES if device_of(net).type == "cpu" else GPU_BATCH_FACES
    missing = -len(images) % size
    filled = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
    batches = torch.from_numpy(filled).permute(0, 3, 1, 2).split(size)
    probs = [predict_probs(net, batch) for batch in batches]
    return np.concatenate([np.empty((0, net.design["num_classes"])), *probs])[: len(images)]


def _rows(faces: Faces, probs: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    if faces.reason:
        return [{"path": faces.path, "reason": faces.reason}]
    rows = []
    for number, (box, row) in enumerate(zip(faces.boxes, probs, strict=True), start=1):
        place = dict(zip(BOX_COLUMNS, box or (), strict=False))
        answer = {"predicted": classes[row.argmax()], "confidence": row.max(), **dict(zip(classes, row, strict=True))}
        rows.append({"path": faces.path, "face": number, **place, **answer, "reason": ""})
    return rows
