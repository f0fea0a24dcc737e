"""Calibration of a model's probabilities, and selective prediction, where it may answer "unsure". No torch.

`predictions` is a table of one split with `label`, `predicted` and one probability column per class. A temperature
changes the confidence of a model and hardly ever its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotion_utils.evaluation.statistics import percentile_interval, resample_totals, wilson_interval

BINS = 10  # of equal width
SMALLEST = 5e-7  # probabilities are stored with six decimals, so a stored 0 may be up to this
TEMPERATURES = (0.05, 20.0)
FLAT = 1e-6  # of log loss: a bound that is worse by less is as good as the fit
FOLDS = 5  # of the validation images, in each of which a temperature fitted on the others is judged
COVERAGE = 0.8  # share of the validation images that is answered, the most confident ones


@dataclass(frozen=True)
class Calibration:
    """One model on the test split, before and after temperature scaling fitted on its validation images."""

    temperature: float
    confidence: float  # mean probability of the predicted classes, before
    right: int  # correct test images
    ece: float
    ece_low: float
    ece_high: float
    ece_after: float
    ece_after_low: float
    ece_after_high: float
    brier: float
    brier_after: float
    bins: pd.DataFrame  # `reliability`, before
    bins_after: pd.DataFrame
    at_bound: bool  # a bound of TEMPERATURES fits the validation images as well: they determine no temperature
    gain: float  # `held_out_gain` of the validation images

    @property
    def helps(self) -> bool:
        """Whether the temperature is used. Validation images alone decide: the test images judge and choose nothing."""
        return not self.at_bound and self.gain > 0


@dataclass(frozen=True)
class SelectivePrediction:
    """A model that answers "unsure" where its largest probability is below `threshold`, on the test split."""

    threshold: float  # chosen on validation images
    answered: int
    right: int  # correct among the answered
    count: int  # test images
    area: float  # under the risk-coverage curve: the mean risk over all coverages
    coverage: np.ndarray  # (n,) shares answered, 1/n to 1
    risk: np.ndarray  # (n,) share of errors among the answered


def measure_calibration(val: pd.DataFrame, test: pd.DataFrame, class_names: Sequence[str], seed: int) -> Calibration:
    """Temperature from `val`, everything else from `test` (Guo et al. 2017)."""
    val_probs, val_labels = probs_and_labels(val, class_names)
    temperature = fit_temperature(val_probs, val_labels)
    at_bounds = min(scaled_log_loss(val_probs, val_labels, bound) for bound in TEMPERATURES)
    probs, labels = probs_and_labels(test, class_names)
    scaled_probs = apply_temperature(probs, temperature)
    right = probs.argmax(axis=1) == labels
    before, after = probs.max(axis=1), scaled_probs.max(axis=1)
    return Calibration(
        temperature, float(before.mean()), int(right.sum()),
        calibration_error(before, right), *error_interval(before, right, seed),
        calibration_error(after, right), *error_interval(after, right, seed),
        brier_score(probs, labels), brier_score(scaled_probs, labels),
        reliability(before, right), reliability(after, right),
        at_bounds < scaled_log_loss(val_probs, val_labels, temperature) + FLAT,
        held_out_gain(val_probs, val_labels),
    )  # fmt: skip


def measure_selective_prediction(
    val: pd.DataFrame, test: pd.DataFrame, class_names: Sequence[str]
) -> SelectivePrediction:
    """Threshold from `val`, so that COVERAGE of it is answered; the rest from `test` (Geifman and El-Yaniv 2017)."""
    descending = np.sort(probs_and_labels(val, class_names)[0].max(axis=1))[::-1]
    threshold = float(descending[max(int(np.ceil(COVERAGE * len(descending))) - 1, 0)])
    probs, labels = probs_and_labels(test, class_names)
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == labels
    answered = confidence >= threshold
    coverage, risk = risk_coverage(confidence, right)
    return SelectivePrediction(
        threshold, int(answered.sum()), int(right[answered].sum()), len(right), float(risk.mean()), coverage, risk
    )


def fit_temperature(probs: np.ndarray, labels: np.ndarray) -> float:
    """The temperature within TEMPERATURES that makes `labels` (n,) most likely under `probs` (n, k)."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return scaled_log_loss(probs, labels, np.exp(log_temperature))

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def held_out_gain(probs: np.ndarray, labels: np.ndarray) -> float:
    """By how much temperature scaling lowers the mean log loss of `labels` (n,) under `probs` (n, k): each of FOLDS
    parts is judged at the temperature that the other parts fit. 0 for fewer than 2 images, which leave none to fit.
    """
    if len(labels) < 2:
        return 0.0
    fold, gain = np.arange(len(labels)) % FOLDS, 0.0
    for held_out in (fold == number for number in np.unique(fold)):
        temperature = fit_temperature(probs[~held_out], labels[~held_out])
        inside = probs[held_out], labels[held_out]
        gain += held_out.mean() * (scaled_log_loss(*inside, 1.0) - scaled_log_loss(*inside, temperature))
    return float(gain)


