"""A CSV that gives images new labels: path,label[,group][,split]; paths are relative to the CSV."""

from __future__ import annotations

import csv
import io
import posixpath
from collections.abc import Iterable
from contextlib import suppress

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.sources.layouts import TABLE_COLUMNS, is_image_name, split_of
from emotion_utils.sources.trees import is_junk


def is_label_header(columns: list[str]) -> bool:
    return {"path", "label"} <= set(columns)


def split_header(line: str) -> tuple[str, list[str]]:
    """The delimiter of a CSV's first line (comma, semicolon or tab) and its column names in lower case."""
    delimiter = max(",;\t", key=line.count)
    try:
        names = next(csv.reader([line.strip()], delimiter=delimiter), [])
    except csv.Error:  # no CSV: no columns
        names = []
    return delimiter, [name.strip().lower() for name in names]


def listed_paths(lines: list[str]) -> list[str]:
    """The paths in the first lines of a relabelling CSV, header first; a last line that is cut off does not matter."""
    delimiter, columns = split_header(lines[0])
    paths = []
    with suppress(csv.Error):  # what came before the damage is enough
        for row in csv.reader(lines[1:], delimiter=delimiter):
            if len(row) == len(columns):
                paths.append(_tidy(row[columns.index("path")]))
    return paths


def read_label_csv(
    spec: str, data: bytes, names: Iterable[str], *, lenient: bool
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table of a relabelling CSV, and the faults of single paths.

    `names` are the files beside the CSV, relative to its folder. A row without a file and an image without a row
    are errors, or faults (path -> reason) where `lenient`. Raises InputError for everything else that is wrong.
    """
    rows = _parse(spec, data)
    existing = {name for name in names if not is_junk(name)}
    listed = {row[0] for row in rows}
    missing = sorted(listed - existing)
    unlisted = sorted(name for name in existing - listed if is_image_name(name))
    for found, complaint in ((missing, "rows name files that are not there"), (unlisted, "images have no row")):
        if found and not lenient:
            raise InputError(
                f"--data {spec}: {len(found)} {complaint}, e.g. {found[0]}; correct the CSV, or add --set lenient=true "
                "to set them aside"
            )
    faults = dict.fromkeys(missing, "the CSV names this file, but it is not there")
    faults |= dict.fromkeys(unlisted, "no row in the CSV")
    rows += [(path, "", "", "") for path in unlisted]
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS)), faults


def _parse(spec: str, data: bytes) -> list[tuple[str, str, str, str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"--data {spec}: is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    delimiter, columns = split_header(text.split("\n", 1)[0])
    if not is_label_header(columns):
        missing = [name for name in ("path", "label") if name not in columns]
        raise InputError(f"--data {spec}: column {', '.join(missing)} is missing; found {', '.join(columns)}")
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows: dict[str, tuple[str, str, str, str]] = {}
    try:
        for number, values in enumerate(reader):
            if number == 0 or not any(values):
                continue
            row = _check_row(f"--data {spec}, line {reader.line_num}", columns, values)
            if row[0] in rows:
                raise InputError(f"--data {spec}, line {reader.line_num}: {row[0]} is listed twice")
            rows[row[0]] = row
    except csv.Error as error:
        raise InputError(f"--data {spec}, line {reader.line_num}: {error}; is it cut short?") from None
    if not rows:
        raise InputError(f"--data {spec}: no rows below the header")
    return list(rows.values())


def _check_row(place: str, columns: list[str], values: list[str]) -> tuple[str, str, str, str]:
    if len(values) != len(columns):
        raise InputError(f"{place}: {len(values)} fields, expected {len(columns)}")
    row = dict(zip(columns, (value.strip() for value in values), strict=True))
    path = _tidy(row["path"])
    if not path or path.startswith(("/", "../")) or path[1:2] == ":":
        raise InputError(f"{place}: path {row['path']!r}; write it relative to the folder of the CSV, inside of it")
    if not row["label"]:
        raise InputError(f"{place}: no label")
    split = split_of(row.get("split", "")) or ""
    if row.get("split") and not split:
        raise InputError(f"{place}: split {row['split']!r} is not train, val or test")
    return path, row["label"], row.get("group", ""), split


def _tidy(path: str) -> str:
    return posixpath.normpath(path.strip().replace("\\", "/")) if path.strip() else ""
