"""What files beside labelled images add: lists that are the split, and a table that says who is on which image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from emotion_utils.errors import InputError
from emotion_utils.sources.columns import Columns, understand
from emotion_utils.sources.files import FileFinder, Files, is_image_name
from emotion_utils.sources.layouts import Reading
from emotion_utils.sources.split_words import split_of
from emotion_utils.sources.text_tables import check_rows, encoding_of, read_table
from emotion_utils.sources.trees import read_needed

NEARLY_ALL = 0.9  # of the images have to be named by lists that are their split
_LIST_SUFFIXES = (".txt", ".lst", ".csv", ".tsv", "")
_TRAIN_AND_VAL = re.compile("train.?(?:val|dev)", re.IGNORECASE)
_LIST_WORD = re.compile("lists?", re.IGNORECASE)  # train_list, trainlist01

Lists = dict[str, list[tuple[str | None, str]]]  # name -> each image, None for a line without one, and split


def read_split_lists(
    spec: str, files: Files, finder: FileFinder, reading: Reading, tables: Mapping[str, Columns], used: Collection[str]
) -> tuple[Reading, list[str]]:
    """`reading` with the split that lists of images give (train.txt, val.txt), and their names; [] where none does.

    A list is named after a split, is not `used` yet, and at least half of its lines begin with the name of an image; or
    it is one of the `tables` without labels, with a column of splits. Where the data are split already, a list counts
    only so far as its images are clear.
    Raises InputError where the lists name an image twice, or too few images, or contradict the split that there is.
    """
    if reading.read:
        return reading, []
    is_split = any(reading.rows["split"])
    lists = _find_lists(spec, files, finder, tables, used, may_be_unclear=is_split)
    if not lists:
        return reading, []
    both = [name for name in lists if _TRAIN_AND_VAL.search(posixpath.basename(name))]
    apart = [name for name in lists if name not in both]
    if any(split != "test" for name in apart for _, split in lists[name]):
        note = f"{', '.join(both)}: train and val together, which have a list each"
        reading = replace(reading, notes=(*reading.notes, *([note] if both else [])))
        lists = {name: lists[name] for name in apart}
    split_by_image = _join_lists(spec, lists)
    splits = [split_by_image.get(reading.root + path, "") for path in reading.rows["path"]]
    _refuse_contradictions(spec, lists, reading, splits)
    if not is_split:
        reading = _with_splits(spec, lists, reading, splits)
    return reading, [*dict.fromkeys((*lists, *both))]


def _find_lists(
    spec: str, files: Files, finder: FileFinder, tables: Mapping[str, Columns], used: Collection[str],
    *, may_be_unclear: bool,
) -> Lists:  # fmt: skip
    """The files that are lists of images of a split, or tables of these."""
    lists = {}
    for name in files.others:
        columns = tables.get(name)
        if columns and columns.path >= 0 and columns.split >= 0 and not columns.labels_files:
            pairs = _read_split_table(spec, files, finder, name, may_be_unclear)
        elif name not in used and (split := _split_of_list(name)):
            pairs = [(image, split) for image in _read_list(spec, files, finder, name, may_be_unclear)]
        else:
            continue
        if 2 * sum(image is not None for image, _ in pairs) >= max(len(pairs), 1):
            lists[name] = pairs
    return lists


def _join_lists(spec: str, lists: Lists) -> dict[str, str]:
    """The split of each image. Raises InputError where one is listed twice."""
    split_by_image: dict[str, str] = {}
    for image, split in (pair for pairs in lists.values() for pair in pairs if pair[0]):
        if image in split_by_image:
            raise InputError(
                f"--data {spec}: {', '.join(lists)}: {image} is listed twice, so the lists are no split; list each "
                "image once, or move them away"
            )
        split_by_image[image] = split
    return split_by_image


def _refuse_contradictions(spec: str, lists: Lists, reading: Reading, splits: Sequence[str]) -> None:
    """Raises InputError where an image has one split by the lists and another by its folder or table."""
    rows = reading.rows
    for path, split, listed in zip(rows["path"], rows["split"], splits, strict=True):
        if split and listed and split != listed:
            raise InputError(
                f"--data {spec}: {', '.join(lists)}: {path} is listed for {listed} and is in {split} otherwise; "
                "correct the lists, or move them away"
            )


def _with_splits(spec: str, lists: Lists, reading: Reading, splits: Sequence[str]) -> Reading:
    """`reading` with these splits; images that have none are set aside. Raises InputError where too many have none."""
    rows, shown = reading.rows, ", ".join(lists)
    labelled = [(path, split) for path, label, split in zip(rows["path"], rows["label"], splits, strict=True) if label]
    unlisted = [path for path, split in labelled if not split]
    if len(unlisted) > (1 - NEARLY_ALL) * len(labelled):
        raise InputError(
            f"--data {spec}: {shown}: {len(unlisted)} of {len(labelled)} images are in no list, e.g. {unlisted[0]}; "
            "complete the lists, or move them away"
        )
    absent = sum(image is None for pairs in lists.values() for image, _ in pairs)
    note = f"split from {shown}" + (f"; {absent} of their lines name no image" if absent else "")
    faults = {**reading.faults, **dict.fromkeys(unlisted, f"in none of the lists {shown}")}
    rows = rows.assign(split=splits, label=rows["label"].where(~rows["path"].isin(unlisted), ""))
    return replace(reading, rows=rows, faults=faults, notes=(*reading.notes, note))


def read_persons(
    spec: str, files: Files, finder: FileFinder, reading: Reading, tables: Mapping[str, Columns]
) -> tuple[Reading, list[str]]:
    """`reading` with the persons whom one of the `tables` names beside most images, and its name; [] where none does.

    Raises InputError where an image has two persons, or where several tables name persons.
    """
    if any(reading.rows["group"]) or reading.read:
        return reading, []
    found: dict[str, tuple[str, dict[str, str]]] = {}  # table -> the column, and image -> person
    for name, columns in tables.items():
        if columns.path >= 0 and columns.person >= 0 and not columns.labels_files:
            persons = _read_person_table(spec, files, finder, name)
            if 2 * sum(reading.root + path in persons for path in reading.rows["path"]) > len(reading.rows):
                found[name] = (columns.names[columns.person], persons)
    if len(found) > 1:
        raise InputError(f"--data {spec}: two tables name persons ({', '.join(found)}); leave the one that is meant")
    if not found:
        return reading, []
    [(name, (column, persons))] = found.items()
    groups = [persons.get(reading.root + path, "") for path in reading.rows["path"]]
    note = f"persons from {name} (column {column}): {len(set(groups) - {''}):,} on {sum(map(bool, groups)):,} of "
    note += f"{len(groups):,} images"
    return replace(reading, rows=reading.rows.assign(group=groups), notes=(*reading.notes, note)), [name]


def _split_of_list(name: str) -> str:
    """The split that a file is named after; '' for a file of another name or kind."""
    stem, suffix = posixpath.splitext(posixpath.basename(name))
    return (split_of(_LIST_WORD.sub(" ", stem)) or "") if suffix.lower() in _LIST_SUFFIXES else ""


def _read_list(spec: str, files: Files, finder: FileFinder, name: str, may_be_unclear: bool) -> list[str | None]:
    """The image that each line names, perhaps before the number of a class; None for a line that names none.

    Raises InputError for a line that may mean two images; where `may_be_unclear` it names none.
    """
    data = read_needed(files.tree, name)
    images = []
    for number, line in enumerate(data.decode(encoding_of(data), "replace").removeprefix("\ufeff").splitlines(), 1):
        if line.strip():
            whole = line.strip(" \t\"'")
            place = f"--data {spec}: {name}, line {number}"
            bare = _without_class(whole)
            images.append(_find(finder, whole, place, may_be_unclear) or _find(finder, bare, place, may_be_unclear))
    return images


def _without_class(line: str) -> str:
    """What stands before the last word, or else before the first comma or semicolon."""
    before, *last = line.rsplit(maxsplit=1) or [""]
    return before.rstrip(",; \t") if last else re.split("[,;]", line, maxsplit=1)[0]


def _read_split_table(
    spec: str, files: Files, finder: FileFinder, name: str, may_be_unclear: bool
) -> list[tuple[str | None, str]]:
    """Image and split of each row that has a split. Raises InputError for a word that is none."""
    table = read_table(spec, name, read_needed(files.tree, name))
    check_rows(spec, name, table)
    columns = understand(table)
    pairs = []
    for number, values in table.rows:
        path, text, place = values[columns.path], values[columns.split].strip(), f"--data {spec}: {name}, line {number}"
        image = _find(finder, path, place, may_be_unclear or not is_image_name(path.strip()))
        if image and text and not split_of(text):
            raise InputError(f"{place}: {columns.names[columns.split]} {text!r} is not train, val or test")
        if text:
            pairs.append((image, split_of(text) or ""))
    return pairs


def _read_person_table(spec: str, files: Files, finder: FileFinder, name: str) -> dict[str, str]:
    """The person on each image that the table names."""
    table = read_table(spec, name, read_needed(files.tree, name))
    check_rows(spec, name, table)
    columns = understand(table)
    persons: dict[str, str] = {}
    for number, values in table.rows:
        person = values[columns.person].strip()
        path, place = values[columns.path], f"--data {spec}: {name}, line {number}"
        image = _find(finder, path, place, not is_image_name(path.strip()))  # a mere number may count anything
        if image and person and persons.setdefault(image, person) != person:
            raise InputError(f"{place}: {image} shows {persons[image]} and {person}")
    return persons


def _find(finder: FileFinder, path: str, place: str, may_be_unclear: bool = False) -> str | None:
    """The image that `path` means. Raises InputError where there may be two, unless it `may_be_unclear`."""
    path = path.strip(" \t\"'").replace("\\", "/")
    try:
        return finder.find(posixpath.normpath(path)) if path else None
    except InputError as error:
        if may_be_unclear:
            return None
        raise InputError(f"{place}: {error}") from None