def scaled_log_loss(probs: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """The mean negative log probability of `labels` (n,) after `probs` (n, k) were scaled by `temperature`."""
    scaled = np.log(np.maximum(probs, SMALLEST)) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    chosen = scaled[np.arange(len(labels)), labels]
    return float((np.log(np.exp(scaled).sum(axis=1)) - chosen).mean())


def apply_temperature(probs: np.ndarray, temperature: float) -> np.ndarray:
    """float64 (n, k): the probabilities after dividing the logits behind `probs` by `temperature`."""
    powers = np.maximum(probs, SMALLEST) ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def brier_score(probs: np.ndarray, labels: np.ndarray) -> float:
    """The mean squared distance (0-2) of the probabilities from the one-hot label (Brier 1950)."""
    return float(squared_distances(probs, labels).mean())


def squared_distances(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64 (n,): of each row of probabilities from its one-hot label, 0-2."""
    return ((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1)


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error (0-1): |confidence - accuracy|, mean over images in BINS bins (Naeini 2015)."""
    return float(np.abs(_gaps(confidence, right)).sum() / len(right))


def error_interval(
    confidence: np.ndarray, right: np.ndarray, seed: int, groups: Sequence[str] | None = None
) -> tuple[float, float]:
    """Bootstrap interval of `calibration_error`, over images or over `groups` of them (see `resample_totals`).

    It is biased upwards: the error of a resampled set is on average larger than that of the set itself.
    """
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), _bin_of(confidence)] = confidence - right
    totals = resample_totals(np.column_stack([gaps, np.ones(len(right))]), groups, seed)
    return percentile_interval(np.abs(totals[:, :BINS]).sum(axis=1) / totals[:, BINS])


def reliability(confidence: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """One row per non-empty bin: `count`, mean `confidence`, `accuracy` and its Wilson interval, `low` and `high`."""
    place = _bin_of(confidence)
    rows = []
    for number in np.unique(place):
        inside = place == number
        count, correct = int(inside.sum()), int(right[inside].sum())
        rows.append((count, float(confidence[inside].mean()), correct / count, *wilson_interval(correct, count)))
    return pd.DataFrame(rows, columns=["count", "confidence", "accuracy", "low", "high"])


def risk_coverage(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and risk, float64 (n,), from the most confident image on; equal confidences share their mean risk."""
    order = np.argsort(-confidence, kind="stable")
    wrong = ~right[order]
    _, group = np.unique(-confidence[order], return_inverse=True)
    shared = np.bincount(group, wrong) / np.bincount(group)
    answered = np.arange(1, len(right) + 1)
    return answered / len(right), shared[group].cumsum() / answered


def _gaps(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(BINS,): per bin, the sum of confidences minus the number of correct images."""
    place = _bin_of(confidence)
    return np.bincount(place, confidence, BINS) - np.bincount(place, right, BINS)


def _bin_of(confidence: np.ndarray) -> np.ndarray:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def probs_and_labels(predictions: pd.DataFrame, class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    place = {name: number for number, name in enumerate(class_names)}
    probs = predictions[list(class_names)].to_numpy(dtype=np.float64)
    return probs / probs.sum(axis=1, keepdims=True), predictions["label"].map(place).to_numpy()
