import numpy as np
import pytest

from emotion_utils.errors import InputError
from emotion_utils.store.balance import class_weights, compare_choices, sampler_weights

LABELS = np.array([0] * 6 + [1] * 3 + [2])


def test_class_weights_are_inverse_to_the_counts_and_average_one():
    weights = class_weights(LABELS, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert weights[LABELS].mean() == pytest.approx(1)


def test_sampler_weights_give_every_class_the_same_chance():
    weights = sampler_weights(LABELS, 3)
    np.testing.assert_allclose([weights[label == LABELS].sum() for label in range(3)], [1 / 3] * 3)


def test_a_class_without_images_is_refused():
    with pytest.raises(InputError, match=r"counts \[6, 3, 1, 0\]"):
        class_weights(LABELS, 4)


def test_the_choices_differ_in_what_an_epoch_gives_to_the_rare_class():
    table = compare_choices(LABELS, ["a", "b", "c"]).set_index(["choice", "label"])
    rare = table.xs("c", level="label")
    assert rare["draws"].to_dict() == pytest.approx({"none": 1, "class_weights": 1, "sampler": 10 / 3})
    assert rare["times_seen"].to_dict() == pytest.approx({"none": 1, "class_weights": 1, "sampler": 10 / 3})
    assert rare["weight"].to_dict() == pytest.approx({"none": 1, "class_weights": 10 / 3, "sampler": 1})
    assert rare["loss_share"].to_dict() == pytest.approx({"none": 0.1, "class_weights": 1 / 3, "sampler": 1 / 3})


def test_every_choice_draws_as_many_images_as_there_are():
    draws = compare_choices(LABELS, ["a", "b", "c"]).groupby("choice")["draws"].sum()
    np.testing.assert_allclose(draws, len(LABELS))
