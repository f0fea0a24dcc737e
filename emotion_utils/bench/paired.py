"""Answers of several trainings on the same images: rates and paired differences, with intervals by person. No torch.

`answers` are predictions with the columns `seed` and `unit`: the person, or else the image itself. Intervals are those
of a bootstrap over these units, each drawn with all its answers, of all seeds: what the seeds have in common on an
image is not counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from emotion_utils.evaluation.metrics import class_rates, confusion
from emotion_utils.evaluation.statistics import percentile_interval
from emotion_utils.evaluation.unseen_metrics import MACRO_F1, measure_metrics, resample_confusions

F1 = 2  # its place in `metrics.class_rates`


def with_units(predictions: pd.DataFrame, manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """`predictions` as answers."""
    groups = predictions["id"].map(manifest.set_index("id")["group"])
    return predictions.assign(seed=seed, unit=groups.where(groups != "", predictions["id"]))


def measure_rates(answers: Mapping[str, pd.DataFrame], class_names: Sequence[str]) -> pd.DataFrame:
    """A row for each: name; accuracy and macro_f1 (0-1), each with low and high; seed_sd, of accuracy; seconds.

    The seconds are those of one training, on average.
    """
    rows = []
    for name, table in answers.items():
        found = {each.name: each for each in measure_metrics(table, table["unit"].tolist(), class_names)}
        right, f1, by_seed = found["accuracy"], found[MACRO_F1], _accuracy_by_seed(table)
        rows.append({
            "name": name, "accuracy": right.value, "acc_low": right.low, "acc_high": right.high, "macro_f1": f1.value,
            "f1_low": f1.low, "f1_high": f1.high, "seed_sd": by_seed.std(), "seconds": table["seconds"].mean(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def measure_differences(
    answers: Mapping[str, pd.DataFrame], class_names: Sequence[str], pairs: Iterable[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """A row for each pair, of all if None: name, other; `name` minus `other` in accuracy and macro_f1 (0-1).

    Each with low and high; seed_sd is the standard deviation of the difference of accuracies over the seeds.
    """
    values = {name: _rates(confusion(table, class_names).to_numpy()) for name, table in answers.items()}
    drawn = {
        name: _rates(resample_confusions(table, table["unit"].tolist(), class_names)) for name, table in answers.items()
    }
    rows = []
    for name, other in combinations(answers, 2) if pairs is None else pairs:
        accuracy, f1 = values[name] - values[other]
        low, high = percentile_interval(drawn[name] - drawn[other])
        by_seed = _accuracy_by_seed(answers[name]) - _accuracy_by_seed(answers[other])
        rows.append({
            "name": name, "other": other, "accuracy": accuracy, "acc_low": low[0], "acc_high": high[0], "macro_f1": f1,
            "f1_low": low[1], "f1_high": high[1], "seed_sd": by_seed.std(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _rates(counts: np.ndarray) -> np.ndarray:
    """float64 (..., 2): accuracy and macro F1 of confusion matrices (..., k, k)."""
    accuracy = np.trace(counts, axis1=-2, axis2=-1) / counts.sum((-2, -1))
    return np.stack([accuracy, class_rates(counts)[F1].mean(axis=-1)], axis=-1)


def _accuracy_by_seed(answers: pd.DataFrame) -> pd.Series:
    return (answers["label"] == answers["predicted"]).groupby(answers["seed"]).mean()
