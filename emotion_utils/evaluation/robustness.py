"""How much of its accuracy a model keeps on images that were made worse: measured once, kept as a table."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd

from emotion_utils.devices import evaluation_batch_size, pick_device
from emotion_utils.evaluation.corruptions import DEGRADATIONS, degrade_all
from emotion_utils.evaluation.predict import device_of, predict_probs
from emotion_utils.models.zoo import load_model
from emotion_utils.progress import Progress
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split, restore_images

IMAGES = 300  # of the test split at most, the first by id: an id is a checksum, so that is as good as drawn
AS_THEY_ARE = "as they are"


def measure_robustness(run: Run, model: str, *, progress: Progress | None = None) -> pd.DataFrame:
    """Counts of right answers on test images as they are and made worse; also written as robustness.csv.

    Columns: `kind`, `amount`, `label`, `count` of images, `correct` ones of them.
    """
    net, _ = load_model(run.model_dir(model), pick_device())
    restore_images(run)
    run.note_test_opening(f"{model}, images made worse")
    dataset, classes = open_split(run, "test"), run.class_names()
    positions = np.arange(min(len(dataset), IMAGES))
    parts = np.array_split(positions, -(-len(positions) // evaluation_batch_size(device_of(net), dataset.size_px)))
    ways = [(AS_THEY_ARE, 0.0), *((kind, amount) for kind, amounts in DEGRADATIONS.items() for amount in amounts)]
    right = np.zeros((len(ways), len(positions)), bool)
    for number, part in enumerate(parts):
        batch = dataset.batch(part)
        images = batch.images.to(device_of(net))  # once, for all ways
        shown = chain([images], (worse for _, _, worse in degrade_all(images, batch.ids)))
        for way, worse in enumerate(shown):
            right[way, part] = predict_probs(net, worse).argmax(axis=1) == batch.labels.numpy()
            if progress:
                progress(number * len(ways) + way + 1, len(parts) * len(ways))
    labels, rows = dataset.labels[: len(positions)].numpy(), []
    for way, (kind, amount) in enumerate(ways):
        for place, name in enumerate(classes):
            inside = labels == place
            rows.append((kind, float(amount), name, int(inside.sum()), int(right[way, inside].sum())))
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    run.write_robustness(model, table)
    return table
