"""Predictions of a saved model for the faces in files: one row per face, or per refused file with its reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.artefacts import BOX_COLUMNS, PROBABILITY_DECIMALS
from emotion_utils.deploy.classifier import Answered, Classifier, open_network
from emotion_utils.deploy.input_images import Faces, Missed
from emotion_utils.deploy.listing import list_images
from emotion_utils.sources.usable_names import FORMULA

# Then the classes, then reason and search.
FACE_COLUMNS = ("path", "face", *BOX_COLUMNS, "predicted", "confidence")
LAST_COLUMNS = ("reason", "search")


class FilePredictor:
    """A model and the images that it is to be asked about; both are checked before any work.

    Without `model_dir` the small model is asked. Raises InputError for a model that fails its own checks, and where
    there is no image.
    """

    def __init__(self, model_dir: str | Path | None, paths: Iterable[str | Path], missed: Missed = None) -> None:
        self.images, self.notes = list_images(paths)
        self.missed = missed
        self._model = None if model_dir is None else Path(model_dir)

    def load(self) -> None:
        """Opens the model."""
        self.network = open_network(self._model)
        self._classifier = Classifier(self.network)

    @property
    def key(self) -> str:
        """Names the whole table: the model, the settings, and the images by their paths."""
        facts = [self.network.facts, self.network.crop, self.missed, [each.path for each in self.images]]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def made(self, table: pd.DataFrame, images: int) -> bool:
        """Whether `table`, as text, can be what `tables` gives of the first `images`: its columns and its paths."""
        columns = [*FACE_COLUMNS, *self.network.class_names, *LAST_COLUMNS]
        paths = [_cell(each.path) for each in self.images[:images]]
        return (
            images == len(paths)
            and table.columns.tolist() == columns
            and table["path"].drop_duplicates().tolist() == list(dict.fromkeys(paths))
        )

    def tables(self, start: int = 0) -> Iterator[tuple[pd.DataFrame, list[Faces]]]:
        """The rows of some images at a time, from the image `start` on, and the images."""
        for answered in self._classifier.answer(self.images[start:], self.missed):
            yield self._tabulate(answered), [faces for faces, _ in answered]

    def _tabulate(self, answered: Answered) -> pd.DataFrame:
        classes = self.network.class_names
        rows: list[dict[str, Any]] = []
        for faces, probs in answered:
            rows += _rows(faces, probs.round(PROBABILITY_DECIMALS), classes)
        table = pd.DataFrame(rows, columns=[*FACE_COLUMNS, *classes, *LAST_COLUMNS])
        return table.astype(dict.fromkeys(("face", *BOX_COLUMNS), "Int64"))


def _cell(path: str) -> str:
    """`path` as it is written: what begins as the formula of a spreadsheet does is led by its folder."""
    return f"./{path}" if path.startswith(FORMULA) else path


def predict_files(model_dir: str | Path, paths: Iterable[str | Path], *, missed: Missed = None) -> pd.DataFrame:
    """Predictions of the model in `model_dir` for every face in the files, folders and archives `paths`.

    Columns: path; face (1-based within an image); left, top, width, height (its box in pixels of the upright image,
    empty where none was looked for or found); predicted; confidence (0-1, the probability of `predicted`); a
    probability (0-1) for each class in the model's order; reason (why a file was refused; then the others are empty);
    search (input_images.SEARCHES). `missed` as in `read_faces`. Raises InputError as FilePredictor does.
    """
    predictor = FilePredictor(model_dir, paths, missed)
    predictor.load()
    return pd.concat([table for table, _ in predictor.tables()], ignore_index=True)


def to_csv(table: pd.DataFrame, *, header: bool = True) -> str:
    """The table as text; floats in the shortest form that reads back to the same bits."""
    return table.to_csv(index=False, lineterminator="\n", header=header)


def _rows(faces: Faces, probs: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    if faces.reason:
        return [{"path": _cell(faces.path), "reason": faces.reason, "search": faces.search}]
    rows = []
    for number, (box, row) in enumerate(zip(faces.boxes, probs, strict=True), start=1):
        place = dict(zip(BOX_COLUMNS, box or (), strict=False))
        answer = {"predicted": classes[row.argmax()], "confidence": row.max(), **dict(zip(classes, row, strict=True))}
        last = {"reason": "", "search": faces.search}
        rows.append({"path": _cell(faces.path), "face": number, **place, **answer, **last})
    return rows
