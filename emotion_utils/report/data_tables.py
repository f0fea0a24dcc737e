"""Tables about the data: what was set aside, and who stands in which split. No torch."""

from __future__ import annotations

import pandas as pd

from emotion_utils.config import SPLITS
from emotion_utils.data.audit import kind_of


def quarantine_table(manifest: pd.DataFrame) -> pd.DataFrame:
    """Counts of pictures per class (rows): kept, quarantined by kind of reason, and in all."""
    kinds = manifest["reason"].map(kind_of).where(manifest["status"] == "quarantined", "kept")
    counts = pd.crosstab(manifest["label"], kinds)
    first = ["kept"] if "kept" in counts else []
    counts = counts[first + [kind for kind in counts.columns if kind != "kept"]]
    return _with_totals(counts)


def split_table(manifest: pd.DataFrame, class_names: tuple[str, ...]) -> pd.DataFrame:
    """Counts of kept pictures per class (rows) and split (columns), with totals and the persons of each split."""
    kept = manifest[manifest["status"] == "kept"]
    counts = pd.crosstab(kept["label"], kept["split"]).reindex(list(class_names)).reindex(columns=list(SPLITS))
    table = _with_totals(counts.fillna(0).astype(int))
    named = kept[kept["group"] != ""]
    if len(named):
        persons = named.groupby("split")["group"].nunique().reindex(list(SPLITS), fill_value=0)
        table.loc["persons"] = [*persons, named["group"].nunique()]
    return table


def _with_totals(counts: pd.DataFrame) -> pd.DataFrame:
    table = counts.assign(all=counts.sum(axis=1))
    table.loc["all"] = table.sum()
    return table.rename_axis(index=None, columns=None)
