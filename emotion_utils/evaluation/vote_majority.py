"""What most people saw in an image, where data with labels of their own bring votes beside them. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.votes import majority_of_ferplus, read_votes


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
