"""One model's results in groups of persons, and whether they differ by more than chance. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from emotion_utils.evaluation.comparison import macro_intervals
from emotion_utils.evaluation.metrics import classification_table, count_correct
from emotion_utils.evaluation.statistics import adjust_holm, wilson_interval

SMALLEST = 30  # images of a group; of fewer nothing is said


def measure_groups(predictions: pd.DataFrame, groups: pd.Series, class_names: Sequence[str], seed: int) -> pd.DataFrame:
    """A row per group by name: `count`, `correct`, and `accuracy` and `f1` (macro), each with `_low` and `_high`.

    `groups` (by image id) names the group of each image, "" where it is not known: such images do not count. Rates are
    0-1, and NaN for groups of fewer than SMALLEST images; `f1` also where a class is missing.
    """
    rows, names = [], predictions["id"].map(groups).fillna("")
    for name in sorted(set(names) - {""}):
        part = predictions[names == name]
        correct, rates = count_correct(part), [np.nan] * 6
        if len(part) >= SMALLEST:
            rates[:3] = correct / len(part), *wilson_interval(correct, len(part))
            if set(part["label"]) == set(class_names):
                macro = classification_table(part, class_names)["f1-score"].iloc[len(class_names) + 1]
                rates[3:] = macro, *macro_intervals(part, class_names, seed).loc["f1-score"]
        rows.append((name, len(part), correct, *rates))
    columns = ["count", "correct", "accuracy", "accuracy_low", "accuracy_high", "f1", "f1_low", "f1_high"]
    return pd.DataFrame(rows, columns=["group", *columns]).set_index("group")


def compare_groups(measured: pd.DataFrame) -> pd.DataFrame:
    """A row per pair of large enough groups, `a` and `b`: `difference` of the accuracies (a - b), `p_value` of Fisher's
    exact test, and `p_holm`, adjusted for all pairs."""
    from scipy.stats import fisher_exact

    large = measured[measured["count"] >= SMALLEST]
    rows = []
    for a, b in combinations(large.index, 2):
        table = [[row["correct"], row["count"] - row["correct"]] for row in (large.loc[a], large.loc[b])]
        difference = float(large.at[a, "accuracy"] - large.at[b, "accuracy"])
        rows.append((a, b, difference, float(fisher_exact(np.array(table, dtype=np.int64))[1])))
    pairs = pd.DataFrame(rows, columns=["a", "b", "difference", "p_value"])
    return pairs.assign(p_holm=adjust_holm(pairs["p_value"].to_numpy(dtype=float)))
