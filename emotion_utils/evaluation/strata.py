"""Results among images in which a property says little or nothing: grey ones alone, say. No torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emotion_utils.audit.shortcuts import PROPERTIES, property_values

DISCRETE = 4  # a property of at most so many values has a stratum for each
MAX_STRATA = 5  # of words


class Stratum(NamedTuple):
    """Images that are alike in a property, by their ids."""

    property: str
    name: str
    ids: pd.Index


def divide_by(manifest: pd.DataFrame, name: str) -> list[Stratum]:
    """The strata of a property (of shortcuts.PROPERTIES) among the kept images, the largest or lowest first.

    One for each of its (commonest) values, or of a continuous property its thirds. Where more than half of the images
    have one value, that is a stratum, and what lies below and above it are two more.
    """
    kept = manifest[manifest["status"] == "kept"].reset_index(drop=True)
    values, title = property_values(kept)[name], PROPERTIES[name][1]
    common = values.dropna().value_counts(normalize=True)
    if not pd.api.types.is_numeric_dtype(values) or len(common) <= DISCRETE:
        parts = [(_name_value(name, value), values == value) for value in common.index[:MAX_STRATA].tolist()]
    elif common.iloc[0] > 0.5:
        most = common.index[0]
        parts = [
            (_name_value(name, most), values == most),
            (f"{title} below {most:g}", values < most),
            (f"{title} above {most:g}", values > most),
        ]
    else:
        low, high = values.dropna().quantile([1 / 3, 2 / 3], interpolation="lower")
        parts = [
            (f"{title} up to {low:g}", values <= low),
            (f"{title} {low:g} to {high:g}", (values > low) & (values <= high)),
            (f"{title} above {high:g}", values > high),
        ]
    return [Stratum(name, words, pd.Index(kept["id"][inside])) for words, inside in parts if inside.any()]


def select_stratum(predictions: pd.DataFrame, stratum: Stratum) -> pd.DataFrame:
    """The rows of `predictions` (column id) whose image is in the stratum."""
    return predictions[np.isin(predictions["id"].to_numpy(str), stratum.ids.to_numpy(str))].reset_index(drop=True)


def _name_value(name: str, value: Any) -> str:
    shown = value if isinstance(value, str) else f"{value:g}"
    return shown if name == "colour" else f"{PROPERTIES[name][1]} {shown or 'nothing'}"
