"""Calibration and selective prediction against scikit-learn, brute force and hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from emotion_utils.evaluation.calibration import (
    FOLDS,
    apply_temperature,
    brier_score,
    calibration_error,
    error_interval,
    fit_temperature,
    held_out_gain,
    measure_calibration,
    measure_selective_prediction,
    reliability,
    risk_coverage,
)

CLASSES = ("a", "b", "c")


def sample(seed, count, temperature):
    """Probabilities that are `temperature` times too sure: the labels are drawn from softer ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 3)) * 1.5
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in true])
    return apply_temperature(true, 1 / temperature), labels


def table(probs, labels):
    names = np.array(CLASSES)
    frame = pd.DataFrame(probs, columns=list(CLASSES))
    return frame.assign(label=names[labels], predicted=names[probs.argmax(axis=1)])


def test_temperature_is_found_again():
    probs, labels = sample(0, 6000, 2.5)
    assert fit_temperature(probs, labels) == pytest.approx(2.5, rel=0.08)


def test_temperature_has_the_lowest_log_loss_of_many_tried():
    probs, labels = sample(1, 300, 0.7)
    found = log_loss(labels, apply_temperature(probs, fit_temperature(probs, labels)))
    assert all(found <= log_loss(labels, apply_temperature(probs, t)) + 1e-9 for t in np.geomspace(0.1, 10, 60))


def test_apply_temperatureing_keeps_the_answer_and_sums_to_one():
    probs, _ = sample(2, 50, 1.0)
    soft = apply_temperature(probs, 3.0)
    assert (soft.argmax(axis=1) == probs.argmax(axis=1)).all()
    assert soft.sum(axis=1) == pytest.approx(1)
    assert apply_temperature(probs, 1.0) == pytest.approx(probs, abs=1e-6)


def test_brier_score_is_that_of_scikit_learn():
    probs, labels = sample(3, 200, 1.5)
    expected = brier_score_loss(labels, probs, labels=[0, 1, 2], scale_by_half=False)
    assert brier_score(probs, labels) == pytest.approx(expected)


def test_reliability_is_the_curve_of_scikit_learn():
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.34, 1, 500)
    right = rng.random(500) < confidence
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    found = reliability(confidence, right)
    assert found["accuracy"].to_numpy() == pytest.approx(accuracy)
    assert found["confidence"].to_numpy() == pytest.approx(mean)
    error = (found["count"] * (found["accuracy"] - found["confidence"]).abs()).sum() / 500
    assert calibration_error(confidence, right) == pytest.approx(error)
    low, high = error_interval(confidence, right, seed=0)
    assert 0 <= low < high < 1


def test_calibration_error_of_the_hand_computed_case():
    confidence, right = np.array([0.95, 0.95, 0.55, 1.0]), np.array([True, False, True, True])
    # the bin from 0.9 to 1 holds 2.9 of confidence and 2 right ones, that from 0.5 to 0.6 holds 0.55 and 1
    assert calibration_error(confidence, right) == pytest.approx((0.9 + 0.45) / 4)


def test_risk_over_coverage_of_the_hand_computed_case():
    confidence, right = np.array([0.9, 0.6, 0.8, 0.6]), np.array([True, False, True, True])
    coverage, risk = risk_coverage(confidence, right)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 0.5 / 3, 1 / 4])  # the two at 0.6 share one mistake


def test_judgement_takes_its_choices_from_validation_only():
    val, test = table(*sample(5, 400, 2.0)), table(*sample(6, 400, 2.0))
    found = measure_calibration(val, test, CLASSES, seed=0)
    assert found.temperature == pytest.approx(fit_temperature(val[list(CLASSES)].to_numpy(), np.array(
        [CLASSES.index(name) for name in val["label"]])))  # fmt: skip
    assert found.ece_after < found.ece
    assert found.brier_after < found.brier
    selective = measure_selective_prediction(val, test, CLASSES)
    assert (val[list(CLASSES)].max(axis=1) >= selective.threshold).mean() == pytest.approx(0.8, abs=0.005)
    assert selective.answered == (test[list(CLASSES)].max(axis=1) >= selective.threshold).sum()
    assert selective.right / selective.answered > found.right / 400


def test_fit_at_a_bound_and_one_that_does_not_help_are_told_apart_from_one_that_does():
    right = np.arange(200) % 3
    sure = np.full((200, 3), 0.02) + 0.94 * np.eye(3)[right]
    perfect = table(sure, right)
    bound = measure_calibration(perfect, perfect, CLASSES, seed=0)
    assert bound.at_bound
    assert not bound.helps
    soft, sharp = table(*sample(5, 400, 2.0)), table(*sample(6, 400, 0.5))
    assert measure_calibration(soft, soft, CLASSES, seed=0).helps
    worse = measure_calibration(soft, sharp, CLASSES, seed=0)
    assert worse.ece_after > worse.ece
    assert worse.helps, "the test images chose"
    fine = table(*sample(9, 40, 1.0))
    chance = measure_calibration(fine, soft, CLASSES, seed=0)
    assert (chance.at_bound, chance.helps) == (False, False)


def test_gain_of_a_temperature_is_that_of_images_held_out_from_its_fit():
    probs, labels = sample(5, 60, 2.0)
    losses = []
    for first in range(FOLDS):
        inside = np.arange(60) % FOLDS == first
        scaled = apply_temperature(probs[inside], fit_temperature(probs[~inside], labels[~inside]))
        losses += [-np.log(scaled[np.arange(inside.sum()), labels[inside]])]
    gain = log_loss(labels, probs) - np.concatenate(losses).mean()
    assert held_out_gain(probs, labels) == pytest.approx(gain)
    assert held_out_gain(probs[:1], labels[:1]) == 0
