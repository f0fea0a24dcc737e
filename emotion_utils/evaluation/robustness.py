"""How much of its accuracy a model keeps on pictures that were made worse: measured once, kept as a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from emotion_utils.data.loader import open_split
from emotion_utils.devices import pick_device
from emotion_utils.evaluation.degradation import DEGRADATIONS, degrade
from emotion_utils.evaluation.predict import EVALUATION_BATCH_SIZE, predict_probs
from emotion_utils.models.zoo import load_model
from emotion_utils.run import Run

PICTURES = 300  # of the test split at most, the first by id: an id is a checksum, so that is as good as drawn
AS_THEY_ARE = "as they are"

Progress = Callable[[int, int], None]  # ways of making worse that are done, and all of them


def measure_robustness(run: Run, model: str, *, progress: Progress | None = None) -> pd.DataFrame:
    """Counts of right answers on test pictures as they are and made worse; also written as robustness.csv.

    Columns: `kind`, `amount`, `label`, `count` of pictures, `correct` ones of them.
    """
    net = load_model(run.model_dir(model))[0].to(pick_device())
    dataset, classes = open_split(run, "test", reader=f"{model}, pictures made worse"), run.class_names()
    positions = np.arange(min(len(dataset), PICTURES))
    parts = [dataset.batch(part) for part in np.array_split(positions, -(-len(positions) // EVALUATION_BATCH_SIZE))]
    labels = np.concatenate([part.labels.numpy() for part in parts])
    ways = [(AS_THEY_ARE, 0.0), *((kind, amount) for kind, amounts in DEGRADATIONS.items() for amount in amounts)]
    rows = []
    for done, (kind, amount) in enumerate(ways, start=1):
        answers = []
        for part in parts:
            images = part.images if kind == AS_THEY_ARE else degrade(part.images, part.ids, kind, amount)
            answers.append(predict_probs(net, images).argmax(axis=1))
        right = np.concatenate(answers) == labels
        for place, name in enumerate(classes):
            inside = labels == place
            rows.append((kind, float(amount), name, int(inside.sum()), int(right[inside].sum())))
        if progress:
            progress(done, len(ways))
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    run.write_robustness(model, table)
    return table
