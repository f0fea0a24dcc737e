"""Where a table says of images something else than the folders in which they lie."""

from __future__ import annotations

import posixpath

from emotion_utils.errors import InputError
from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.levels import name_some
from emotion_utils.sources.split_words import split_of_path

FEW, FEW_SHARE = 3, 0.01  # so many images, or such a share, may be slips; more are another labelling


def compare_with_folders(spec: str, table: str, rows: list[tuple[str, ...]], table_counts: bool) -> list[str]:
    """Lines on labels and splits that are not those of the folders of the images, where these are named so at all.

    Raises InputError for more than a few, unless `table_counts`.
    """
    key_of = {name: class_key(name) for name in {row[1] for row in rows if row[1]}}
    keys = set(key_of.values())
    if not table_counts:
        _refuse_no_emotions(spec, table, rows, sorted(key_of))
    classes: dict[str, set[str]] = {}  # that folders are named after
    labels, splits = [], []  # path, what the table says, whether the folder says so too
    for path, label, _, split, *_ in rows:
        folder = posixpath.dirname(path)
        if folder not in classes:
            classes[folder] = {
                key for part in folder.split("/") if (key := class_key(part)) in keys or is_emotion(part)
            }
        if label and classes[folder]:
            labels.append((path, label, key_of[label] in classes[folder]))
        if split and (named := split_of_path(path)):
            splits.append((path, split, split == named))
    count_else = all(key.isdecimal() for key in keys)  # numbered folders may count anything
    lines = [_weigh(spec, table, labels, table_counts, count_else), _weigh(spec, table, splits, table_counts, False)]
    return [line for line in lines if line]


def _refuse_no_emotions(spec: str, table: str, rows: list[tuple[str, ...]], labels: list[str]) -> None:
    """Raises InputError where no label is an emotion, and most images lie in folders that are named after some."""
    if not labels or any(map(is_emotion, labels)):
        return
    named = [key for path, *_ in rows if (key := _emotion_of(path))]
    found = sorted(set(named))
    if len(found) > 1 and 2 * len(named) > len(rows):
        raise InputError(
            f"--data {spec}: the labels of {table} are no emotions ({name_some(labels)}), and the folders of the "
            f"images are ({name_some(found)}): to go by the folders, move it away; to go by the table, "
            "give it as --data or call its columns path and label"
        )


def _emotion_of(path: str) -> str:
    return next((class_key(part) for part in reversed(path.split("/")[:-1]) if is_emotion(part)), "")


def _weigh(spec: str, table: str, told: list[tuple[str, str, bool]], table_counts: bool, may_count_else: bool) -> str:
    others = [(path, what) for path, what, agrees in told if not agrees]
    if not others:
        return ""
    counts = f"{len(others)} of {len(told)} images, e.g. {others[0][0]}, which is {others[0][1]} in the table"
    few = len(others) <= max(FEW, FEW_SHARE * len(told))
    if table_counts or few or (may_count_else and len(others) > len(told) / 3):
        return f"{table} and the folders disagree on {counts}: the table counts"
    raise InputError(
        f"--data {spec}: {table} and the folders disagree on {counts}; to go by the table, give it as --data or call "
        "its columns path and label; to go by the folders, move it away"
    )
