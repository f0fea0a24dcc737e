"""What a folder, an archive or a table holds: a known data set, a table of labels or of pixels, or class folders."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import replace
from typing import BinaryIO

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.sources import known_sets
from emotion_utils.sources.beside import read_persons, read_split_lists
from emotion_utils.sources.class_lists import find_names, name_numbers, tell_names
from emotion_utils.sources.columns import Columns, understand
from emotion_utils.sources.fer_csv import CLASS_NAMES, FerCsv, tell_headerless
from emotion_utils.sources.files import FileFinder, Files, sort_files
from emotion_utils.sources.folder_labels import labels_folders, read_folder_labels
from emotion_utils.sources.known_codes import read_with_codes, refuse_other_names
from emotion_utils.sources.known_layouts import (
    extra_files,
    is_of_affectnet,
    label_files,
    read_ferplus_csv,
    read_known,
    recognise,
)
from emotion_utils.sources.known_sets import KnownSet
from emotion_utils.sources.label_csv import describes, read_labels
from emotion_utils.sources.layouts import (
    MAX_TABLES,
    Reading,
    name_undecodable,
    read_folders,
    tell_undecodable,
)
from emotion_utils.sources.left_out import name_left_out
from emotion_utils.sources.split_words import split_of_file
from emotion_utils.sources.text_tables import TABLE_SUFFIXES, number_columns, peek_table, refuse_pixel_columns
from emotion_utils.sources.trees import Tree, is_junk

FER_NAMES = ("fer2013.csv", "icml_face_data.csv")  # both hold all of FER2013
FERPLUS_NAME = "fer2013new.csv"
FER_ROWS = (28709, 35887)  # of train.csv and of all
CK_NAME = "ckextended.csv"
_SUBMISSION = re.compile("submission", re.IGNORECASE)  # sample_submission.csv: its labels are made up

Found = tuple[Reading, KnownSet | None]


def read_tree(spec: str, tree: Tree, *, lenient: bool, table: str = "", ask: bool = True) -> Found:
    """What `tree` holds, and the known data set that it is; `table` is the one to use. Raises InputError.

    Without `ask`, folders above the classes may have any names: see layouts.read_folders.
    """
    files = sort_files(tree)
    known = recognise(files)
    columns = tables_of(tree)
    if known is None and any(map(is_of_affectnet, columns.values())):
        known = known_sets.AFFECTNET
    finder = FileFinder(files)

    def read(of: Callable[[Mapping[str, str]], Reading]) -> tuple[Reading, list[str]]:
        return read_with_codes(spec, files, known, of) if known else name_numbers(spec, files, of({}))

    if table:
        of_folders = not describes(files, table, finder) and labels_folders(files, table)
        reading, lists = read(
            lambda codes: (
                read_folder_labels(spec, table, files)
                if of_folders
                else read_labels(spec, [table], files, lenient=lenient, codes=codes, is_meant=True)
            )
        )
        return _read_beside(spec, files, finder, reading, columns, {table, *lists})[0], known
    if pixels := _choose_pixels(spec, columns):
        return _read_pixels_of(spec, files, pixels, columns)
    if not files.images:
        for found in columns.values():
            refuse_pixel_columns(spec, found.names)
    labels = [name for name, found in columns.items() if found.labels_files]
    forms = [name for name in labels if _SUBMISSION.search(posixpath.basename(name))]
    labels = [name for name in labels if name not in forms]
    used = [name for name in labels if describes(files, name, finder)]
    own = [name for name in used if columns[name].is_own_form]
    reading, unnamed, lists = read_known(spec, files, known) if known and not own else None, [], []
    is_known = reading is not None
    if reading is None and used:
        _refuse_several(spec, own or used)
        reading, lists = read(lambda codes: read_labels(spec, own or used, files, lenient=lenient, codes=codes))
    elif reading is None and (of_folders := [name for name in columns if labels_folders(files, name)]):
        if len(of_folders) > 1:
            raise InputError(f"--data {spec}: holds several tables ({', '.join(of_folders)}); name the one to use")
        reading, lists = read(lambda _: read_folder_labels(spec, of_folders[0], files))
        used = of_folders
    elif reading is None:
        reading, lists = read(lambda _: read_folders(spec, files, known.codes if known else (), ask=ask))
        unnamed = [name for name in labels if name not in lists]
        used = labels
    used = [*used, *lists]
    reading = _with_notes(reading, (
        f"{name} is a table of labels, but names none of these images: it is not used" for name in unnamed
    ))  # fmt: skip
    signs = label_files(known, files) if known else ()
    reading, used = _read_beside(spec, files, finder, reading, columns, {*used, *signs})
    used -= set() if is_known else {*signs}
    extra = extra_files(known, files) if is_known else ()
    reading = _with_notes(reading, _tell_unused(files, columns, {*used, *extra}, forms, only_images=known is not None))
    if known is known_sets.FER2013 and (reading.rows["label"].str.casefold() == "contempt").any():
        known = known_sets.FERPLUS  # the same images under its labels
    return reading, known


def _with_notes(reading: Reading, notes: Iterable[str]) -> Reading:
    return replace(reading, notes=(*reading.notes, *notes))


def _tell_unused(
    files: Files, columns: Mapping[str, Columns], used: Set[str], forms: Collection[str], *, only_images: bool
) -> list[str]:
    """A line on each kind of file that is not `used`; `forms` are for the answers of a competition."""
    undecodable = [name for name in name_undecodable(files) if name not in used]
    harmless = [name for name, found in columns.items() if found.path < 0 and found.label < 0]
    told = {*used, *undecodable, *forms}
    left_out = name_left_out(
        (name for name in files.others if name not in told), only_images=only_images, harmless=harmless
    )
    lines = [*map(tell_undecodable, undecodable), *filter(None, (left_out,))]
    return lines + [f"{name} is a form for the answers of a competition: it is not used" for name in forms]


def _read_beside(
    spec: str, files: Files, finder: FileFinder, reading: Reading, columns: Mapping[str, Columns], used: Set[str]
) -> tuple[Reading, set[str]]:
    """`reading` with what tables (`columns` are all) and lists add that are not `used` yet; and all that are then."""
    free = {name: found for name, found in columns.items() if name not in used}
    reading, persons = read_persons(spec, files, finder, reading, free)
    reading, lists = read_split_lists(spec, files, finder, reading, free, {*used, *persons})
    return reading, {*used, *persons, *lists}


def read_pixels(
    spec: str, file: BinaryIO, name: str, votes: tuple[Tree, str] | None = None, files: Files | None = None,
    lists: list[str] | None = None,
) -> Found:  # fmt: skip
    """A table of pixels, with FERPlus' `votes` (a table in a tree) in place of its labels where they are given.

    What the numbers of classes mean is looked up in the `files` beside it, where these are given; those that say it
    are added to `lists`.
    """
    told: list[str] = []
    base = posixpath.basename(name).lower()

    def name_labels(labels: set[str]) -> dict[str, str]:
        names, used = find_names(spec, files, labels) if files else ({}, [])
        if base in (*FER_NAMES, CK_NAME):
            own = {str(number): label for number, label in enumerate(CLASS_NAMES)}
            refuse_other_names(spec, f"{name}, as its name says", own, names, used)
        if not names and labels == set("1234567"):
            raise InputError(
                f"--data {spec}: {name}: classes are numbered from 1 to 7, FER2013's from 0, so which is which is not "
                "known: put a labels.txt with a line such as '1 happy' for each beside, or write words in their place"
            )
        told.extend([tell_names(names, used)] if used else [])
        if lists is not None:
            lists.extend(used)
        return names

    pixels = FerCsv(spec, file, name_labels)
    if votes:
        return read_ferplus_csv(spec, *votes, pixels), known_sets.FERPLUS
    num_rows = len(pixels.table) - len(pixels.faults)
    known = None
    if base == CK_NAME:
        known = known_sets.CK_PLUS
    elif base in FER_NAMES or num_rows in FER_ROWS:
        known = known_sets.FER2013
    what = f"images in {posixpath.basename(name)}"
    return Reading(what, pixels.table, "", "fer2013.csv", (*pixels.notes, *told), pixels.faults, pixels.read), known


def tables_of(tree: Tree) -> dict[str, Columns]:
    """The tables of a tree and what their columns hold."""
    names = [name for name in tree.names if name.lower().endswith(TABLE_SUFFIXES) and not is_junk(name)]
    return {name: understand(peek_table(tree, name)) for name in names[:MAX_TABLES]}


def pixel_tables(tree: Tree) -> list[str]:
    """The tables of a tree that hold images, labelled or not."""
    return [name for name, columns in tables_of(tree).items() if columns.pixels >= 0]


def _choose_pixels(spec: str, columns: dict[str, Columns]) -> list[str]:
    """The tables of labelled pixels to use: the one that holds all of FER2013, or the only one, or those that are each
    named after a split of its own (train.csv, test.csv); [] for none."""
    pixels = [name for name, found in columns.items() if found.pixels >= 0]
    labelled = [name for name in pixels if columns[name].label >= 0]
    if pixels and not labelled:
        found = columns[pixels[0]]
        if len(found.names) > 1 and found.names == number_columns(len(found.names)):
            raise InputError(f"--data {spec}: {pixels[0]} {tell_headerless(found)}")
        raise InputError(
            f"--data {spec}: {', '.join(pixels)} holds images without labels; give the table that has them"
        )
    whole = [name for name in labelled if posixpath.basename(name).lower() in FER_NAMES]
    if whole:
        return whole[:1]
    splits = {split_of_file(name) for name in labelled}
    if len(labelled) > 1 and (len(splits) < len(labelled) or "" in splits):
        raise InputError(f"--data {spec}: holds several tables ({', '.join(labelled)}); name the one to use")
    return labelled


def _read_pixels_of(spec: str, files: Files, names: list[str], columns: dict[str, Columns]) -> Found:
    votes = next((other for other in columns if posixpath.basename(other).lower() == FERPLUS_NAME), None)
    of_all = (files.tree, votes) if votes and len(names) == 1 else None
    lists: list[str] = []
    found = [read_pixels(spec, files.tree.open(name), name, of_all, files, lists) for name in names]
    reading, known = found[0] if len(found) == 1 else _join_pixels(names, found)
    notes = [
        f"{other} is not used: {' and '.join(names)} {'is' if len(names) == 1 else 'are'} read"
        + ("" if columns[other].label >= 0 else ", and it has no labels")
        for other in columns
        if columns[other].pixels >= 0 and other not in names
    ]
    left_out = name_left_out(other for other in files.others if other not in columns and other not in lists)
    return replace(reading, notes=(*reading.notes, *notes, *filter(None, (left_out,)))), known


def _join_pixels(names: list[str], found: list[Found]) -> Found:
    """Tables of pixels that are each named after a split: the images of each lie in a folder of its name."""
    tables, faults, readers = [], {}, {}
    for name, (reading, _) in zip(names, found, strict=True):
        folder = posixpath.splitext(name)[0]
        split = split_of_file(name)
        rows = reading.rows
        splits = [each or split if label else "" for each, label in zip(rows["split"], rows["label"], strict=True)]
        tables.append(rows.assign(path=[f"{folder}/{path}" for path in rows["path"]], split=splits))
        faults |= {f"{folder}/{path}": fault for path, fault in reading.faults.items()}
        readers |= dict.fromkeys(tables[-1]["path"], (len(folder) + 1, reading.read))

    def read(path: str) -> bytes:
        start, read_row = readers[path]
        return read_row(path[start:])

    notes = dict.fromkeys(note for reading, _ in found for note in reading.notes)
    what = f"images in {' and '.join(map(posixpath.basename, names))}"
    table = pd.concat(tables, ignore_index=True)
    known = next((known for _, known in found if known), None)
    return Reading(what, table, "", "fer2013.csv", tuple(notes), faults, read), known


def _refuse_several(spec: str, names: list[str]) -> None:
    """Several tables are one where each is that of another folder or of another split."""
    folders = [posixpath.dirname(name) for name in names]
    splits = [split_of_file(name) for name in names]
    if len(names) > 1 and len(set(folders)) < len(names) and (len(set(splits)) < len(names) or "" in splits):
        raise InputError(f"--data {spec}: holds several tables ({', '.join(names)}); name the one to use")
