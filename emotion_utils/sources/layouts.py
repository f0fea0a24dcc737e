"""Which class and which split a file belongs to, told from the folders that it lies in; and what every layout gives."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.class_names import is_emotion
from emotion_utils.sources.columns import Columns, understand
from emotion_utils.sources.files import Files
from emotion_utils.sources.foreign_forms import find_foreign
from emotion_utils.sources.left_out import SPREADSHEET, kind_of, name_left_out
from emotion_utils.sources.levels import (
    find_class_level,
    is_split_level,
    name_some,
    names_of_levels,
    pairs_of,
    plain_splits,
    refuse_class_elsewhere,
    refuse_class_without_split,
    refuse_classes_within,
    refuse_unknown_parts,
    take_split,
    tell_folders,
)
from emotion_utils.sources.split_words import is_wrapper, split_of
from emotion_utils.sources.text_tables import TABLE_SUFFIXES, is_decodable, list_some, peek_table, read_table
from emotion_utils.sources.trees import read_needed

MAX_TABLES = 100  # so many tables of a folder are looked into
TABLE_COLUMNS = ("path", "label", "group", "split")
VOTES = "votes"  # one more column where the data have it: JSON {class: votes}, see votes.py
LAYOUTS = (
    "expected class/*.jpg, train|val|test/class/*.jpg, fer2013.csv (emotion, pixels, Usage), a CSV with the columns "
    "path, label, or a data set that docs/data.md lists"
)
_WORD = re.compile(r"[a-z]+|[A-Z][a-z]*|[A-Z]+", re.ASCII)
# The name of a column to its values by path, and notes (as they were -> as they are now that it is used).
ReadColumn = Callable[[str], tuple[dict[str, str], dict[str, str]]]


@dataclass(frozen=True)
class Reading:
    """What a layout makes of files. Paths are unique and relative to the folder `root` in the tree."""

    what: str  # for a person, after "read as"
    rows: pd.DataFrame  # TABLE_COLUMNS, and VOTES where labels are votes
    root: str = ""
    kind: str = ""  # as Source.kind; empty: that of the tree
    notes: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)  # path -> why it is set aside without being read
    read: Callable[[str], bytes] | None = None  # where a path is not simply a file below `root`
    column: ReadColumn | None = None  # of a table of labels, read again
    places: Mapping[str, str] = field(default_factory=dict)  # path -> the line that gives a label for the first time


def read_folders(spec: str, files: Files, codes: Iterable[str] = (), *, ask: bool = True) -> Reading:
    """Classes from folders: the level most of whose names are emotions (or `codes`), or else the first that can be.

    Folders named after splits give the split, at whatever level; such a name is never a class. A few folders above the
    classes whose names are those of neither splits nor persons are refused, unless the person has said who is who
    (`ask` is False). Raises InputError that explains the layouts where there are no classes.
    """
    images = files.images
    if not images:
        among = f"no images among {count_of(len(files.others), 'file')}" if files.others else "no files are in it"
        raise InputError(f"--data {spec}: {among}; {_why_none(spec, files)}")
    root = find_root([name.split("/") for name in images])
    inside = [tuple(name.removeprefix(root).split("/")) for name in images if name.startswith(root)]
    levels = names_of_levels(inside)
    plain = [plain_splits(found) for found in levels]
    split_levels = [level for level, found in enumerate(levels) if plain[level] or is_split_level(found)]
    told = [(*(plain[level].get(name, name) for level, name in enumerate(parts[:-1])), parts[-1]) for parts in inside]
    chains = [take_split(spec, parts, split_levels) for parts in told]
    names = names_of_levels([(*folders, "") for _, folders in chains])
    folders_of = [folders for _, folders in chains]
    level = find_class_level(spec, names, folders_of, frozenset(codes))
    if level is not None and all(map(is_wrapper, names[level])):  # a folder images says nothing
        level = None
    _refuse_foreign(spec, files, names[level] if level is not None else [])
    rows = [
        ("/".join(parts), folders[level], "", split)
        for parts, (split, folders) in zip(inside, chains, strict=True)
        if level is not None and split is not None and len(folders) > level and not split_of(folders[level])
    ]
    if not rows:
        are = "1 image is" if len(images) == 1 else f"{len(images)} images are"
        if seen := tell_folders(inside):
            raise InputError(
                f"--data {spec}: {are} in folders without classes ({seen}); {_why_flat(spec, files)}; put the folders "
                "of the classes into those of the parts, as in train/happy/1.jpg"
            )
        raise InputError(f"--data {spec}: {are} in one flat folder, without classes; {_why_flat(spec, files)}")
    for above in range(level if ask else 0):
        refuse_unknown_parts(spec, names[above], names[level], pairs_of(folders_of, above, level))
    refuse_classes_within(spec, names[level], pairs_of(folders_of, level, level + 1))
    refuse_class_without_split(spec, root, rows)
    taken = {root + row[0] for row in rows}
    strays = [name for name in images if name not in taken]
    refuse_class_elsewhere(spec, root, strays, rows)
    if len(strays) > len(rows):
        raise InputError(
            f"--data {spec}: only {len(rows)} of {len(images)} images lie in class folders "
            f"({name_some(names[level])}); {strays[0]} does not: give the folder that is meant, or move what does not "
            f"belong there; {LAYOUTS}"
        )
    notes = (_note_strays(strays), _note_other_levels(names, level))
    what = "folders of splits and classes" if split_levels else "class folders"
    return Reading(what, make_table(rows), root, notes=tuple(note for note in notes if note))


def make_table(rows: Iterable[tuple[str, ...]], votes: bool = False) -> pd.DataFrame:
    """Rows (path, label, group, split[, votes]) as a table."""
    return pd.DataFrame(list(rows), columns=[*TABLE_COLUMNS, *([VOTES] if votes else [])], dtype=object)


def pool_lone_parts(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """`table` without its split where that has no training part, or nothing beside it; and a line that says so."""
    parts = sorted(set(table["split"]) - {""})
    if not parts or ("train" in parts and len(parts) > 1):
        return table, ""
    return table.assign(split=""), f"the data have only {' and '.join(parts)}: they are split anew"


def find_root(images: list[list[str]]) -> str:
    """The folders that merely wrap the others, as a prefix with '/' at its end, or ''."""
    root: list[str] = []
    while True:
        below = [parts for parts in images if parts[: len(root)] == root and len(parts) > len(root) + 1]
        firsts = {parts[len(root)] for parts in below}
        deeper = any(len(parts) > len(root) + 2 for parts in below)
        if len(firsts) != 1 or not deeper or split_of(min(firsts)):
            return "".join(f"{part}/" for part in root)
        root.append(firsts.pop())


def common_root(names: Iterable[str]) -> str:
    """The folder that holds all `names`, with '/' at its end, or ''."""
    folders = {posixpath.dirname(name) for name in names}
    shared = posixpath.commonpath(folders) if folders else ""
    return f"{shared}/" if shared else ""


def _refuse_foreign(spec: str, files: Files, classes: list[str]) -> None:
    """Raises InputError for an export in a form that is not read, unless folders of classes tell these."""
    if any(map(is_emotion, classes)) or (len(classes) > 1 and all(map(str.isdecimal, classes))):
        return
    if found := find_foreign(files):
        raise not_read(spec, *found)


def not_read(spec: str, name: str, form: str) -> InputError:
    """The error for an export in a form that is not read."""
    return InputError(
        f"--data {spec}: {name} is of the form {form}, which is not read; export the data as class folders, or write a "
        "CSV with the columns path, label"
    )


def _why_none(spec: str, files: Files) -> str:
    """What to do where there is no image at all, as far as the tree and its other files tell."""
    told = _tell_tables(spec, files)
    return "; ".join(filter(None, (
        *files.tree.notes, *told.values(), name_left_out(name for name in files.others if name not in told)
    ))) or LAYOUTS  # fmt: skip


def _why_flat(spec: str, files: Files) -> str:
    """What to do where images lie in no folder of a class."""
    named = [name for name in files.images if any(map(is_emotion, _WORD.findall(posixpath.basename(name))))]
    if 2 * len(named) > len(files.images):
        return f"most are named after one, e.g. {named[0]}: move each into a folder of its class"
    told = _tell_tables(spec, files)
    sheets = [name for name in files.others if kind_of(name) is SPREADSHEET]
    rest = name_left_out(name for name in files.others if name not in told and name not in sheets)
    return "; ".join(filter(None, (*told.values(), name_left_out(sheets), LAYOUTS, rest)))


def _tell_tables(spec: str, files: Files) -> dict[str, str]:
    """The tables beside the images that may have been meant to hold the labels, and why they do not.

    Raises InputError that names the line where one is damaged.
    """
    told = {name: tell_undecodable(name) for name in name_undecodable(files)}
    for name in [name for name in files.others if name.lower().endswith(TABLE_SUFFIXES)][:MAX_TABLES]:
        if name in told:
            continue
        columns = understand(peek_table(files.tree, name))
        if columns.labels_files:
            table = read_table(spec, name, read_needed(files.tree, name))
            if table.rows:
                count = len(table.rows)
                rows = "1 row names a file that is" if count == 1 else f"{count} rows name files that are"
                told[name] = f"{name}: {rows} not there, e.g. {table.rows[0][1][columns.path]}"
        elif columns.names[:1] and (columns.path >= 0 or columns.label >= 0 or len(columns.names) == 1):
            told[name] = f"{name}: {tell_lacking(columns.names, columns)}"
    return told


def tell_lacking(names: Sequence[str], columns: Columns) -> str:
    """Why a table is none of labels: the columns that it lacks, as its first line names them."""
    lacking = [what for what, at in (("path", columns.path), ("label", columns.label)) if at < 0]
    first = names[0] if names else ""
    mend = ""
    if first.startswith(("#", "//", "%")):
        mend = ": line 1 is a comment: remove those above the header"
    elif len(names) == 1 and len(first.split()) > 1:
        mend = ": line 1 is separated by blanks: separate the columns by commas"
    return f"column {', '.join(lacking)} is missing; found {list_some(names)}{mend}"


def name_undecodable(files: Files) -> list[str]:
    """The tables beside the images whose text is of none of the encodings that are read."""
    tables = [name for name in files.others if name.lower().endswith(TABLE_SUFFIXES)][:MAX_TABLES]
    return [name for name in tables if not is_decodable(files.tree.peek(name))]


def tell_undecodable(name: str) -> str:
    return f"not read: {name} is not UTF-8: save it as UTF-8"


def _note_strays(strays: list[str]) -> str:
    return f"left out {count_of(len(strays), 'image')} outside of the class folders, e.g. {strays[0]}" if strays else ""


def _note_other_levels(names: list[list[str]], level: int) -> str:
    """Folders above or below the classes that are no splits: persons perhaps, but parts of data are named so too."""
    for place, found in (("above", names[:level]), ("below", names[level + 1 :])):
        if several := next((level for level in found if len(level) > 1), None):
            return f"folders {place} the classes are taken for neither class nor split: {name_some(several)}"
    return ""
