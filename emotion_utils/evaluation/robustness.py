"""Robustness to common corruptions (Hendrycks and Dietterich 2019): measured once, stored as a table."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd

from emotion_utils.artefacts import CLEAN
from emotion_utils.devices import evaluation_batch_size, pick_device
from emotion_utils.evaluation.corruptions import CORRUPTIONS, corrupt_all
from emotion_utils.evaluation.predict import device_of, predict_probs
from emotion_utils.models.zoo import load_model
from emotion_utils.progress import Progress
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split, restore_images

IMAGES = 300  # at most; the first of the test split by id: ids are checksums, so that is a random sample


def measure_robustness(run: Run, model: str, *, progress: Progress | None = None) -> pd.DataFrame:
    """Counts correct predictions on test images, uncorrupted and under each corruption; writes robustness.csv.

    Columns: `kind`, `amount` (the severity), `label`, `count` of images, `correct` predictions among them. What was
    measured of this model before is read.
    """
    if (run.model_dir(model) / "robustness.csv").exists():  # a new training removes that of the last one
        return run.read("robustness", model)
    net, _ = load_model(run.model_dir(model), pick_device())
    restore_images(run)
    run.note_test_opening(f"{run.title(model)}, corrupted images")
    dataset, classes = open_split(run, "test"), run.class_names()
    positions = np.arange(min(len(dataset), IMAGES))
    parts = np.array_split(positions, -(-len(positions) // evaluation_batch_size(device_of(net), dataset.size_px)))
    conditions = [(CLEAN, 0.0), *((kind, severity) for kind in CORRUPTIONS for severity in CORRUPTIONS[kind])]
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
    run.write("robustness", table, model)
    return table
