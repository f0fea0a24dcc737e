"""What to do about classes of different sizes: weights in the loss, a weighted sampler, or nothing. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotion_utils.errors import InputError

CHOICES = ("none", "class_weights", "sampler")


def class_weights(labels: np.ndarray, k: int) -> np.ndarray:
    """float32 (k,): the weight of each class in the loss, inverse to its number of images; 1 on average over images.

    labels: int (N,) in 0..k-1. Raises InputError where a class has no image.
    """
    counts = _count(labels, k)
    return (counts.sum() / (k * counts)).astype(np.float32)


def sampler_weights(labels: np.ndarray, k: int) -> np.ndarray:
    """float64 (N,), summing to 1: how likely each image is drawn, so that all classes are drawn equally often."""
    return 1 / (k * _count(labels, k)[np.asarray(labels)])


def compare_choices(labels: np.ndarray, class_names: Sequence[str]) -> pd.DataFrame:
    """What each of CHOICES would do to an epoch; one row per choice and class.

    Columns: choice, label, images (there are), draws (expected in an epoch), times_seen (draws per image), weight (of
    one image in the loss), loss_share (0-1: the class's part of all weights in an epoch).
    """
    counts = _count(labels, len(class_names)).astype(np.float64)
    even = np.full(len(counts), counts.sum() / len(counts))
    ones = np.ones(len(counts))
    weights = class_weights(labels, len(class_names)).astype(np.float64)
    plans = dict(zip(CHOICES, ((counts, ones), (counts, weights), (even, ones)), strict=True))
    tables = [
        pd.DataFrame(
            {
                "choice": choice,
                "label": list(class_names),
                "images": counts.astype(int),
                "draws": draws,
                "times_seen": draws / counts,
                "weight": weight,
                "loss_share": draws * weight / (draws * weight).sum(),
            }
        )
        for choice, (draws, weight) in plans.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _count(labels: np.ndarray, k: int) -> np.ndarray:
    counts = np.bincount(np.asarray(labels), minlength=k)
    if len(counts) > k or not counts.all():
        raise InputError(f"labels must cover each of 0..{k - 1}, found counts {counts.tolist()}")
    return counts
