"""A table of votes beside data that have labels of their own: FER+'s for FER2013, and any in its form."""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_utils.errors import InputError
from emotion_utils.files import read_bytes
from emotion_utils.given_paths import expand
from emotion_utils.sources.class_names import is_emotion, match_names
from emotion_utils.sources.columns import Columns, understand
from emotion_utils.sources.files import shared_end
from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.shares import to_number
from emotion_utils.sources.split_words import split_of
from emotion_utils.sources.text_tables import TextTable, check_rows, list_some, note_odd, read_table
from emotion_utils.sources.votes import rename_votes, write_votes

if TYPE_CHECKING:
    from emotion_utils.sources.source import Source

PLACE = "votes"
MOST_BYTES = 256 << 20  # a row for each of millions of images


def add_votes(source: Source, path: str) -> Source:
    """`source` with the column votes from the table at `path`: a row per image, a column of numbers for each class.

    Images are found by the name of the file, by folder and suffix only where several have one name; rows of
    fer2013.csv, which have none, by their order. Labels stay; an image without votes has the label alone. Raises
    InputError where the table is not understood, or is of other images.
    """
    file = expand(path)
    if file.is_dir():
        raise InputError(f"{PLACE} {path}: is a folder; name the table in it")
    if not file.is_file():
        raise InputError(f"{PLACE} {path}: there is no such file; check the path")
    table = _read(path, file)
    columns = understand(table)
    if columns.path < 0 or not columns.shares:
        raise InputError(
            f"{PLACE} {path}: a column with the name of the image and a column of numbers for each class are needed; "
            f"found {', '.join(table.columns)}"
        )
    _check_cells(path, table, columns)
    by_image = _join(path, table, columns, source)
    votes = [_votes_of(by_image.get(image), columns) for image in source.table["path"]]
    found = sum(map(bool, votes))
    if 2 * found < len(votes):
        raise InputError(
            f"{PLACE} {path}: has votes for {found:,} of {len(votes):,} images; give the table that belongs to --data "
            f"{source.spec}"
        )
    _check_splits(path, source, by_image, columns)
    names = match_names({*source.table["label"], *(columns.names[at] for at in columns.shares)} - {""})
    if not {names[columns.names[at]] for at in columns.shares} & {*source.classes, *source.auxiliary}:
        raise InputError(
            f"{PLACE} {path}: votes for {', '.join(columns.names[at] for at in columns.shares)}, of which none is a "
            f"class of the data ({', '.join(source.classes)})"
        )
    note = f"votes from {file.name} for {found:,} images"
    note += f"; {len(votes) - found:,} have none" if found < len(votes) else ""
    note += f"; columns that are not used: {list_some(columns.unused)}" if columns.unused else ""
    note += f"; {odd}" if (odd := note_odd(file.name, table)) else ""
    table = source.table.assign(**{VOTES: [rename_votes(text, names) for text in votes]})
    return replace(source, table=table, notes=(*source.notes, note))


def _read(path: str, file: Path) -> TextTable:
    try:
        table = read_table(path, file.name, read_bytes(file, MOST_BYTES))
        check_rows(path, file.name, table)
    except InputError as error:
        raise InputError(str(error).replace(f"--data {path}", f"{PLACE} {path}")) from None
    return table


def _check_cells(path: str, table: TextTable, columns: Columns) -> None:
    """Raises InputError for a class that has two columns, and for votes that are no number from 0 up."""
    repeated = [name for name, count in Counter(columns.names).items() if count > 1]
    if repeated:
        raise InputError(f"{PLACE} {path}: two columns are called {repeated[0]!r}")
    classes = [at for at, name in enumerate(columns.names) if at in columns.shares or is_emotion(name)]
    for number, values in table.rows:
        for at in classes:
            votes = to_number(values[at]) if values[at].strip() else 0.0
            if votes is None or not votes >= 0:
                raise InputError(
                    f"{PLACE} {path}, line {number}: {columns.names[at]} has {values[at][:40]!r} votes; a number "
                    "from 0 up is needed"
                )


def _join(path: str, table: TextTable, columns: Columns, source: Source) -> dict[str, list[str]]:
    """The row of each image that has one. Raises InputError where an image has two, or a row may mean two images."""
    by_key: dict[str, list[str]] = {}  # number of a row, or name of a file, to images
    is_numbered = source.kind == "fer2013.csv"
    for image in source.table["path"]:
        by_key.setdefault(str(int(_stem(image))) if is_numbered else _stem(image), []).append(image)
    splits = dict(zip(source.table["path"], source.table["split"], strict=True))
    by_image: dict[str, list[str]] = {}
    for place, (number, values) in enumerate(table.rows, start=1):
        key = str(place) if is_numbered else _stem(values[columns.path].strip())
        images = by_key.get(key, []) if key else []
        if len(images) > 1:
            images = _narrow(values[columns.path].strip(), images)
        if len(images) > 1 and columns.split >= 0:
            images = [image for image in images if splits[image] == split_of(values[columns.split])] or images
        if len(images) > 1:
            raise InputError(
                f"{PLACE} {path}, line {number}: {values[columns.path].strip()} may be {images[0]} or {images[1]}: "
                "write the folder too"
            )
        for image in images:
            if _votes_of(by_image.setdefault(image, values), columns) != _votes_of(values, columns):
                raise InputError(
                    f"{PLACE} {path}: {key} has several rows with other votes; one is needed for each image"
                )
    return by_image


def _narrow(name: str, images: list[str]) -> list[str]:
    """Of images of one name without suffix those with the suffix of `name`, and of these those in its folders."""
    name = name.replace("\\", "/")
    images = [image for image in images if posixpath.basename(image) == posixpath.basename(name)] or images
    ends = [shared_end(image, name) for image in images]
    return [image for image, end in zip(images, ends, strict=True) if end == max(ends)]


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path.replace("\\", "/")))[0].casefold()


def _votes_of(values: list[str] | None, columns: Columns) -> str:
    if values is None:
        return ""
    return write_votes({columns.names[at]: to_number(values[at]) or 0 for at in columns.shares})


def _check_splits(path: str, source: Source, by_image: dict[str, list[str]], columns: Columns) -> None:
    """Raises InputError where rows are of another part than the image they are joined to: they belong to others."""
    if columns.split < 0:
        return
    for image, split in source.table[["path", "split"]].itertuples(index=False):
        values = by_image.get(image)
        other = split_of(values[columns.split]) if values else None
        if split and other and split != other:
            raise InputError(
                f"{PLACE} {path}: {image} is in {split}, and its row says {values[columns.split]}: the table is of "
                "other images, or is sorted otherwise"
            )
