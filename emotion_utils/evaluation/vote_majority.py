"""What most people saw in an image, where data with labels of their own bring votes beside them. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.unseen_metrics import accuracy_interval
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.votes import majority_of_ferplus, read_votes

MAJORITY_ACCURACY = "accuracy against the majority of the votes"


class MajorityRate(NamedTuple):
    """How often a model answers as the majority does, with the interval, and as the label does (0-1)."""

    value: float
    low: float
    high: float
    by_label: float
    images: int


def find_majorities(images: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """The rows of `images` (of a manifest) that have a majority by FER+'s protocol, and one of `class_names`.

    Columns id, label, majority, and share: of all votes on the image, those for it (0-1). Without rows where the labels
    are the majorities themselves, or there are no votes.
    """
    rows = []
    for image in images[["id", "label", VOTES]].itertuples(index=False) if VOTES in images else ():
        votes = read_votes(getattr(image, VOTES))
        try:
            majority = majority_of_ferplus(votes)
        except ImageFault:  # no majority, none that is a class, or no face: FER+ sets such images aside
            continue
        if majority in class_names:
            rows.append((image.id, image.label, majority, votes[majority] / sum(votes.values())))
    found = pd.DataFrame(rows, columns=["id", "label", "majority", "share"])
    return found if (found["label"] != found["majority"]).any() else found.head(0)


def measure_majority(found: pd.DataFrame, predictions: pd.DataFrame, groups: pd.Series | None = None) -> MajorityRate:
    """Of the images of `find_majorities`, by the id; `groups`, by id, names persons to draw the interval over."""
    found = found.set_index("id")
    rows = predictions.set_index("id").loc[found.index]
    right = (rows["predicted"] == found["majority"]).to_numpy()
    persons = [""] * len(rows) if groups is None else groups.loc[rows.index].tolist()
    interval = accuracy_interval(right, persons)
    return MajorityRate(float(right.mean()), *interval, count_correct(rows) / len(rows), len(rows))
