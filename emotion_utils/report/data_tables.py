"""Tables about the data: what was set aside, and who stands in which split. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from emotion_utils.audit.audit import kind_of
from emotion_utils.audit.ties import TIES
from emotion_utils.config import SPLITS


def quarantine_table(manifest: pd.DataFrame) -> pd.DataFrame:
    """Counts of images per class (rows): kept, quarantined by kind of reason, and in all."""
    kinds = manifest["reason"].map(kind_of).where(manifest["status"] == "quarantined", "kept")
    counts = pd.crosstab(manifest["label"], kinds)
    first = ["kept"] if "kept" in counts else []
    counts = counts[first + [kind for kind in counts.columns if kind != "kept"]]
    return _with_totals(counts)


def split_table(manifest: pd.DataFrame, class_names: tuple[str, ...]) -> pd.DataFrame:
    """Counts of kept images per class (rows) and split (columns), with totals and the persons of each split."""
    kept = manifest[manifest["status"] == "kept"]
    counts = pd.crosstab(kept["label"], kept["split"]).reindex(list(class_names)).reindex(columns=list(SPLITS))
    table = _with_totals(counts.fillna(0).astype(int))
    named = kept[kept["group"] != ""]
    if len(named):
        persons = named.groupby("split")["group"].nunique().reindex(list(SPLITS), fill_value=0)
        table.loc["persons"] = [*persons, named["group"].nunique()]
    return table


def leak_table(leaks: Mapping[str, Any]) -> pd.DataFrame:
    """What an audit's `leaks` hold: images of one split that are in another as well, by their closest tie.

    For data that bring a split as they came; for others, as a split drawn at random by single images would be.
    """
    title = "as the data came" if leaks["as_given"] else "in a random split"
    records = pd.DataFrame(leaks["as_given"] or leaks["at_random"])
    records = records[records["of"] > 0]
    pairs = records["split"] + ", in " + records["other"] + " as well"
    table = records.assign(pair=pairs).pivot(index="pair", columns="tie", values="images")
    table = table.reindex(index=pairs.unique(), columns=list(TIES))
    sizes = records.groupby(pairs)["of"].first()
    table = table.assign(**{"none of these": sizes - table.sum(axis=1), "images": sizes})
    return table.rename_axis(index=None, columns=title)


def _with_totals(counts: pd.DataFrame) -> pd.DataFrame:
    table = counts.assign(all=counts.sum(axis=1))
    table.loc["all"] = table.sum()
    return table.rename_axis(index=None, columns=None)
