"""The metrics of one model on images of known or unknown persons, each with its interval. No torch.

`predictions` has the columns label, predicted and a probability for each class; `groups` names the person of each row,
"" where nobody knows. If any is known, intervals are those of a bootstrap over persons (of shares, not narrower than
Wilson's): images of one person are not independent of each other. Else they are Wilson's for shares, and those of a
bootstrap over images for the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from emotion_utils.evaluation.calibration import (
    calibration_error,
    error_interval,
    probs_and_labels,
    squared_distances,
)  # fmt: skip
from emotion_utils.evaluation.metrics import class_rates, confusion
from emotion_utils.evaluation.statistics import (
    bootstrap_means,
    percentile_interval,
    resample_counts,
    resample_totals,
    sum_by_group,
    wilson_interval,
)  # fmt: skip
from emotion_utils.evaluation.strata import Stratum, select_stratum

SEED = 0  # of every bootstrap
RATES = ("precision", "recall", "f1-score")
MACRO_F1 = "macro f1-score"
COLUMNS = ("stratum", "class", "metric", "value", "low", "high", "images", "persons")


class Metric(NamedTuple):
    """A figure with its interval; `class_name` is "" for one over all classes."""

    name: str
    class_name: str
    value: float
    low: float
    high: float


def measure_metrics(predictions: pd.DataFrame, groups: Sequence[str], class_names: Sequence[str]) -> list[Metric]:
    """Accuracy; where persons are known, its mean over them, each counted once; macro and class rates; calibration."""
    units = count_units(groups)
    names = list(groups) if any(groups) and units > 1 else None  # of one person alone nothing could be drawn
    right = (predictions["label"] == predictions["predicted"]).to_numpy()
    drawn = resample_confusions(predictions, names, class_names)
    hits = np.diagonal(drawn, axis1=1, axis2=2)
    found = [_share("accuracy", "", int(right.sum()), len(right), hits.sum(1) / drawn.sum((1, 2)), names, units)]
    if names:
        found.append(_mean_over_persons(right, names))
    found += _measure_rates(confusion(predictions, class_names), drawn, names, predictions, groups)
    return found + _measure_calibration(predictions, right, names, class_names)


def tabulate_metrics(
    predictions: pd.DataFrame, groups: pd.Series, class_names: Sequence[str], strata: Iterable[Stratum]
) -> pd.DataFrame:
    """A row for each figure: stratum ("" for all images), class, metric, value, low, high, and images and persons.

    Of a stratum only accuracy and macro F1, which there is where every class has an image. `groups` is by id.
    """
    rows = []
    for stratum in [None, *strata]:
        part = predictions if stratum is None else select_stratum(predictions, stratum)
        names = groups.loc[part["id"]].tolist()
        found = measure_metrics(part, names, class_names)
        if stratum is not None:
            whole = set(part["label"]) == set(class_names)
            found = [each for each in found if each.name == "accuracy" or (each.name == MACRO_F1 and whole)]
        head, sizes = "" if stratum is None else stratum.name, (len(part), len(set(filter(None, names))))
        rows += [(head, each.class_name, each.name, *each[2:], *sizes) for each in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def count_units(groups: Sequence[str]) -> int:
    """How many persons there are, each image of nobody known counted as one."""
    known = [name for name in groups if name]
    return len(set(known)) + len(groups) - len(known)


def accuracy_interval(right: np.ndarray, groups: Sequence[str]) -> tuple[float, float]:
    """The interval (0-1) of the share of `right`, bool (n,), by the rule of this module."""
    units = count_units(groups)
    names = list(groups) if any(groups) and units > 1 else None
    totals = resample_totals(np.column_stack([right, np.ones(len(right))]), names, SEED)
    share = _share("accuracy", "", int(right.sum()), len(right), totals[:, 0] / totals[:, 1], names, units)
    return share.low, share.high


def _measure_rates(
    counts: pd.DataFrame, drawn: np.ndarray, names: list[str] | None, predictions: pd.DataFrame, groups: Sequence[str]
) -> list[Metric]:
    """Macro averages, then precision, recall and F1 of each class."""
    matrix, persons = counts.to_numpy(), np.asarray(groups, dtype=object)
    rates, resampled = class_rates(matrix), class_rates(drawn)  # (3, k), (3, RESAMPLES, k)
    found = [
        Metric(f"macro {name}", "", float(rates[row].mean()), *map(float, percentile_interval(resampled[row].mean(1))))
        for row, name in enumerate(RATES)
    ]
    for place, class_name in enumerate(counts.index):
        hits = int(matrix[place, place])
        for row, (name, column) in enumerate(zip(RATES, ("predicted", "label", None), strict=True)):
            values = resampled[row][:, place]
            if column:
                concerned = (predictions[column] == class_name).to_numpy()
                units = count_units(persons[concerned])
                found.append(_share(name, class_name, hits, int(concerned.sum()), values, names, units))
            else:
                interval = map(float, percentile_interval(values))
                found.append(Metric(name, class_name, float(rates[row, place]), *interval))
    return found


def _share(
    name: str, class_name: str, correct: int, count: int, drawn: np.ndarray, names: list[str] | None, units: int
) -> Metric:
    """A share of images. Of few persons a bootstrap sees too little, so its interval is at least as wide as Wilson's.

    A share of 0 or 1 stays the same however persons are drawn: there it is Wilson's of as many images as persons.
    """
    share = correct / count if count else 0.0
    if names is None:
        return Metric(name, class_name, share, *wilson_interval(correct, count))
    if correct in (0, count):
        return Metric(name, class_name, share, *wilson_interval(units if correct else 0, units))
    (low, high), wilson = map(float, percentile_interval(drawn)), wilson_interval(correct, count)
    return Metric(name, class_name, share, min(low, wilson[0]), max(high, wilson[1]))


def _mean_over_persons(right: np.ndarray, names: list[str]) -> Metric:
    sums = sum_by_group(np.column_stack([right, np.ones(len(right))]), names)
    shares = sums[:, :1] / sums[:, 1:]
    interval = percentile_interval(bootstrap_means(shares, SEED)[:, 0])
    return Metric("accuracy per person", "", float(shares.mean()), *map(float, interval))


def _measure_calibration(
    predictions: pd.DataFrame, right: np.ndarray, names: list[str] | None, class_names: Sequence[str]
) -> list[Metric]:
    """Mean confidence, expected calibration error and Brier score."""
    probs, labels = probs_and_labels(predictions, class_names)
    confidence = probs.max(axis=1)
    distances = squared_distances(probs, labels)
    totals = resample_totals(np.column_stack([confidence, distances, np.ones(len(right))]), names, SEED)
    means = percentile_interval(totals[:, :2] / totals[:, 2:])
    return [
        Metric("mean confidence", "", float(confidence.mean()), *map(float, means[:, 0])),
        Metric(
            "calibration error", "", calibration_error(confidence, right),
            *map(float, error_interval(confidence, right, SEED, names)),
        ),
        Metric("brier score", "", float(distances.mean()), *map(float, means[:, 1])),
    ]  # fmt: skip


def resample_confusions(predictions: pd.DataFrame, names: list[str] | None, class_names: Sequence[str]) -> np.ndarray:
    """float64 (RESAMPLES, k, k): confusion matrices of resampled images, or of all images of resampled persons."""
    k = len(class_names)
    if names is None:
        counts = confusion(predictions, class_names).to_numpy().ravel()
        return np.concatenate(list(resample_counts(counts, SEED))).reshape(-1, k, k).astype(np.float64)
    place = {name: number for number, name in enumerate(class_names)}
    cells = predictions["label"].map(place) * k + predictions["predicted"].map(place)
    return resample_totals(np.eye(k * k)[cells], names, SEED).reshape(-1, k, k)
