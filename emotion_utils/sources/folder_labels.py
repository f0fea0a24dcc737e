"""A table that labels folders, as of videos or of persons: each image gets the label of the folder that it lies in."""

from __future__ import annotations

import posixpath
from unicodedata import normalize

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.columns import Columns, check_columns, understand
from emotion_utils.sources.files import Files
from emotion_utils.sources.layouts import Reading, common_root, make_table
from emotion_utils.sources.split_words import split_of, split_of_path
from emotion_utils.sources.text_tables import TextTable, check_rows, peek_table, read_table
from emotion_utils.sources.trees import read_needed


def labels_folders(files: Files, name: str) -> bool:
    """Whether most rows of the table `name` name a folder of images, beside a label.

    Not where any folder is named after an emotion, nor where they are numbers with a label each: that table gives names
    to classes.
    """
    table = peek_table(files.tree, name)
    return _find_column(files, table, understand(table)) >= 0


def read_folder_labels(spec: str, name: str, files: Files) -> Reading:
    """Labels, split and persons of all images by their folders; the folder is the person where no column names one.

    Raises InputError where a folder has two labels, or where more images lie in no folder of the table than in one.
    """
    table = read_table(spec, name, read_needed(files.tree, name))
    check_rows(spec, name, table)
    columns = understand(table)
    at = _find_column(files, table, columns)
    note = check_columns(spec, name, table, columns)
    row_of = _rows_by_folder(spec, name, table, columns, at)
    rows, faults, used = [], {}, set()
    root = common_root([name, *files.images])
    for path in files.images:
        key = next((key for key in _keys(posixpath.dirname(path)) if key in row_of), None)
        values = row_of[key] if key is not None else None
        label = values[columns.label].strip() if values else ""
        split = split_of(values[columns.split]) if values and columns.split >= 0 else split_of_path(path)
        person = values[columns.person if columns.person >= 0 else at] if values else ""
        rows.append((path.removeprefix(root), label, _tidy(person), split or ""))
        used.add(key)
        faults |= {} if label else {path.removeprefix(root): f"no label for its folder in {name}"}
    if 2 * len(faults) > len(rows):
        raise InputError(
            f"--data {spec}: {name} labels folders (column {columns.names[at]}), and {len(faults)} of {len(rows)} "
            f"images lie in none of them, e.g. {root}{next(iter(faults))}; complete the table, or give the folder that "
            "is meant"
        )
    absent = [key for key in row_of if key not in used]
    gaps = f"{name}: {count_of(len(absent), 'folder')} without images, e.g. {absent[0]}" if absent else ""
    what = f"{posixpath.basename(name)} (folder from {columns.names[at]}, label from {columns.names[columns.label]})"
    return Reading(what, make_table(rows), root, "labels.csv", tuple(filter(None, (note, gaps))), faults)


def _rows_by_folder(spec: str, name: str, table: TextTable, columns: Columns, at: int) -> dict[str, list[str]]:
    """The row of each folder. Raises InputError where two differ in their label, or a split is none."""
    found: dict[str, tuple[int, list[str]]] = {}
    for number, values in table.rows:
        first, before = found.setdefault(_level(values[at]), (number, values))
        if class_key(before[columns.label]) != class_key(values[columns.label]):
            raise InputError(
                f"--data {spec}: {name}: {values[at].strip()} is {before[columns.label].strip()} (line {first}) and "
                f"{values[columns.label].strip()} (line {number}); leave one row for each folder, or write a CSV with "
                "the columns path, label and a row for each image"
            )
        if columns.split >= 0 and values[columns.split].strip() and not split_of(values[columns.split]):
            raise InputError(
                f"--data {spec}: {name}, line {number}: {columns.names[columns.split]} {values[columns.split]!r} is "
                "not train, val or test"
            )
    return {key: values for key, (_, values) in found.items() if key}


def _find_column(files: Files, table: TextTable, columns: Columns) -> int:
    """The column that names folders of images; -1 where none does, or where there is no label."""
    if columns.label < 0 or columns.pixels >= 0:
        return -1
    folders = {key for folder in {posixpath.dirname(path) for path in files.images} for key in _keys(folder)}
    if any(map(is_emotion, folders)):
        return -1
    labels = [class_key(values[columns.label]) for _, values in table.rows]
    for at in range(len(table.columns)):
        keys = {_level(values[at]) for _, values in table.rows} - {""}
        named = keys & folders
        if at == columns.label or len(named) < 2 or 2 * len(named) < len(keys):
            continue
        if not (all(map(str.isdecimal, named)) and len(set(labels)) == len(labels)):
            return at
    return -1


def _keys(folder: str) -> list[str]:
    """How a table may write a folder, with those above it or without; the deepest first, the longest of these."""
    parts = _level(folder).split("/") if folder else []
    return ["/".join(parts[start:end]) for end in range(len(parts), 0, -1) for start in range(end)]


def _level(text: str) -> str:
    return normalize("NFC", _tidy(text)).casefold()


def _tidy(text: str) -> str:
    return text.strip().replace("\\", "/").removeprefix("./").strip("/")
