"""Selects the test images to show: certain, mistaken or borderline ones. Reads predictions only; no torch."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emotion_utils.errors import InputError

# From which probability on an answer is put so; below the last it is a guess.
CONFIDENCE = ((0.95, "surely"), (0.8, "very likely"), (0.6, "probably"), (0.0, "perhaps"))


def confidence_table(predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """From the test rows of each model, sorted by id, one row per image (index `id`).

    Columns: `label`, `models_right`, and over the models the mean probability of the label (`label_prob`), the
    largest probability given to a wrong class (`wrong_prob`) and the mean gap between the two most probable
    classes (`margin`), all 0-1.
    """
    by_id = [table.set_index("id") for table in predictions.values()]
    first = by_id[0]
    columns = {"label": first["label"], "models_right": 0, "label_prob": 0.0, "wrong_prob": 0.0, "margin": 0.0}
    table = pd.DataFrame(columns, index=first.index)
    for predicted in by_id:
        probs = predicted.drop(columns=["split", "label", "predicted"])
        ordered = probs.to_numpy().copy()
        ordered.sort(axis=1)
        label_prob = pd.Series([probs.at[row, label] for row, label in first["label"].items()], first.index)
        wrong = predicted["predicted"] != predicted["label"]
        table["models_right"] += ~wrong
        table["label_prob"] += label_prob / len(predictions)
        table["wrong_prob"] = table["wrong_prob"].where(~wrong, table["wrong_prob"].clip(lower=ordered[:, -1]))
        table["margin"] += (ordered[:, -1] - ordered[:, -2]) / len(predictions)
    return table


def choose_examples(predictions: Mapping[str, pd.DataFrame], kind: str, count: int) -> list[str]:
    """Ids of the `count` most `certain`, `mistaken` or `borderline` images; ties are broken by id.

    Of a small test set the same image may be the most certain one and among the closest: a borderline image is none of
    the `count` most certain or most mistaken ones.
    """
    table = confidence_table(predictions)
    if kind == "certain":
        right = table[table["models_right"] == len(predictions)]
        ranked = _alternate_classes(right.sort_values("label_prob", ascending=False, kind="stable"))
    elif kind == "mistaken":
        ranked = table[table["wrong_prob"] > 0].sort_values("wrong_prob", ascending=False, kind="stable")
    elif kind == "borderline":
        others = [*choose_examples(predictions, "certain", count), *choose_examples(predictions, "mistaken", count)]
        ranked = table.drop(index=others, errors="ignore").sort_values("margin", kind="stable")
    else:
        raise InputError(f"unknown kind of example {kind!r}: choose certain, mistaken or borderline")
    return list(ranked.index[:count])


def agreement_table(predictions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """How many test images of each class (columns) were classified correctly by all models, by one less ... (rows)."""
    table = confidence_table(predictions)
    counts = pd.crosstab(table["models_right"], table["label"])
    counts = counts.reindex(range(len(predictions), -1, -1), fill_value=0)
    counts.index = [f"{right} of {len(predictions)} right" for right in counts.index]
    return counts.rename_axis(index=None, columns=None).assign(all=counts.sum(axis=1).to_numpy())


def _alternate_classes(ranked: pd.DataFrame) -> pd.DataFrame:
    """The best of each class first, then the second best of each, and so on."""
    place = ranked.groupby("label").cumcount()
    return ranked.assign(place=place).sort_values("place", kind="stable").drop(columns="place")
