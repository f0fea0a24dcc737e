"""Intervals, tests and power against their definitions, scipy, simulation and hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from emotion_utils.errors import InputError
from emotion_utils.evaluation import statistics
from emotion_utils.evaluation.statistics import (
    POWER,
    adjust_holm,
    bootstrap_means,
    detectable_difference,
    fewest_images,
    mcnemar_p,
    most_losses,
    resample_counts,
    wilson_interval,
)


@given(st.integers(0, 400), st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_ends_of_the_wilson_interval_are_the_rates_that_the_score_test_just_allows(correct, count):
    correct = min(correct, count)
    low, high = wilson_interval(correct, count)
    assert 0 <= low <= correct / count <= high <= 1
    for rate in (low, high):
        distance = (correct / count - rate) ** 2
        assert distance == pytest.approx(norm.ppf(0.975) ** 2 * rate * (1 - rate) / count, abs=1e-12)
    assert low > 0 or correct == 0
    assert high < 1 or correct == count


def test_no_images_leave_the_rate_unknown():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_right_than_there_are_is_refused():
    with pytest.raises(InputError):
        wilson_interval(3, 2)


def test_draws_are_the_same_in_parts_as_at_once(monkeypatch):
    counts = np.array([3, 0, 2, 5])
    (together,) = resample_counts(counts, seed=1)
    monkeypatch.setattr(statistics, "CHUNK", 4 * 300)
    parts = list(resample_counts(counts, seed=1))
    assert [len(part) for part in parts] == [300] * 6 + [200]
    assert (np.concatenate(parts) == together).all()
    assert (together.sum(axis=1) == 10).all()
    assert together.mean(axis=0) == pytest.approx(counts, abs=0.2)


def test_bootstrap_means_spread_as_the_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=(200, 2)) * [1, 5]
    means = bootstrap_means(values, seed=3)
    assert means.shape == (2000, 2)
    assert means.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.03)
    assert means.std(axis=0) == pytest.approx(values.std(axis=0) / np.sqrt(200), rel=0.1)


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_the_sign_test(only_a, only_b):
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01; 2 x 0.03; 0.04, but not less than that
        ([0.2, 0.2, 0.9, 0.001], [0.6, 0.6, 0.9, 0.004]),
        ([1.0, 1.0], [1.0, 1.0]),
        ([0.5], [0.5]),
        ([], []),
    ],
)
def test_holm_adjusts_as_by_hand(p_values, expected):
    assert adjust_holm(np.array(p_values)) == pytest.approx(expected)


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
