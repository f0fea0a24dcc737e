"""Images of classes that nobody asked for: they teach, unless something ties them to an image that is held out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from emotion_utils.audit.ties import join_ties

HELD_OUT = ("val", "test")


def choose_teaching(others: pd.DataFrame, divided: pd.DataFrame) -> pd.DataFrame:
    """`others`, rows of auxiliary classes, with the split train or "".

    A kept one teaches where the data do not hold it out, and where no copy, near copy or image of the same person,
    directly or through others, is in val or test of `divided`.
    """
    images = pd.concat([divided, others])
    units = pd.Series(join_ties(images), index=images.index)
    tied = units[others.index].isin(units[divided.index[divided["split"].isin(HELD_OUT)]])
    teaches = (others["status"] == "kept") & ~others["split"].isin(HELD_OUT) & ~tied
    return others.assign(split=teaches.map({True: "train", False: ""}))


def describe_teaching(others: pd.DataFrame) -> dict[str, Any]:
    """For audit.json: classes {name: images that teach}, images (how many), held_out (kept ones that do not teach)."""
    teaching = others[others["split"] == "train"]
    return {
        "classes": {name: int((teaching["label"] == name).sum()) for name in sorted(set(others["label"]))},
        "images": len(others),
        "held_out": int((others["status"] == "kept").sum()) - len(teaching),
    }


def separate(manifest: pd.DataFrame, auxiliary: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the classes that are asked for, or of none, and those of `auxiliary` classes."""
    only_teaches = manifest["label"].isin(auxiliary)
    return manifest[~only_teaches], manifest[only_teaches]
