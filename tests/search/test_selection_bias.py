"""The best of many trials against simulations whose truth is known."""

import numpy as np
import pytest

from emotion_utils.search.selection_bias import corrected_accuracy, pack_bits, unpack_bits


def test_equal_trials_are_corrected_to_what_they_are_worth():
    rng = np.random.default_rng(0)
    seen, corrected = [], []
    for repeat in range(30):
        correct, people = rng.random((20, 120)) < 0.7, np.arange(120)
        seen.append(correct.mean(axis=1).max())
        corrected.append(corrected_accuracy(correct, people, seed=repeat))
    assert np.mean(seen) > 0.76  # the selection bias of the best of twenty
    assert np.mean(corrected) == pytest.approx(0.7, abs=0.01)


def test_a_trial_that_is_far_better_needs_hardly_any_correction():
    rng = np.random.default_rng(1)
    correct = rng.random((10, 400)) < np.array([0.9] + [0.6] * 9)[:, None]
    assert corrected_accuracy(correct, np.arange(400)) == pytest.approx(correct[0].mean(), abs=0.005)


def test_of_one_trial_nothing_is_corrected():
    correct = np.array([[True, False, True, True]])
    assert corrected_accuracy(correct, np.array(["a", "a", "b", "b"])) == 0.75


def test_people_are_drawn_as_a_whole():
    # Each trial knows one person. The one selected on the people drawn knows nobody among those left out.
    people = np.repeat(np.arange(8), 5)
    correct = people[None, :] == np.arange(8)[:, None]
    assert corrected_accuracy(correct, people) == 0.0


@pytest.mark.parametrize("count", [1, 7, 8, 9, 130])
def test_bits_survive_their_packing(count):
    correct = np.random.default_rng(count).random(count) < 0.5
    assert unpack_bits(pack_bits(correct), count).tolist() == correct.tolist()
