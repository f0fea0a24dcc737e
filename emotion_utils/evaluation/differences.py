"""How far a difference between two models may be off, and which one a test set can show at all. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from emotion_utils.evaluation.metrics import LEVEL, class_rates
from emotion_utils.evaluation.uncertainty import ALPHA, RESAMPLES

POWER = 0.8  # the chance with which a difference that can be detected is shown
CHUNK = 2**22  # cells drawn at a time: some 30 MB
F1 = 2  # its place in `metrics.class_rates`


def resample_rates(
    predictions: Mapping[str, pd.DataFrame], class_names: Sequence[str], seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each model accuracy float64 (RESAMPLES,) and F1 of each class (RESAMPLES, k), of images drawn again.

    All models see the same images in each draw (Efron 1979), so that their rates may be subtracted.
    """
    place = {name: number for number, name in enumerate(class_names)}
    first = next(iter(predictions.values()))
    answers = [first["label"].map(place), *(table["predicted"].map(place) for table in predictions.values())]
    patterns, counts = np.unique(np.column_stack(answers), axis=0, return_counts=True)
    k, rates = len(place), {model: ([], []) for model in predictions}
    for drawn in draw_again(counts, seed):
        for column, model in enumerate(predictions, start=1):
            matrices = np.zeros((len(drawn), k * k))
            cells = patterns[:, 0] * k + patterns[:, column]
            for cell in np.unique(cells):
                matrices[:, cell] = drawn[:, cells == cell].sum(axis=1)
            matrices = matrices.reshape(-1, k, k)
            rates[model][0].append(np.trace(matrices, axis1=1, axis2=2) / counts.sum())
            rates[model][1].append(class_rates(matrices)[F1])
    return {model: (np.concatenate(right), np.concatenate(f1)) for model, (right, f1) in rates.items()}


def draw_again(counts: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """As many images drawn again with replacement as `counts` (n,) has in all, how many of each: int64 (m, n), in
    parts that fit into memory, RESAMPLES rows in all."""
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // len(counts))
    for start in range(0, RESAMPLES, step):
        yield rng.multinomial(counts.sum(), counts / counts.sum(), size=min(step, RESAMPLES - start))


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The interval of bootstrap values at LEVEL."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def difference_intervals(rates: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """For each pair (a - b), from `resample_rates`: low and high of the difference of accuracies and of macro F1."""
    rows = []
    for a, b in combinations(rates, 2):
        right = percentiles(rates[a][0] - rates[b][0])
        f1 = percentiles(rates[a][1].mean(axis=1) - rates[b][1].mean(axis=1))
        rows.append((a, b, *right, *f1))
    columns = ["model_a", "model_b", "accuracy_low", "accuracy_high", "f1_low", "f1_high"]
    return pd.DataFrame(rows, columns=columns)


# -- what a test set can show ----------------------------------------------------------------------


def most_losses(disagreements: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """int64, like `disagreements` (images on which one of two models is right and the other is not): on how many of
    them the better one may lose so that the exact McNemar test still shows it ahead; -1 where not even none will do.
    """
    from scipy.stats import binom

    near = binom.ppf(alpha / 2, disagreements, 0.5)
    fits = binom.cdf(near, disagreements, 0.5) <= alpha / 2
    return np.where(disagreements > 0, np.where(fits, near, near - 1), -1).astype(np.int64)


def fewest_images(alpha: float = ALPHA) -> int:
    """On how many images one model must be right and the other not, never the reverse, for the test to show it."""
    return int(np.argmax(most_losses(np.arange(2 * math.ceil(-math.log2(alpha)) + 2), alpha) >= 0))


def detectable_difference(count: int, share: float, alpha: float = ALPHA) -> float | None:
    """The smallest true difference (0-1) of accuracies that `count` images show with the chance POWER, for models of
    which only one is right on a `share` (0-1) of all images; None where not even a difference of that share is shown.
    """
    from scipy.stats import binom

    every = np.arange(count + 1)
    chance = binom.pmf(every, count, share)
    losses = most_losses(every, alpha)
    used = (chance > 1e-12) & (losses >= 0)
    every, chance, losses = every[used], chance[used], losses[used]

    def shows(excess: int) -> bool:
        won = (1 + excess / count / share) / 2  # of the disagreements, those that the better model wins
        either = binom.cdf(losses, every, 1 - won) + binom.cdf(losses, every, won)
        return float(chance @ either) >= POWER

    low, high = 0, math.floor(share * count + 1e-9)
    if high == 0 or not shows(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high / count
