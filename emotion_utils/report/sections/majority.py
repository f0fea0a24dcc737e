"""How often models answer what most people saw, where people voted beside the labels. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from emotion_utils.evaluation.statistics import LEVEL
from emotion_utils.evaluation.vote_majority import MAJORITY_ACCURACY, find_majorities, measure_majority
from emotion_utils.report.claims import Model
from emotion_utils.report.prose import Prose


def say_majority(
    prose: Prose, images: pd.DataFrame, class_names: Sequence[str], answers: Mapping[str, pd.DataFrame],
    groups: pd.Series | None = None,
) -> None:  # fmt: skip
    """A paragraph on `images`, rows of a manifest, and the predictions of each model on them; none without such votes.

    `groups`, by id, names the persons where intervals are to be drawn over them.
    """
    found = find_majorities(images, class_names)
    if found.empty:
        return
    prose.paragraph()
    prose.say(
        "People also voted on these images. By the protocol of FER+, which drops single votes and sets aside what has "
        "no majority or shows no face, {count:count} of {images:count} have a majority that is one of these classes; "
        "on average {share:pct} of the votes on an image are for it: so often does one of these people agree with "
        "most. The label is this majority for {same:pct}: no model that answers as most people do can be right more "
        "often by the labels.",
        count=len(found), images=len(images), share=float(found["share"].mean()),
        same=float((found["label"] == found["majority"]).mean()), metric="share of votes",
    )  # fmt: skip
    for model, table in answers.items():
        rate = measure_majority(found, table, groups)
        prose.say(
            "Of these images, {model} names {rate:pct} as the majority does ({level:pct0} interval {low:pct} to "
            "{high:pct}) and {by_label:pct} as the label does.",
            model=Model(model), rate=rate.value, level=LEVEL, low=rate.low, high=rate.high, by_label=rate.by_label,
            metric=MAJORITY_ACCURACY,
        )  # fmt: skip
