"""faces.csv: its columns, a row as it is written, and the table read again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.deploy.video.rows import DECIMALS, Row
from emotion_utils.errors import InputError
from emotion_utils.evaluation.video import SMOOTHED

FIRST_COLUMNS = ("frame", "time_s", "track", "left", "top", "width", "height", "found", "predicted", "confidence")
STEPS = 1.5  # usual ones, without a face that is seen before and after them


def columns_of(class_names: Sequence[str]) -> list[str]:
    return [*FIRST_COLUMNS, *class_names, *(SMOOTHED + name for name in class_names)]


def to_cells(row: Row, class_names: Sequence[str]) -> dict[str, Any]:
    """A row as it is written: `predicted` and `confidence` are those of the smoothed probabilities."""
    if not row["found"]:
        return {"frame": row["frame"], "time_s": row["time_s"], "found": False}
    smoothed = [round(value, DECIMALS) for value in row["smoothed"]]
    best = max(range(len(smoothed)), key=smoothed.__getitem__)
    cells = {name: row[name] for name in FIRST_COLUMNS if name in row}
    cells |= {"predicted": class_names[best], "confidence": smoothed[best]}
    cells |= dict(zip(class_names, row["probs"], strict=True))
    return cells | {SMOOTHED + name: value for name, value in zip(class_names, smoothed, strict=True)}


def read_faces(path: Path, class_names: Sequence[str], frames: int) -> pd.DataFrame:
    """The table of so many analysed frames. Raises InputError where it is not what was written."""
    kinds = {"frame": "int64", "found": "bool", "predicted": "object"}
    columns = columns_of(class_names)
    try:
        rows = pd.read_csv(
            path, dtype={name: kinds.get(name, "float64") for name in columns}, keep_default_na=False, na_values=[""]
        )
        is_whole = _ends_with_a_line(path) and rows.columns.tolist() == columns and rows["frame"].nunique() == frames
        faces = rows[rows["found"]] if is_whole else rows
        is_whole = is_whole and set(faces["predicted"]) <= set(class_names) and not faces.isna().any(axis=None)
    except (ValueError, OverflowError):  # also what pandas raises for broken lines, and for what is no text
        is_whole = False
    if not is_whole:
        raise InputError(f"{path}: is damaged; delete it, and the same command makes it anew")
    return rows


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def longest_step_s(rows: pd.DataFrame, at_least_s: float) -> float:
    """How long a face may be away from one analysed frame to the next, and still be there in between."""
    steps = np.diff(rows["time_s"].drop_duplicates().to_numpy())
    return max(at_least_s, STEPS * float(np.median(steps))) if len(steps) else at_least_s
