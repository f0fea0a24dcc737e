"""Confusion matrix, accuracy, precision, recall and F1 from stored predictions. No torch.

`predictions` is a table with the columns `label` and `predicted`, one row per image, of one split. Rates are 0-1.
A rate whose denominator is zero is 0: a class that was never predicted has precision 0, one without images recall 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotion_utils.errors import InputError

REPORT_COLUMNS = ("precision", "recall", "f1-score", "support")
SUMMARY_ROWS = ("accuracy", "macro avg", "weighted avg")


def confusion(predictions: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """int64 (k, k): images of each label (rows) by the class predicted for them (columns), in class order.

    Raises InputError for a label or a prediction that is not among `class_names`.
    """
    names = list(class_names)
    foreign = sorted((set(predictions["label"]) | set(predictions["predicted"])) - set(names))
    if foreign:
        raise InputError(f"class {foreign[0]!r} is not among {', '.join(map(repr, names))}: train the model again")
    counts = pd.crosstab(predictions["label"], predictions["predicted"]).reindex(index=names, columns=names)
    return counts.fillna(0).astype("int64").rename_axis(index=None, columns=None)


def classification_table(predictions: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """Precision, recall and F1 (0-1) and support (int64) of each class, then accuracy, macro and weighted average.

    The accuracy stands in the column f1-score, as in scikit-learn's report; its precision and recall are NaN.
    """
    counts = confusion(predictions, class_names).to_numpy()
    support = counts.sum(axis=1)
    rates = class_rates(counts)
    total = int(support.sum())
    weights = _divide(support, total)
    accuracy = float(_divide(np.trace(counts), total))
    rows = [*rates.T, [np.nan, np.nan, accuracy], rates.mean(axis=1), rates @ weights]
    table = pd.DataFrame(rows, index=[*class_names, *SUMMARY_ROWS], columns=list(REPORT_COLUMNS[:3]), dtype="float64")
    table["support"] = np.array([*support, total, total, total], dtype=np.int64)
    return table


def class_rates(counts: np.ndarray) -> np.ndarray:
    """float64 (3, ..., k): precision, recall and F1 of each class, from counts (..., k, k) by label and prediction."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    precision = _divide(hits, counts.sum(axis=-2))
    recall = _divide(hits, counts.sum(axis=-1))
    f1 = _divide(2 * hits, counts.sum(axis=-2) + counts.sum(axis=-1))
    return np.stack([precision, recall, f1])


def count_correct(predictions: pd.DataFrame) -> int:
    """Images whose predicted class is their label."""
    return int((predictions["label"] == predictions["predicted"]).sum())


def accuracy(predictions: pd.DataFrame) -> float:
    """The share (0-1) of images whose predicted class is their label."""
    return float(_divide(count_correct(predictions), len(predictions)))


def _divide(numerator: np.ndarray | float, denominator: np.ndarray | float) -> np.ndarray:
    """float64; 0 where the denominator is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, "float64"), np.asarray(denominator, "float64"))
    return np.divide(top, bottom, out=np.zeros(top.shape), where=bottom > 0)
