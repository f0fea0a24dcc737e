"""Bootstrap differences and the power of a test set, against scipy, statsmodels, simulation and hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap

from emotion_utils.evaluation.differences import (
    POWER,
    detectable_difference,
    difference_intervals,
    fewest_images,
    most_losses,
    percentiles,
    resample_rates,
)
from emotion_utils.evaluation.uncertainty import macro_intervals

CLASSES = ("a", "b", "c")


def answers(rng, labels, skill):
    guess = rng.integers(0, 3, len(labels))
    given = np.where(rng.random(len(labels)) < skill, labels, guess)
    names = np.array(CLASSES)
    return pd.DataFrame({"label": names[labels], "predicted": names[given]})


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 150)
    return {"one": answers(rng, labels, 0.9), "two": answers(rng, labels, 0.6)}


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
    assert percentiles(f1.mean(axis=1)) == pytest.approx(tuple(expected), abs=0.012)


def test_same_model_twice_differs_in_no_draw(predictions):
    found = difference_intervals(resample_rates({"a": predictions["one"], "b": predictions["one"]}, CLASSES, 0)).iloc[0]
    assert list(found[["accuracy_low", "accuracy_high", "f1_low", "f1_high"]]) == [0, 0, 0, 0]


@given(st.integers(1, 200), st.sampled_from([0.05, 0.05 / 3, 0.05 / 45]))
@settings(max_examples=60, deadline=None)
def test_most_losses_are_those_that_the_exact_test_allows(disagreements, alpha):
    losses = int(most_losses(np.array([disagreements]), alpha)[0])
    if losses >= 0:
        assert binomtest(losses, disagreements).pvalue <= alpha
    assert 2 * losses < disagreements
    if 2 * (losses + 1) < disagreements:
        assert binomtest(losses + 1, disagreements).pvalue > alpha


def test_six_images_are_the_fewest_at_five_percent():
    assert fewest_images(0.05) == 6  # 2 * 0.5 ** 6 = 0.031, 2 * 0.5 ** 5 = 0.063
    assert fewest_images(0.01) == 8


def share_shown(count, share, difference):
    """How often the exact test shows a difference, in many test sets drawn with it."""
    one = (share + difference) / 2
    drawn = np.random.default_rng(0).multinomial(count, [one, share - one, 1 - share], size=4000)
    losses = most_losses(drawn[:, 0] + drawn[:, 1])
    return (np.minimum(drawn[:, 0], drawn[:, 1]) <= losses).mean()


@pytest.mark.parametrize(("count", "share"), [(60, 0.3), (432, 0.12)])
def test_detectable_difference_is_shown_as_often_as_it_promises_and_one_image_less_is_not(count, share):
    difference = detectable_difference(count, share)
    assert share_shown(count, share, difference) >= POWER - 0.02
    assert share_shown(count, share, difference - 1 / count) < POWER + 0.02


def test_too_few_disagreements_show_nothing():
    assert detectable_difference(60, 0.05) is None
    assert detectable_difference(60, 0.0) is None
    assert detectable_difference(4, 1.0) is None
