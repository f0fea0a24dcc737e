"""Every file of a run that code reads again: its name, who writes it, and what its columns hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from emotion_utils.config import SPLITS
from emotion_utils.errors import InputError
from emotion_utils.files import Kind, refuse_rows
from emotion_utils.schemas import (
    Audit,
    Event,
    ModelCard,
    Rubric,
    RunFacts,
    SearchSummary,
    StoredClaim,
    TestOpening,
    VideoModel,
)

CLEAN = "as they are"  # the kind of uncorrupted images in robustness.csv
PROBABILITY_DECIMALS = 6
PROBABILITY_TOLERANCE = 1e-4  # how far a row of probabilities may be from summing to 1

# The kind of a column, the words of which one may stand there, or the name of a class of the data.
Columns = Mapping[str, Kind | tuple[str, ...] | Literal["class"]]
NONE: Columns = {}

FRAME_COLUMNS = ("face_left", "face_top", "face_side")  # of an image only this square is used (pixels, side 0: all)
BOX_COLUMNS = ("left", "top", "width", "height")  # of a face, in pixels
FAIRNESS = "fairness"  # the group of persons, where a run compares such
TEXT_PROPERTIES = ("format", "colour")  # of the file and the whole image, see audit.properties
NUMBER_PROPERTIES = ("jpeg_quality", "brightness", "contrast", "border", "face_share")
MANIFEST_COLUMNS: Columns = {
    "id": "text", "path": "text", "label": "text", "group": "text", "split": (*SPLITS, ""),
    "status": ("kept", "quarantined"), "reason": "text", "width": "integer", "height": "integer",
}  # fmt: skip
HISTORY_COLUMNS: Columns = {
    "epoch": "integer", "phase": "text", "lr": "number", "train_loss": "number", "train_acc": "number",
    "val_loss": "number", "val_acc": "number", "seconds": "number", "images_per_second": "number",
}  # fmt: skip


class Artefact(NamedTuple):
    """JSON, JSON lines, Markdown, or a table with these columns; the file says which by its suffix."""

    path: str  # below the run folder
    made_by: str = ""  # what to run where it is missing; lines are added to by anybody
    columns: Columns = NONE
    optional: Columns = NONE  # columns that may be missing
    others: Kind | None = "text"  # what further columns hold; None: they are not written
    by_class: bool = False  # a column of numbers for each class follows, in class order
    check: Callable[[Path, pd.DataFrame, tuple[str, ...]], None] | None = None  # of a table; gets the classes too
    schema: Any = None  # of JSON, and of each of its lines


def check_history(path: Path, history: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Raises InputError where the epochs do not count up from 1, or a rate, loss or time cannot be one."""
    if list(history["epoch"]) != list(range(1, len(history) + 1)):
        raise InputError(f"{path}: epochs must count 1, 2, 3 ..., found {list(history['epoch'])[:20]}")
    for column in ("train_acc", "val_acc"):
        refuse_rows(path, (history[column] < 0) | (history[column] > 1), f"{column} is not within 0-1")
    for column in ("lr", "train_loss", "val_loss", "seconds", "images_per_second"):
        bad = (history[column] < 0) | (history[column] == math.inf)
        refuse_rows(path, bad, f"{column} is not a number from 0 on")


