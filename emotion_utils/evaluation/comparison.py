"""Models compared on the same images: paired tests, and bootstrap intervals of rates and of differences. No torch.

The tables of `predictions` hold the same images in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from emotion_utils.evaluation.metrics import accuracy, class_rates, confusion
from emotion_utils.evaluation.statistics import (
    LEVEL,
    adjust_holm,
    bootstrap_means,
    mcnemar_p,
    percentile_interval,
    resample_counts,
    sign_flip_p,
)

F1 = 2  # its place in `metrics.class_rates`


def compare_pairs(predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per pair of models, `model_a` and `model_b`: which one is better, and is that more than chance?

    Columns: `only_a`, `only_b` (images that only this model got right), the `difference` of their accuracies (a - b),
    `p_value` of the exact McNemar test, and `p_holm`, adjusted for all pairs.
    """
    right = {model: (table["label"] == table["predicted"]).to_numpy() for model, table in predictions.items()}
    rows = []
    for a, b in combinations(predictions, 2):
        only_a, only_b = int((right[a] & ~right[b]).sum()), int((right[b] & ~right[a]).sum())
        difference = accuracy(predictions[a]) - accuracy(predictions[b])
        rows.append((a, b, only_a, only_b, difference, mcnemar_p(only_a, only_b)))
    pairs = pd.DataFrame(rows, columns=["model_a", "model_b", "only_a", "only_b", "difference", "p_value"])
    return pairs.assign(p_holm=adjust_holm(pairs["p_value"].to_numpy()))


def compare_trainings(differences: Sequence[np.ndarray], seed: int) -> pd.DataFrame:
    """One row for each of several comparisons of two trainings, or of as many from several seeds, on the same images.

    differences: each int (trainings, N), 1 where only the first one is correct on an image, -1 where only the second,
    else 0. Columns: the mean `difference` of accuracies, `low` and `high` (bootstrap intervals over images that hold
    together at LEVEL, by Bonferroni), `p_value` of the exact paired permutation test, and `p_holm`.
    """
    means = np.stack([each.mean(axis=0) for each in differences], axis=1)
    drawn = bootstrap_means(means, seed)
    low, high = percentile_interval(drawn, 1 - (1 - LEVEL) / len(differences))
    p_values = np.array([sign_flip_p(each.sum(axis=0)) for each in differences])
    table = {"difference": means.mean(axis=0), "low": low, "high": high, "p_value": p_values}
    return pd.DataFrame(table | {"p_holm": adjust_holm(p_values)})


def macro_intervals(predictions: pd.DataFrame, class_names: Sequence[str], seed: int) -> pd.DataFrame:
    """Bootstrap intervals of one model's macro averages: rows precision, recall, f1-score; columns low, high."""
    counts = confusion(predictions, class_names).to_numpy()
    macro = [
        class_rates(drawn.reshape(-1, *counts.shape)).mean(axis=-1) for drawn in resample_counts(counts.ravel(), seed)
    ]
    low, high = percentile_interval(np.concatenate(macro, axis=1).T)
    return pd.DataFrame({"low": low, "high": high}, index=["precision", "recall", "f1-score"])


def resample_rates(
    predictions: Mapping[str, pd.DataFrame], class_names: Sequence[str], seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each model bootstrap values of its accuracy, float64 (RESAMPLES,), and of F1 per class, (RESAMPLES, k).

    In each draw all models see the same images, so that their rates may be subtracted.
    """
    place = {name: number for number, name in enumerate(class_names)}
    first = next(iter(predictions.values()))
    answers = [first["label"].map(place), *(table["predicted"].map(place) for table in predictions.values())]
    patterns, counts = np.unique(np.column_stack(answers), axis=0, return_counts=True)
    k, rates = len(place), {model: ([], []) for model in predictions}
    for drawn in resample_counts(counts, seed):
        for column, model in enumerate(predictions, start=1):
            matrices = np.zeros((len(drawn), k * k))
            cells = patterns[:, 0] * k + patterns[:, column]
            for cell in np.unique(cells):
                matrices[:, cell] = drawn[:, cells == cell].sum(axis=1)
            matrices = matrices.reshape(-1, k, k)
            rates[model][0].append(np.trace(matrices, axis1=1, axis2=2) / counts.sum())
            rates[model][1].append(class_rates(matrices)[F1])
    return {model: (np.concatenate(right), np.concatenate(f1)) for model, (right, f1) in rates.items()}


def difference_intervals(rates: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """For each pair (a - b), from `resample_rates`: low and high of the difference of accuracies and of macro F1."""
    rows = []
    for a, b in combinations(rates, 2):
        right = percentile_interval(rates[a][0] - rates[b][0])
        f1 = percentile_interval(rates[a][1].mean(axis=1) - rates[b][1].mean(axis=1))
        rows.append((a, b, *right, *f1))
    columns = ["model_a", "model_b", "accuracy_low", "accuracy_high", "f1_low", "f1_high"]
    return pd.DataFrame(rows, columns=columns)
