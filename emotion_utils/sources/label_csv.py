"""Tables that say the label of each file: the project's own, path,label[,group][,split], and those of other owners.

In its own form nothing is guessed, and a table that contradicts its files is refused. In others' forms usual names of
columns are understood, files are found by their names, and what does not fit is set aside and counted.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Mapping

from emotion_utils.errors import InputError
from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.columns import Columns, check_columns, understand
from emotion_utils.sources.contradictions import compare_with_folders
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.files import FileFinder, Files
from emotion_utils.sources.layouts import Reading, common_root, make_table, not_read, tell_lacking
from emotion_utils.sources.several_rows import Row, mostly_several, names_voter, note_differing, tell_lines
from emotion_utils.sources.shares import to_number
from emotion_utils.sources.split_words import split_of, split_of_file, split_of_path
from emotion_utils.sources.text_tables import (
    TextTable,
    check_rows,
    is_via,
    list_some,
    note_odd,
    peek_table,
    place_of,
    read_table,
    refuse_pixel_columns,
)
from emotion_utils.sources.trees import read_needed
from emotion_utils.sources.votes import Majority, majority, write_votes

NO_IMAGE = "the CSV names this file, but it is not there"
MISSING = ("nan", "null", "n/a", "na", "<na>")
_WHOLE = re.compile(r"(\d{1,18})\.0*")  # with thousands of digits it is no number of a class


def describes(files: Files, name: str, finder: FileFinder) -> bool:
    """Whether the first rows of the table `name` name any image of its tree; else it belongs to other images."""
    table = peek_table(files.tree, name)
    columns = understand(table)
    if not columns.labels_files:
        return False
    try:
        return any(_find(finder, columns, name, values[columns.path]) for _, values in table.rows)
    except InputError:  # an image, but which is not clear: told where the rows are read
        return True


def read_labels(
    spec: str, names: list[str], files: Files, *, lenient: bool, codes: Mapping[str, str] | None = None,
    count: Majority = majority, is_meant: bool = False,
) -> Reading:  # fmt: skip
    """The tables `names` of a tree, together. `codes` are what labels stand for; `count` makes a label of votes.

    In the project's own form a row without a file and an image without a row are errors, or faults (path -> reason)
    where `lenient`. Labels of another form that contradict the folders of their images are refused unless the person
    named the table (`is_meant`). Raises InputError for everything else that is wrong.
    """
    finder = FileFinder(files)
    found: dict[str, Row] = {}
    missing: dict[str, str] = {}
    unused: dict[str, list[str]] = {}
    notes, strict, mapping = [], False, ""
    for name in names:
        table = read_table(spec, name, read_needed(files.tree, name))
        columns = understand(table)
        _refuse_unlabelled(spec, name, columns)
        check_rows(spec, name, table)
        strict, mapping = columns.is_own_form, columns.mapping
        _collect(f"--data {spec}", name, table, columns, finder, found, missing)
        unused[name] = columns.unused
        told = check_columns(spec, name, table, columns), _note_unused(name, columns.unused), note_odd(name, table)
        notes += filter(None, told)
    unlisted = [path for path in files.images if path not in found]
    _refuse_gaps(spec, names, strict and not lenient, strict, len(found), list(missing), unlisted)
    classes = sorted({_translate(label, codes) for row in found.values() for label in (*row.labels, *row.votes)})
    root = common_root([*names, *found])
    are_votes = any(map(names_voter, unused.values())) or mostly_several(found.values())
    notes += [] if are_votes else note_differing(found)
    rows, faults = [], {}
    for path, row in found.items():
        label, votes, fault = _decide(row, codes, classes, count, are_votes)
        rows.append((path.removeprefix(root), label, row.group, row.split or split_of_path(path), votes))
        faults |= {path.removeprefix(root): fault} if fault else {}
    faults |= dict.fromkeys(missing, NO_IMAGE)
    faults |= {path.removeprefix(root): "no row in the CSV" for path in unlisted}
    rows += [(path, "", "", "", "") for path in (*missing, *(path.removeprefix(root) for path in unlisted))]
    notes += compare_with_folders(spec, names[0], rows, is_meant or strict)
    has_votes = any(row[-1] for row in rows)
    frame = make_table(rows if has_votes else [row[:-1] for row in rows], has_votes)
    base = posixpath.basename(names[0])
    shown = base if len(names) == 1 else f"{len(names)} tables like {base}"

    def read_column(column: str) -> tuple[dict[str, str], dict[str, str]]:
        less = {name: [each for each in columns if each != column] for name, columns in unused.items()}
        instead = {_note_unused(name, unused[name]): _note_unused(name, less[name]) for name in unused}
        return _read_column(spec, names, files, root, column), instead

    first = {label: (path, row.lines[:1]) for path, row in reversed(found.items()) for label in row.labels}
    places = {path.removeprefix(root): tell_lines(line) for path, line in first.values()}
    return Reading(
        f"{shown} ({mapping})", frame, root, "labels.csv", tuple(notes), faults, column=read_column, places=places
    )


def _read_column(spec: str, names: list[str], files: Files, root: str, column: str) -> dict[str, str]:
    """The values of a column by the path of the image, below `root`; without those that are missing.

    Raises InputError where a table has no such column, or two values for an image.
    """
    finder, found = FileFinder(files), {}
    for name in names:
        table = read_table(spec, name, read_needed(files.tree, name))
        if list(table.columns).count(column) != 1:
            there = "two such columns" if column in table.columns else "no such column"
            raise InputError(f"fairness={column}: {name} has {there}; it has {list_some(table.columns)}")
        columns, at = understand(table), list(table.columns).index(column)
        for number, values in table.rows:
            file, value = _find(finder, columns, name, values[columns.path]), _tidy_label(values[at])
            if file and value and found.setdefault(file.removeprefix(root), value) != value:
                raise InputError(f"fairness={column}: {name}, line {number}: another value than before for one image")
    return found


def _collect(
    spec: str, name: str, table: TextTable, columns: Columns, finder: FileFinder, found: dict[str, Row],
    missing: dict[str, str],
) -> None:  # fmt: skip
    """Adds the rows of one table to `found`, by the path of the file in the tree, and to `missing`."""
    part = split_of_file(name)
    listed = set()
    for number, values in table.rows:
        place = place_of(spec, name, number)
        path = _tidy(values[columns.path])
        if columns.is_own_form:
            _check_own_row(place, path, values, columns, listed)
        try:
            file = _find(finder, columns, name, values[columns.path])
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
        listed.add(path)
        if file is None:
            missing[path or f"line {number} of {name}"] = place
            continue
        row = found.setdefault(file, Row())
        text = values[columns.split].strip() if columns.split >= 0 else ""
        split = split_of(text)
        if text and not split:
            raise InputError(f"{place}: {columns.names[columns.split]} {text!r} is not train, val or test")
        split = split or part
        if split and row.split and split != row.split:
            raise InputError(
                f"{spec}: {file} is listed twice, for {row.split} ({tell_lines(row.lines[-1:])}) and for {split} "
                f"({tell_lines([(name, number)])}), so the lists are no split; list each image once"
            )
        row.split = row.split or split
        row.lines.append((name, number))
        row.group = values[columns.person].strip() if columns.person >= 0 else row.group
        _add_votes(place, row, values, columns)


def _refuse_unlabelled(spec: str, name: str, columns: Columns) -> None:
    """Raises InputError for a table that does not say the label of each file."""
    if columns.labels_files:
        return
    if is_via(columns.names):
        raise not_read(spec, name, "VIA")
    refuse_pixel_columns(spec, columns.names)
    raise InputError(f"--data {spec}: {tell_lacking(columns.names, columns)}")


def _note_unused(name: str, unused: list[str]) -> str:
    return f"{name}: columns that are not used: {list_some(unused)}" if unused else ""


def _check_own_row(place: str, path: str, values: list[str], columns: Columns, listed: set[str]) -> None:
    if not path or path.startswith(("/", "../")) or path[1:2] == ":":
        raise InputError(
            f"{place}: path {values[columns.path]!r}; write it relative to the folder of the CSV, inside of it"
        )
    if not _tidy_label(values[columns.label]):
        raise InputError(f"{place}: no label")
    if path in listed:
        raise InputError(f"{place}: {path} is listed twice")
    text = values[columns.names.index(name)] if (name := _own_split(columns)) else ""
    if text.strip() and not split_of(text):
        raise InputError(f"{place}: split {text.strip()!r} is not train, val or test")


def _own_split(columns: Columns) -> str:
    return next((name for name in columns.names if name.lower() == "split"), "")


def _add_votes(place: str, row: Row, values: list[str], columns: Columns) -> None:
    """Adds what one line says of an image. Raises InputError for votes that are no number from 0 up."""
    row.is_polled |= bool(columns.raters or columns.shares)
    if columns.label >= 0 and (label := _tidy_label(values[columns.label])):
        row.labels.append(label)
    for at in columns.raters:
        if label := _tidy_label(values[at]):
            row.votes[label] = row.votes.get(label, 0) + 1
    for at in columns.shares:
        text = _tidy_label(values[at])
        number = to_number(text) if text else 0.0
        if number is None or number < 0:
            raise InputError(
                f"{place}: {columns.names[at]} has {text[:40]!r} votes; a number from 0 up is needed, or a column of "
                "labels in place of the columns of classes"
            )
        row.votes[columns.names[at]] = row.votes.get(columns.names[at], 0) + number
    if columns.confidence >= 0 and (number := to_number(values[columns.confidence])) is not None:
        row.confidence = number / 100 if number > 1 else number


def _decide(
    row: Row, codes: Mapping[str, str] | None, classes: list[str], count: Majority, are_votes: bool
) -> tuple[str, str, str]:
    """Label, votes as text and fault of one file; "" for what it has not. Several rows may be votes."""
    labels = [_translate(label, codes) for label in row.labels]
    if len(labels) > 1 and not are_votes and not row.votes:
        if len(set(map(class_key, labels))) > 1:
            return "", "", f"several rows that differ: {', '.join(labels)} ({tell_lines(row.lines)})"
        labels = labels[:1]
    votes = row.votes or (Counter(labels) if len(labels) > 1 else {})
    votes = _level_votes({_translate(name, codes): number for name, number in votes.items()})
    labels = labels if row.votes or len(labels) == 1 else []
    if labels and not votes and row.confidence is not None and 0 < row.confidence <= 1 and len(classes) > 1:
        rest = (1 - row.confidence) / (len(classes) - 1)
        votes = {name: row.confidence if name == labels[0] else rest for name in classes}
    if not labels and not votes and not row.is_polled:
        return "", "", "no label in the table"
    try:
        label = labels[0] if labels else count(votes)
    except ImageFault as fault:
        return "", write_votes(votes), str(fault)
    if not label:
        return "", "", f"no emotion: the table says {', '.join(row.labels)}"
    return label, write_votes(votes), ""


def _level_votes(votes: Mapping[str, float]) -> dict[str, float]:
    """Votes for two spellings of one class, added up under the first; a known emotion under its name."""
    names: dict[str, str] = {}
    levelled: dict[str, float] = {}
    for name, number in votes.items():
        key = class_key(name)
        shown = names.setdefault(key, key if is_emotion(name) else name)
        levelled[shown] = levelled.get(shown, 0) + number
    return levelled


def _refuse_gaps(
    spec: str, names: list[str], refuse: bool, strict: bool, num_found: int, missing: list[str], unlisted: list[str]
) -> None:
    """Raises InputError where rows lack files or images lack rows: any in the own form, most of them in others'."""
    for gaps, one, many in (
        (missing, "row names a file that is not there", "rows name files that are not there"),
        (unlisted, "image has no row", "images have no row"),
    ):
        complaint = one if len(gaps) == 1 else many
        if gaps and refuse:
            raise InputError(
                f"--data {spec}: {len(gaps)} {complaint}, e.g. {gaps[0]}; correct the CSV, or add --set lenient=true "
                "to set them aside"
            )
        if len(gaps) > num_found and not strict:
            raise InputError(
                f"--data {spec}: {len(gaps)} {complaint}, e.g. {gaps[0]}, and {names[0]} fits only {num_found} images; "
                "give the folder or the table that is meant"
            )


def _find(finder: FileFinder, columns: Columns, name: str, path: str) -> str | None:
    """The image that a row of the table `name` means by `path`."""
    path = _tidy(path)
    if not path:
        return None
    folder = f"{posixpath.dirname(name)}/" if "/" in name else ""
    return finder.at(folder + path) if columns.is_own_form else finder.find(path, folder, split_of_file(name))


def _translate(label: str, codes: Mapping[str, str] | None) -> str:
    return (codes or {}).get(label, label)


def _tidy_label(text: str) -> str:
    """'3.0' is the number 3; what libraries write for a missing value is none."""
    match = _WHOLE.fullmatch(text.strip())
    if text.strip().casefold() in MISSING:
        return ""
    return str(int(match[1])) if match else text.strip()


def _tidy(path: str) -> str:
    return posixpath.normpath(path.strip().replace("\\", "/")) if path.strip() else ""
