"""Intervals of the metrics: over images where nobody is known, over persons else."""

import numpy as np
import pandas as pd

from emotion_utils.evaluation.comparison import macro_intervals
from emotion_utils.evaluation.statistics import RESAMPLES, resample_totals, sum_by_group, wilson_interval
from emotion_utils.evaluation.unseen_metrics import count_units, measure_metrics

CLASSES = ("angry", "happy")


def make_predictions(right):
    labels = np.array(CLASSES)[np.arange(len(right)) % 2]
    answers = [name if good else CLASSES[name == "angry"] for name, good in zip(labels, right, strict=True)]
    probs = [(0.8, 0.2) if name == "angry" else (0.2, 0.8) for name in answers]
    table = pd.DataFrame({"id": [f"{n:04d}" for n in range(len(right))], "label": labels, "predicted": answers})
    return table.join(pd.DataFrame(probs, columns=list(CLASSES)))


def measure(right, groups):
    return {(each.name, each.class_name): each for each in measure_metrics(make_predictions(right), groups, CLASSES)}


def test_images_of_unknown_persons_have_the_intervals_of_the_report():
    right = np.random.default_rng(0).random(200) < 0.7
    found = measure(right, [""] * 200)
    accuracy, macro = found["accuracy", ""], macro_intervals(make_predictions(right), CLASSES, 0).loc["f1-score"]
    assert accuracy[3:] == wilson_interval(int(right.sum()), 200)
    assert found["macro f1-score", ""][3:] == (macro["low"], macro["high"])
    assert ("accuracy per person", "") not in found


def test_interval_over_persons_is_as_wide_as_that_of_one_image_each():
    """Ten copies of each person's image say no more than one: the interval is that of so many persons."""
    one = np.random.default_rng(0).random(60) < 0.7
    found = measure(np.repeat(one, 10), np.repeat([f"p{n}" for n in range(60)], 10).tolist())["accuracy", ""]
    low, high = wilson_interval(int(one.sum()), 60)
    assert found.value == one.mean()
    assert abs(found.low - low) < 0.03
    assert abs(found.high - high) < 0.03


def test_interval_covers_the_truth_as_often_as_it_says():
    """Persons differ in how hard they are; 95 % intervals hold the true rate in about 95 of 100 samples."""
    rng, inside, narrow = np.random.default_rng(1), 0, 0
    for _ in range(100):
        hardness = np.repeat(rng.beta(1.4, 0.6, 40), 8)
        right = rng.random(320) < hardness
        found = measure(right, np.repeat([f"p{n}" for n in range(40)], 8).tolist())["accuracy", ""]
        low, high = wilson_interval(int(right.sum()), 320)
        inside += found.low <= 0.7 <= found.high
        narrow += low <= 0.7 <= high
    assert inside >= 88
    assert narrow < inside - 10


def test_all_right_is_no_certainty():
    found = measure(np.ones(30, bool), np.repeat(["a", "b", "c"], 10).tolist())["accuracy", ""]
    assert (found.low, found.high) == wilson_interval(3, 3)
    alone = measure(np.arange(30) % 3 > 0, ["a"] * 30)["accuracy", ""]
    assert (alone.low, alone.high) == wilson_interval(20, 30)


def test_images_of_nobody_known_stand_for_themselves():
    groups = ["a", "", "a", "", "b"]
    assert count_units(groups) == 4
    sums = sum_by_group(np.arange(5.0)[:, None], groups)
    assert sums[:, 0].tolist() == [2, 1, 3, 4]
    assert resample_totals(np.ones((5, 2)), groups, 0).shape == (RESAMPLES, 2)
