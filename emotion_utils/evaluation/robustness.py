"""Robustness to common corruptions (Hendrycks and Dietterich 2019): measured once, stored as a table."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd

from emotion_utils.artefacts import CLEAN, WEIGHTS_COLUMN, WEIGHTS_DIGITS
from emotion_utils.devices import evaluation_batch_size, pick_device
from emotion_utils.errors import EmotionError
from emotion_utils.evaluation.corruptions import CORRUPTIONS, corrupt_all
from emotion_utils.evaluation.predict import device_of, predict_probs
from emotion_utils.models.zoo import load_model
from emotion_utils.progress import Progress
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split, restore_images

IMAGES = 300  # at most; the first of the test split by id: ids are checksums, so that is a random sample


def measure_robustness(run: Run, model: str, *, progress: Progress | None = None) -> pd.DataFrame:
    """Counts correct predictions on test images, uncorrupted and under each corruption; writes robustness.csv.

    Columns: `kind`, `amount` (the severity), `label`, `count` of images, `correct` predictions among them, and
    `weights_sha256`, which begins the checksum of the model. What was measured of this model before is read.
    """
    net, card = load_model(run.model_dir(model), pick_device())
    stored = _read_stored(run, model, card["sha256"])
    if stored is not None:
        return stored
    restore_images(run)
    is_first = not run.path("robustness", model).exists()  # or the first was killed: the same look
    run.note_test_opening(f"{run.title(model)}, corrupted images", of=card["sha256"] if is_first else "")
    dataset, classes = open_split(run, "test"), run.class_names()
    positions = np.arange(min(len(dataset), IMAGES))
    parts = np.array_split(positions, -(-len(positions) // evaluation_batch_size(device_of(net), dataset.size_px)))
    conditions = _conditions()
    right = np.zeros((len(conditions), len(positions)), bool)
    for number, part in enumerate(parts):
        batch = dataset.batch(part)
        images = batch.images.to(device_of(net))  # once, for all conditions
        shown = chain([images], (corrupted for _, _, corrupted in corrupt_all(images, batch.ids)))
        for condition, corrupted in enumerate(shown):
            right[condition, part] = predict_probs(net, corrupted).argmax(axis=1) == batch.labels.numpy()
            if progress:
                progress(number * len(conditions) + condition + 1, len(parts) * len(conditions))
    labels, rows = dataset.labels[: len(positions)].numpy(), []
    for condition, (kind, severity) in enumerate(conditions):
        for place, name in enumerate(classes):
            inside = labels == place
            rows.append((kind, float(severity), name, int(inside.sum()), int(right[condition, inside].sum())))
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    table[WEIGHTS_COLUMN] = card["sha256"][:WEIGHTS_DIGITS]
    run.write("robustness", table, model)
    return table


def _conditions() -> list[tuple[str, float]]:
    """Each kind and severity, the uncorrupted images first."""
    return [(CLEAN, 0.0), *((kind, severity) for kind in CORRUPTIONS for severity in CORRUPTIONS[kind])]


def _read_stored(run: Run, model: str, sha256: str) -> pd.DataFrame | None:
    """The stored table if it was measured with these weights, under each condition, on as many images of each class."""
    try:
        stored = run.read("robustness", model)
    except EmotionError:  # none, or a damaged table: it is made again
        return None
    manifest = run.read("manifest")
    counts = manifest[manifest["split"] == "test"].sort_values("id")["label"][:IMAGES].value_counts()
    rows = [(kind, float(amount), name, int(counts.get(name, 0)))
            for kind, amount in _conditions() for name in run.class_names()]  # fmt: skip
    is_complete = rows == list(stored[["kind", "amount", "label", "count"]].itertuples(index=False, name=None))
    return stored if is_complete and set(stored.get(WEIGHTS_COLUMN, ())) == {sha256[:WEIGHTS_DIGITS]} else None
