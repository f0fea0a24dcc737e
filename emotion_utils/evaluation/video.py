"""How a synthetic clip was read: faces that were found beside those that are there. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

SMOOTHED = "smoothed_"  # before the name of a class: the column of its smoothed probability


def match_truth(faces: pd.DataFrame, truth: pd.DataFrame, class_names: Sequence[str]) -> pd.DataFrame:
    """A row for each face that is there: frame, time_s, person, label, found, raw and smoothed (class names).

    `faces` are rows of faces.csv, `truth` has frame, time_s, person, label and the box of each face. A face counts as
    found by the row whose middle lies nearest to its own, within half of its width; raw and smoothed are empty else.
    """
    found = faces[faces["track"].notna()]
    by_frame = dict(iter(found.groupby("frame")))
    smoothed = [SMOOTHED + name for name in class_names]
    matched = []
    for face in truth.itertuples(index=False):
        rows = by_frame.get(face.frame, found.head(0))
        across = rows["left"] + rows["width"] / 2 - face.left - face.width / 2
        down = rows["top"] + rows["height"] / 2 - face.top - face.height / 2
        away = np.hypot(across, down)
        is_found = len(rows) > 0 and away.min() <= face.width / 2
        best = rows.loc[away.idxmin()] if is_found else None
        matched.append({
            "frame": face.frame, "time_s": face.time_s, "person": face.person, "label": face.label, "found": is_found,
            "raw": class_names[int(best[list(class_names)].astype(float).argmax())] if is_found else "",
            "smoothed": class_names[int(best[smoothed].astype(float).argmax())] if is_found else "",
        })  # fmt: skip
    return pd.DataFrame(matched)


def count_changes(matched: pd.DataFrame, column: str) -> int:
    """How often `column` changes from one frame in which a person is found to the next."""
    found = matched[matched["found"]]
    return int(sum((rows[column] != rows[column].shift()).sum() - 1 for _, rows in found.groupby("person")))
