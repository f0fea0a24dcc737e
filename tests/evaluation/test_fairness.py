"""Results in groups of persons: rates of each, too few images, and which differences are more than chance."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from emotion_utils.evaluation.fairness import SMALLEST, compare_groups, measure_groups

CLASSES = ("angry", "happy")


def answers(**groups):
    """name=(images, correct) -> predictions and groups by id; labels alternate."""
    rows, names = [], {}
    for name, (images, correct) in groups.items():
        for number in range(images):
            label = CLASSES[number % 2]
            predicted = label if number < correct else CLASSES[1 - number % 2]
            rows.append((f"{name}{number}", label, predicted))
            names[rows[-1][0]] = name
    return pd.DataFrame(rows, columns=["id", "label", "predicted"]), pd.Series(names)


def test_rates_of_each_group_and_nothing_of_small_ones():
    predictions, groups = answers(old=(100, 60), young=(200, 180), few=(SMALLEST - 1, 20))
    unknown = predictions.assign(id="x" + predictions["id"])
    found = measure_groups(pd.concat([predictions, unknown]), groups, CLASSES, seed=0)
    assert list(found.index) == ["few", "old", "young"]
    assert found["count"].tolist() == [SMALLEST - 1, 100, 200]
    assert found.loc[["old", "young"], "accuracy"].tolist() == [0.6, 0.9]
    assert found.loc["few"].drop(["count", "correct"]).isna().all()
    large = found.loc[["old", "young"]]
    assert (large["accuracy_low"] < large["accuracy"]).all()
    assert (large["f1_low"] < large["f1"]).all()
    assert np.isnan(measure_groups(predictions[predictions["label"] == "happy"], groups, CLASSES, 0).at["old", "f1"])


def test_pairs_are_tested_and_corrected():
    predictions, groups = answers(a=(100, 60), b=(100, 85), c=(100, 62), few=(5, 0))
    pairs = compare_groups(measure_groups(predictions, groups, CLASSES, seed=0)).set_index(["a", "b"])
    assert list(pairs.index) == [("a", "b"), ("a", "c"), ("b", "c")]
    chances = hypergeom(200, 145, 100).pmf(np.arange(101))
    expected = chances[chances <= chances[60] * (1 + 1e-7)].sum()
    assert pairs.at[("a", "b"), "p_value"] == pytest.approx(expected)
    assert pairs.at[("a", "b"), "p_holm"] == pytest.approx(3 * expected)
    assert pairs.at[("a", "c"), "p_holm"] > 0.05
    assert compare_groups(measure_groups(*answers(a=(100, 60)), CLASSES, seed=0)).empty
