"""Models compared on the same images, against the binomial distribution, scipy's bootstrap and hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from emotion_utils.evaluation.comparison import compare_pairs, difference_intervals, macro_intervals, resample_rates
from emotion_utils.evaluation.metrics import classification_table
from emotion_utils.evaluation.statistics import percentile_interval

CLASSES = ("angry", "happy", "sad")


def answers(right):
    """A table of images, each right or wrong as `right` says."""
    labels = [CLASSES[place % 3] for place in range(len(right))]
    other = dict(zip(CLASSES, CLASSES[1:] + CLASSES[:1], strict=True))
    predicted = [label if hit else other[label] for label, hit in zip(labels, right, strict=True)]
    return pd.DataFrame({"label": labels, "predicted": predicted})


def guesses(rng, labels, skill):
    guess = rng.integers(0, 3, len(labels))
    given = np.where(rng.random(len(labels)) < skill, labels, guess)
    names = np.array(CLASSES)
    return pd.DataFrame({"label": names[labels], "predicted": names[given]})


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 150)
    return {"one": guesses(rng, labels, 0.9), "two": guesses(rng, labels, 0.6)}


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


def test_interval_of_a_difference_is_that_of_scipy(predictions):
    found = difference_intervals(resample_rates(predictions, CLASSES, seed=0)).iloc[0]
    right = [(table["label"] == table["predicted"]).to_numpy(dtype=float) for table in predictions.values()]
    expected = bootstrap(
        (right[0] - right[1],), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx(tuple(expected), abs=0.012)
    assert found["f1_low"] < found["f1_high"]
    assert found["f1_low"] > 0  # 0.9 against 0.6 is no close call


def test_f1_of_the_draws_spreads_as_the_macro_interval_of_one_model_says(predictions):
    _, f1 = resample_rates(predictions, CLASSES, seed=0)["two"]
    assert f1.shape == (2000, 3)
    expected = macro_intervals(predictions["two"], CLASSES, seed=3).loc["f1-score"]
    assert percentile_interval(f1.mean(axis=1)) == pytest.approx(tuple(expected), abs=0.012)


def test_same_model_twice_differs_in_no_draw(predictions):
    found = difference_intervals(resample_rates({"a": predictions["one"], "b": predictions["one"]}, CLASSES, 0)).iloc[0]
    assert list(found[["accuracy_low", "accuracy_high", "f1_low", "f1_high"]]) == [0, 0, 0, 0]
