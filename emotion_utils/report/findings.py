"""What the numbers of a run amount to, before anybody puts it into words. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.statistics import ALPHA, wilson_interval

NEAR = 0.01  # of accuracy: this close to the best epoch counts as having arrived
NO_LOSS = 1e-9  # a loss below is zero but for rounding, and nothing is so many times larger
LOSS_RISE = 0.05  # of the lowest validation loss: a rise that is more than a wobble


@dataclass(frozen=True)
class Curve:
    """What a history shows; epochs are 1-based, rates 0-1. Epochs with a figure that is not finite are left out."""

    epochs: int
    first_epoch: int
    last_epoch: int
    first: float
    best: float
    best_epoch: int
    arrived_epoch: int  # the first epoch within NEAR of the best
    last: float
    lowest_after: float  # of the epochs after the best one; the best itself where there are none
    train_last: float
    loss_low_epoch: int
    loss_rise: float  # from the lowest validation loss to the last, as a share of the lowest
    train_loss_falls: bool  # from that epoch to the last

    @property
    def overfits(self) -> bool:
        """Validation loss rises while training loss goes on falling."""
        return self.loss_rise > LOSS_RISE and self.train_loss_falls and self.loss_low_epoch < self.last_epoch


def read_curve(history: pd.DataFrame) -> Curve | None:
    """None where no epoch is finite throughout."""
    columns = ["train_loss", "train_acc", "val_loss", "val_acc"]
    finite = history[np.isfinite(history[columns]).all(axis=1)].reset_index(drop=True)
    if finite.empty:
        return None
    val, loss, epoch = finite["val_acc"], finite["val_loss"], finite["epoch"]
    best, low = int(val.idxmax()), int(loss.idxmin())
    return Curve(
        epochs=len(history),
        first_epoch=int(epoch.iloc[0]),
        last_epoch=int(epoch.iloc[-1]),
        first=float(val.iloc[0]),
        best=float(val[best]),
        best_epoch=int(epoch[best]),
        arrived_epoch=int(epoch[(val >= val[best] - NEAR).idxmax()]),
        last=float(val.iloc[-1]),
        lowest_after=float(val.iloc[best:].min()),
        train_last=float(finite["train_acc"].iloc[-1]),
        loss_low_epoch=int(epoch[low]),
        loss_rise=float(loss.iloc[-1] / loss[low] - 1) if loss[low] > NO_LOSS else 0.0,
        train_loss_falls=bool(finite["train_loss"].iloc[-1] < finite["train_loss"][low]),
    )


@dataclass(frozen=True)
class Mistakes:
    """What a confusion matrix shows about one model. Classes without test images take no part in `weakest`."""

    count: int
    correct: int
    only: str | None  # the one class that is ever predicted, if so
    absent: list[str]  # classes without test images
    weakest: list[str]  # classes of the lowest recall, several where it is shared
    all_alike: bool  # every class has the same recall
    overlap: bool  # the interval of the weakest class reaches that of the strongest
    taken_for: list[str]  # what the missed images of the weakest class were called most often
    taken: int  # how often each of them
    missed: int
    doubtful: str | None  # the class of the lowest precision, where one alone has it
    doubtful_right: int
    doubtful_called: int


def read_mistakes(counts: pd.DataFrame) -> Mistakes:
    """From a confusion matrix (`metrics.confusion`)."""
    names, values = list(counts.index), counts.to_numpy()
    support, called, hits = values.sum(axis=1), values.sum(axis=0), values.diagonal()
    present = [place for place in range(len(names)) if support[place]]
    recall = {place: hits[place] / support[place] for place in present}
    weak = [place for place in present if recall[place] == min(recall.values())]
    strong = max(present, key=lambda place: recall[place])
    reach = wilson_interval(int(hits[weak[0]]), int(support[weak[0]]))[1]
    misses = values[weak[0]].copy()
    misses[weak[0]] = 0
    used = [place for place in range(len(names)) if called[place]]
    precision = {place: hits[place] / called[place] for place in used}
    lowest = [place for place in used if precision[place] == min(precision.values())]
    alone = lowest[0] if len(lowest) == 1 and len(used) > 1 else None
    return Mistakes(
        count=int(support.sum()),
        correct=int(hits.sum()),
        only=names[used[0]] if len(used) == 1 else None,
        absent=[name for name, images in zip(names, support, strict=True) if not images],
        weakest=[names[place] for place in weak],
        all_alike=len(weak) == len(present),
        overlap=reach >= wilson_interval(int(hits[strong]), int(support[strong]))[0],
        taken_for=[names[place] for place in np.flatnonzero(misses == misses.max())] if misses.any() else [],
        taken=int(misses.max()),
        missed=int(misses.sum()),
        doubtful=None if alone is None else names[alone],
        doubtful_right=0 if alone is None else int(hits[alone]),
        doubtful_called=0 if alone is None else int(called[alone]),
    )


@dataclass(frozen=True)
class Lead:
    """One model shown to be ahead of another: the difference of their accuracies and the adjusted p-value."""

    model: str
    behind: str
    difference: float
    p_holm: float


@dataclass(frozen=True)
class Ranking:
    """Who has the highest accuracy (several in a tie), and what of it the paired tests bear out."""

    top: list[str]
    leads: list[Lead]  # of a model in `top` over another
    undecided: list[str]  # outside `top`, and not shown to be behind every model in it
    smallest_p: float | None  # adjusted, of the pairs between `top` and `undecided`, or within `top`

    @property
    def leader(self) -> str | None:
        """The model that is ahead of every other, if there is one."""
        return self.top[0] if len(self.top) == 1 and self.leads and not self.undecided else None


def rank_models(tests: Mapping[str, pd.DataFrame], pairs: pd.DataFrame) -> Ranking:
    """From the test rows of each model and the paired comparisons (`uncertainty.compare_pairs`)."""
    right = {model: count_correct(table) for model, table in tests.items()}
    top = [model for model in right if right[model] == max(right.values())]
    leads, undecided, open_p = [], [], []
    for pair in pairs.itertuples():
        if pair.model_a in top and pair.model_b in top:
            open_p.append(float(pair.p_holm))
        if (pair.model_a in top) == (pair.model_b in top):
            continue
        ahead, behind = (pair.model_a, pair.model_b) if pair.model_a in top else (pair.model_b, pair.model_a)
        if pair.p_holm <= ALPHA:
            leads.append(Lead(ahead, behind, abs(float(pair.difference)), float(pair.p_holm)))
        else:
            open_p.append(float(pair.p_holm))
            undecided += [behind] * (behind not in undecided)
    return Ranking(top, leads, undecided, min(open_p) if open_p else None)


def majority(labels: pd.Series) -> tuple[str, float]:
    """The most frequent class (the first by name of several) and its share (0-1)."""
    counts = labels.value_counts().sort_index(kind="stable")
    return str(counts.idxmax()), float(counts.max() / counts.sum())


def learned_nothing(correct: int, count: int, share: float) -> bool:
    """The interval of the accuracy reaches down to `share`, what naming one class all the time would get."""
    return wilson_interval(correct, count)[0] <= share + math.ulp(1.0)
