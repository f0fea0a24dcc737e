"""What a difference between two models on the same images is worth: paired tests, bootstrap intervals. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from emotion_utils.evaluation.metrics import LEVEL, accuracy, class_rates, confusion

ALPHA = 0.05  # of all comparisons of a report together
RESAMPLES = 2000
PAIR_COLUMNS = ("model_a", "model_b", "only_a", "only_b", "difference", "p_value", "p_holm")


def compare_pairs(predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Each pair of models on the same images: how many only `model_a` or only `model_b` got right, the `difference`
    of their accuracies (a - b), the `p_value` of the exact McNemar test, and `p_holm`, adjusted for all pairs.

    The tables of `predictions` hold the same images in the same order. McNemar 1947.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    right = {model: (table["label"] == table["predicted"]).to_numpy() for model, table in predictions.items()}
    rows = []
    for a, b in combinations(predictions, 2):
        only_a, only_b = int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())
        p_value = float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue) if only_a + only_b else 1.0
        rows.append((a, b, only_a, only_b, accuracy(predictions[a]) - accuracy(predictions[b]), p_value))
    pairs = pd.DataFrame(rows, columns=list(PAIR_COLUMNS[:-1]))
    pairs["p_holm"] = adjust_holm(pairs["p_value"].to_numpy())
    return pairs


def adjust_holm(p_values: np.ndarray) -> np.ndarray:
    """p-values (n,) adjusted so that all n decisions together err with at most ALPHA (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return adjusted


def macro_intervals(predictions: pd.DataFrame, class_names: Sequence[str], seed: int) -> pd.DataFrame:
    """Bootstrap intervals (percentiles at LEVEL) of the macro averages: rows precision, recall, f1-score; low, high.

    Images are drawn again with replacement, RESAMPLES times (Efron 1979); the same `seed` gives the same interval.
    """
    counts = confusion(predictions, class_names).to_numpy()
    total, k = int(counts.sum()), len(class_names)
    drawn = np.random.default_rng(seed).multinomial(total, counts.ravel() / total, size=RESAMPLES)
    macro = class_rates(drawn.reshape(RESAMPLES, k, k)).mean(axis=-1)
    low, high = np.quantile(macro, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return pd.DataFrame({"low": low, "high": high}, index=["precision", "recall", "f1-score"])