def check_predictions(path: Path, predictions: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Raises InputError naming file and row where probabilities (0-1) contradict themselves or what was predicted."""
    refuse_rows(path, predictions["id"].duplicated(), "this id appears twice")
    probs = predictions[list(classes)]
    refuse_rows(path, ~probs.apply(lambda column: column.between(0, 1)).all(axis=1), "a probability is not within 0-1")
    refuse_rows(path, (probs.sum(axis=1) - 1).abs() > PROBABILITY_TOLERANCE, "the probabilities do not sum to 1")
    refuse_rows(path, probs.idxmax(axis=1) != predictions["predicted"], "predicted is not the most probable class")


def check_robustness(path: Path, table: pd.DataFrame, classes: tuple[str, ...]) -> None:
    """Raises InputError naming file and row where more images are correct than there are."""
    refuse_rows(path, ~table["correct"].between(0, table["count"]), "more images are correct than there are")


DATA, MODEL, CREATIVE = "01_data_preparation", "the notebook of {model}", "05_creative_element"
VIDEO = "07_video"
MANIFEST = Artefact(  # one row per source image; near duplicates share a cluster
    "data/manifest.csv", DATA, MANIFEST_COLUMNS,
    {
        "cluster": "text", "votes": "text", FAIRNESS: "text", **dict.fromkeys(FRAME_COLUMNS, "integer"),
        **dict.fromkeys(TEXT_PROPERTIES, "text"),
        **dict.fromkeys(NUMBER_PROPERTIES, "number or empty"),
    },
    others=None,
)  # fmt: skip
ARTEFACTS = {
    "facts": Artefact("run.json", "--fresh", schema=RunFacts),
    "claims": Artefact("claims.json", "06_comparison", schema=list[StoredClaim]),  # the generated sentences
    "manifest": MANIFEST,
    "auxiliary": MANIFEST._replace(path="data/auxiliary.csv"),  # of the images whose classes only teach
    "audit": Artefact("data/audit.json", DATA, schema=Audit),
    "rubric": Artefact("data/rubric.json", "--set rubric=FILE", schema=Rubric),  # see `rubric.store_rubric`
    "test_openings": Artefact("data/test_openings.jsonl", schema=TestOpening),  # see `run.note_test_opening`
    "history": Artefact(  # one row per epoch; accuracies 0-1, seconds of wall time
        "models/{model}/history.csv", MODEL, HISTORY_COLUMNS, others="number", check=check_history
    ),
    "predictions": Artefact(  # of val and test
        "models/{model}/predictions.csv", MODEL,
        {"id": "text", "split": ("val", "test"), "label": "class", "predicted": "class"}, {"views": "integer"},
        by_class=True, check=check_predictions,
    ),
    "model_card": Artefact("models/{model}/model.json", MODEL, schema=ModelCard),
    "readme": Artefact("models/{model}/README.md", "06_comparison"),  # the model card, see report.model_card
    "events": Artefact("models/{model}/events.jsonl", schema=Event),  # what training had to deal with
    "robustness": Artefact(  # how many of how many test images are predicted correctly under a corruption
        "models/{model}/robustness.csv", MODEL,
        {"kind": "text", "amount": "number", "label": "class", "count": "integer", "correct": "integer"},
        check=check_robustness,
    ),
    "search": Artefact(  # one row per configuration that was tried; without val_acc where no epoch ended
        "models/{model}/search.csv", "`emotion search {model}`",
        {
            "trial": "integer", "key": "text", "sampler": "text", "lr": "number", "weight_decay": "number",
            "augment_strength": "number", "state": ("complete", "pruned"), "epochs": "integer",
            "best_epoch": "integer", "val_acc": "number or empty", "seconds": "number", "reason": "text",
        },
        others=None,
    ),
    "search_summary": Artefact("models/{model}/search.json", "`emotion search {model}`", schema=SearchSummary),
    "regions": Artefact(
        "creative/regions.csv", CREATIVE,
        {"region": "text", "left": "number", "top": "number", "right": "number", "bottom": "number"},
    ),
    "saliency": Artefact(  # a column per region follows
        "creative/saliency.csv", CREATIVE, {"model": "text", "id": "text", "label": "class", "predicted": "class"},
        others="number",
    ),
    "randomised": Artefact(
        "creative/randomised.csv", CREATIVE,
        {"model": "text", "step": "number", "group": "text", "id": "text", "correlation": "number"},
    ),
    "video_faces": Artefact(  # a row for each face in each frame of the synthetic clip
        "video/faces.csv", VIDEO,
        {"frame": "integer", "time_s": "number", "track": "number or empty",
         **dict.fromkeys(BOX_COLUMNS, "number or empty"), "found": ("True", "False"), "predicted": "text",
         "confidence": "number or empty"},
        others="number or empty",
    ),
    "video_model": Artefact("video/model.json", VIDEO, schema=VideoModel),
    "video_truth": Artefact(  # what each person in it shows
        "video/truth.csv", VIDEO,
        {"frame": "integer", "time_s": "number", "person": "text", "label": "text",
         **dict.fromkeys(BOX_COLUMNS, "number")},
    ),
    "covered": Artefact(
        "creative/covered.csv", CREATIVE,
        {"model": "text", "id": "text", "label": "class", "predicted": "class", "region": "text"},
    ),
}  # fmt: skip
WEIGHTS_COLUMN, WEIGHTS_DIGITS = "weights_sha256", 12  # of a table: how the checksum of what was measured begins
CREATIVE_TABLES = ("regions", "saliency", "randomised", "covered")
