"""Intervals, paired tests and the power of a test set; each statistic of the project stands here once. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from emotion_utils.errors import InputError

LEVEL = 0.95  # of every interval
ALPHA = 0.05  # of all tests of a family together
RESAMPLES = 2000  # of a bootstrap
POWER = 0.8  # the probability with which a detectable difference is shown
CHUNK = 2**22  # cells resampled at a time: some 30 MB

# -- intervals -------------------------------------------------------------------------------------


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """The interval (0-1) at LEVEL of the true rate behind `correct` successes in `count` trials (Wilson 1927).

    Without trials nothing is known: (0, 1). Raises InputError for more successes than trials.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= correct <= count:
        raise InputError(f"{correct} correct of {count}: a count must lie between 0 and the number of images")
    if count == 0:
        return 0.0, 1.0
    low, high = proportion_confint(correct, count, alpha=1 - LEVEL, method="wilson")
    return float(low) if correct else 0.0, float(high) if correct < count else 1.0  # exact ends, in spite of rounding


def resample_counts(counts: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Draws `counts.sum()` images with replacement, RESAMPLES times (Efron 1979).

    Yields int64 (m, n), how often each of the n kinds in `counts` (n,) was drawn; RESAMPLES rows in all, in parts that
    fit into memory. The same `seed` gives the same draws.
    """
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK // len(counts))
    for start in range(0, RESAMPLES, step):
        yield rng.multinomial(counts.sum(), counts / counts.sum(), size=min(step, RESAMPLES - start))


def bootstrap_means(values: np.ndarray, seed: int) -> np.ndarray:
    """Means of the columns of `values` (n, m), with its rows resampled: float64 (RESAMPLES, m)."""
    once = np.ones(len(values), dtype=np.int64)
    return np.concatenate([drawn @ values / len(values) for drawn in resample_counts(once, seed)])


def resample_totals(values: np.ndarray, groups: Sequence[str] | None, seed: int) -> np.ndarray:
    """Totals of the columns of `values` (n, m) over images drawn with replacement: float64 (RESAMPLES, m).

    With `groups` (n,) it is groups that are drawn, each with all its images, because images of one person are not
    independent of each other (the cluster bootstrap of Field and Welsh 2007); an image in no group, "", stands for
    itself.
    """
    sums = values if groups is None else sum_by_group(values, groups)
    once = np.ones(len(sums), dtype=np.int64)
    return np.concatenate([drawn @ sums for drawn in resample_counts(once, seed)])


def sum_by_group(values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Sums of the rows of `values` (n, m) in each group, float64 (g, m); an image in no group, "", is one by itself."""
    names = np.asarray(groups, dtype=object)
    units = np.where(names == "", np.arange(len(names)).astype(object), names)
    numbers, units = pd.factorize(units)
    sums = np.zeros((len(units), values.shape[1]))
    np.add.at(sums, numbers, values)
    return sums


def percentile_interval(values: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Low and high at `level` of bootstrap values (RESAMPLES, ...): float64 (2, ...)."""
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)


# -- paired tests ----------------------------------------------------------------------------------


def mcnemar_p(only_a: int, only_b: int) -> float:
    """The p-value of the exact McNemar test (1947): of the images that one of two answers got right, how many each."""
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue) if only_a + only_b else 1.0


def sign_flip_p(differences: np.ndarray) -> float:
    """The p-value of the exact permutation test of paired differences, int (N,): how likely their sum is to be as far
    from 0 if each might as well have had the other sign (Fisher 1935). Of differences of 1 it is McNemar's.
    """
    from scipy.signal import fftconvolve
    from scipy.stats import binom

    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    chances = np.ones(1)  # of each sum, the middle one 0
    for size, count in zip(sizes, counts, strict=True):
        flipped = np.zeros(2 * size * count + 1)
        flipped[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = fftconvolve(chances, flipped).clip(0)
    sums = np.abs(np.arange(len(chances)) - len(chances) // 2)
    return min(1.0, float(chances[sums >= abs(differences.sum())].sum()))


def adjust_holm(p_values: np.ndarray) -> np.ndarray:
    """p-values (n,) adjusted for n tests, so that the chance of any false positive is at most ALPHA (Holm 1979)."""
    from statsmodels.stats.multitest import multipletests

    return multipletests(p_values, method="holm")[1] if len(p_values) else np.empty(0)


# -- the power of the exact McNemar test -----------------------------------------------------------


def most_losses(disagreements: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """How many of the `disagreements`, images that only one of two models gets right, the better model may lose.

    int64, like `disagreements`: with so many losses it is still significantly ahead; -1 where even none is too many.
    """
    from scipy.stats import binom

    near = binom.ppf(alpha / 2, disagreements, 0.5)
    fits = binom.cdf(near, disagreements, 0.5) <= alpha / 2
    return np.where(disagreements > 0, np.where(fits, near, near - 1), -1).astype(np.int64)


def fewest_images(alpha: float = ALPHA) -> int:
    """The fewest images that one model must win, losing none, for the test to be significant."""
    return int(np.argmax(most_losses(np.arange(2 * math.ceil(-math.log2(alpha)) + 2), alpha) >= 0))


def detectable_difference(count: int, share: float, alpha: float = ALPHA) -> float | None:
    """The smallest true difference of accuracies (0-1) that the test shows with probability POWER on `count` images.

    Only one of the models is right on a `share` (0-1) of all images; None where even a difference of `share`, the
    largest that there can be, is not shown.
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
