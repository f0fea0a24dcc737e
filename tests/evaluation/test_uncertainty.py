"""Paired tests against the binomial distribution and Holm's procedure written out; intervals on what is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from emotion_utils.evaluation.metrics import classification_table
from emotion_utils.evaluation.uncertainty import adjust_holm, compare_pairs, macro_intervals

CLASSES = ("angry", "happy", "sad")


def answers(right):
    """A table of images, each right or wrong as `right` says."""
    labels = [CLASSES[place % 3] for place in range(len(right))]
    other = dict(zip(CLASSES, CLASSES[1:] + CLASSES[:1], strict=True))
    predicted = [label if hit else other[label] for label, hit in zip(labels, right, strict=True)]
    return pd.DataFrame({"label": labels, "predicted": predicted})


@given(st.integers(2, 4), st.integers(1, 40), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_pairs_follow_exact_mcnemar(models, count, seed):
    hits = np.random.default_rng(seed).random((models, count)) < np.linspace(0.3, 0.9, models)[:, None]
    found = compare_pairs({f"m{number}": answers(right) for number, right in enumerate(hits)})
    assert len(found) == models * (models - 1) // 2
    for row in found.itertuples():
        a, b = hits[int(row.model_a[1:])], hits[int(row.model_b[1:])]
        assert (row.only_a, row.only_b) == ((a & ~b).sum(), (b & ~a).sum())
        assert row.difference == pytest.approx(a.mean() - b.mean())
        split = row.only_a + row.only_b
        assert row.p_value == pytest.approx(binomtest(int(row.only_a), int(split)).pvalue if split else 1.0)


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03], [0.5], [0.2, 0.2, 0.9, 0.001], [1.0, 1.0]])
def test_holm_is_that_of_statsmodels(p_values):
    assert np.allclose(adjust_holm(np.array(p_values)), multipletests(p_values, method="holm")[1])


def test_models_that_answer_alike_are_not_told_apart():
    table = answers([True, False] * 10)
    found = compare_pairs({"a": table, "b": table.copy()})
    assert list(found["p_value"]) == list(found["p_holm"]) == [1.0]


def test_single_model_has_no_pairs():
    assert compare_pairs({"a": answers([True])}).empty


def test_bootstrap_interval_holds_the_estimate_narrows_with_images_and_repeats():
    widths = []
    for count in (60, 960):
        table = answers([place % 5 > 0 for place in range(count)])
        found = macro_intervals(table, CLASSES, seed=3)
        macro = classification_table(table, CLASSES).loc["macro avg"]
        for metric in found.index:
            assert found.at[metric, "low"] < macro[metric] < found.at[metric, "high"]
        widths.append((found["high"] - found["low"]).max())
        assert found.equals(macro_intervals(table, CLASSES, seed=3))
    assert widths[1] < widths[0] / 3
