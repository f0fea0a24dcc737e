"""Paired differences: what they are by hand, and that neither seeds nor images of one person count twice."""

import numpy as np
import pandas as pd
import pytest

from emotion_utils.bench.paired import measure_differences, measure_rates, with_units

CLASSES = ("happy", "sad")


def make_answers(right, units=None, seed=0):
    """One row per entry of `right`: happy images, of which the others are called sad."""
    right = np.asarray(right, bool)
    table = pd.DataFrame({"id": [f"{n:04d}" for n in range(len(right))], "label": "happy"})
    table.loc[1::2, "label"] = "sad"
    other = table["label"].map({"happy": "sad", "sad": "happy"})
    table["predicted"] = table["label"].where(right, other)
    sure = np.where(table["predicted"] == "happy", 0.9, 0.1)
    units = table["id"] if units is None else units
    return table.assign(happy=sure, sad=1 - sure, seed=seed, unit=units, seconds=2.0)


def test_the_difference_is_that_of_the_means_and_its_interval_that_of_a_paired_mean():
    rng = np.random.default_rng(0)
    one, other = rng.random(800) < 0.7, rng.random(800) < 0.6
    row = measure_differences({"a": make_answers(one), "b": make_answers(other)}, CLASSES).iloc[0]
    paired = one.astype(float) - other
    reach = 1.96 * paired.std() / 800**0.5
    assert row["accuracy"] == pytest.approx(paired.mean())
    assert (row["acc_low"], row["acc_high"]) == pytest.approx(
        (paired.mean() - reach, paired.mean() + reach), abs=0.15 * reach
    )
    assert np.isnan(row["seed_sd"])  # of a single seed nothing is known


def test_macro_f1_is_that_of_the_confusion_matrix():
    answers = make_answers([1, 1, 1, 0, 0, 1])  # happy 2 of 3, and called sad once; sad 2 of 3, called happy once
    rates = measure_rates({"a": answers}, CLASSES).iloc[0]
    assert rates["macro_f1"] == pytest.approx(2 / 3)
    assert rates["accuracy"] == pytest.approx(2 / 3)
    assert rates["seconds"] == 2.0


def test_another_seed_with_the_same_answers_makes_no_interval_narrower():
    rng = np.random.default_rng(1)
    one, other = rng.random(200) < 0.7, rng.random(200) < 0.6
    single = measure_differences({"a": make_answers(one), "b": make_answers(other)}, CLASSES)
    twice = {
        name: pd.concat([make_answers(right, seed=seed) for seed in (0, 1)])
        for name, right in {"a": one, "b": other}.items()
    }
    double = measure_differences(twice, CLASSES)
    columns = ["accuracy", "acc_low", "acc_high", "macro_f1", "f1_low", "f1_high"]
    assert double[columns].iloc[0].tolist() == pytest.approx(single[columns].iloc[0].tolist())
    assert double["seed_sd"].iloc[0] == 0


def test_the_spread_over_seeds_is_that_of_the_differences():
    seeds = [([1, 1, 0, 0], [1, 0, 0, 0]), ([1, 1, 1, 1], [1, 1, 0, 0]), ([1, 0, 0, 0], [1, 0, 0, 0])]
    found = {
        name: pd.concat([make_answers(pair[place], seed=seed) for seed, pair in enumerate(seeds)])
        for place, name in enumerate("ab")
    }
    row = measure_differences(found, CLASSES).iloc[0]
    assert row["accuracy"] == pytest.approx((0.25 + 0.5 + 0) / 3)
    assert row["seed_sd"] == pytest.approx(0.25)


def test_images_of_one_person_count_as_one():
    right = [1] * 40 + [0] * 40
    alone = measure_rates({"a": make_answers(right)}, CLASSES).iloc[0]
    persons = [f"person {n // 20}" for n in range(80)]
    tied = measure_rates({"a": make_answers(right, persons)}, CLASSES).iloc[0]
    assert tied["acc_high"] - tied["acc_low"] > 2 * (alone["acc_high"] - alone["acc_low"])


def test_pairs_that_are_asked_for_are_compared_in_that_direction():
    found = {"base": make_answers([1, 0]), "better": make_answers([1, 1])}
    table = measure_differences(found, CLASSES, [("better", "base")])
    assert table[["name", "other", "accuracy"]].to_numpy().tolist() == [["better", "base", 0.5]]


def test_a_unit_is_the_person_or_else_the_image():
    manifest = pd.DataFrame({"id": ["x", "y", "z"], "group": ["anna", "", "anna"]})
    found = with_units(pd.DataFrame({"id": ["z", "y"]}), manifest, 3)
    assert found["unit"].tolist() == ["anna", "y"]
    assert found["seed"].tolist() == [3, 3]
