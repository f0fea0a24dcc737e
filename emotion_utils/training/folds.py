"""A model trained once for each fold of the training images, on all but that fold: teachers that have not seen it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from emotion_utils.audit.stratify import share_out
from emotion_utils.audit.ties import join_ties
from emotion_utils.counter_rng import id_keys, mix_keys
from emotion_utils.errors import InputError
from emotion_utils.run import Run


def divide_run(run: Run, model: str, count: int) -> Iterator[Run]:
    """`count` runs beside `run`, in RUN-folds/fold-1 and so on, prepared for the training of `model`.

    Their train is that of `run` without a fold, their val the same, their test the fold. What is tied (copies, the
    same person) stays in one fold. The test images of `run`, and a fold of those that only teach, are in none of their
    splits; all share the decoded images of `run`.
    Raises InputError where the training images do not fill the folds.
    """
    manifest = run.read("manifest")
    auxiliary = run.read("auxiliary") if run.config.auxiliary_classes else manifest.head(0)
    rows = pd.concat([manifest, auxiliary], ignore_index=True)
    folds = draw_folds(rows, count, run.config.seed)
    config = run.config.model_copy(update={"models": (model,), "seeds": 1, "ablate": ()})
    for fold in range(count):
        other = Run.create(run.root.with_name(f"{run.root.name}-folds") / f"fold-{fold + 1}", config)
        split = rows["split"].mask(rows["split"] == "test", "")
        is_own = np.arange(len(rows)) < len(manifest)
        split = split.mask(folds == fold, np.where(is_own, "test", ""))
        other.write("audit", run.read("audit"))
        if run.config.auxiliary_classes:
            other.write("auxiliary", auxiliary.assign(split=split[~is_own].to_numpy()))
        other.write("manifest", manifest.assign(split=split[is_own].to_numpy()))
        yield other


def draw_folds(rows: pd.DataFrame, count: int, seed: int) -> np.ndarray:
    """int (N,): the fold of each training image, -1 of any other; ties stay together, classes are shared out evenly."""
    is_train = (rows["split"] == "train").to_numpy()
    train = rows[is_train]
    labels = pd.factorize(train["label"], sort=True)[0]
    folds = np.full(len(rows), -1)
    folds[is_train] = share_out(
        labels, join_ties(train), mix_keys(id_keys(train["id"]), seed), np.full(count, 1 / count)
    )
    sizes = pd.crosstab(train["label"], folds[is_train]).reindex(columns=range(count), fill_value=0)
    if (sizes == 0).any(axis=None):
        scarce = sizes.index[(sizes == 0).any(axis=1)][0]
        raise InputError(
            f"--folds {count}: class {scarce!r} does not fill them; {count} images that are not tied are needed"
        )
    return folds
