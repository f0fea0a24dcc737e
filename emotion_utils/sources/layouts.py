"""Which class and which split a file belongs to, told from the folders that it lies in; and what every layout gives."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.files import Files
from emotion_utils.sources.left_out import name_left_out
from emotion_utils.sources.split_words import is_fold, is_wrapper, names_person, split_of

TABLE_COLUMNS = ("path", "label", "group", "split")
VOTES = "votes"  # one more column where the data have it: JSON {class: votes}, see votes.py
LAYOUTS = (
    "expected class/*.jpg, train|val|test/class/*.jpg, fer2013.csv (emotion, pixels, Usage), a CSV with the columns "
    "path, label, or a data set that docs/data.md lists"
)
MAX_CLASSES = 10  # more than that are likely names of persons, or numbers
MIN_PERSONS = 10  # so many folders above the classes are persons, whatever their names; parts of data are fewer
CROSSED_SHARE = 0.8  # of all pairs of folders: some persons and some parts lack a class
MAX_NAMED = 4  # folders that a note names
_WORD = re.compile(r"[a-z]+|[A-Z][a-z]*|[A-Z]+", re.ASCII)
# Files that hold the labels of boxes, or whole images, in a form that is not read here.
_FOREIGN = (
    ("_annotations.coco.json", "COCO"), ("_annotations.createml.json", "CreateML"), ("data.yaml", "YOLO"),
    (".tfrecord", "TFRecord"), (".parquet", "Parquet"), (".arrow", "Arrow"),
)  # fmt: skip


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


def read_folders(spec: str, files: Files, codes: Iterable[str] = (), *, ask: bool = True) -> Reading:
    """Classes from folders: the level most of whose names are emotions (or `codes`), or else the first that can be.

    Folders named after splits give the split, at whatever level; such a name is never a class. A few folders above the
    classes whose names are those of neither splits nor persons are refused, unless the person has said who is who
    (`ask` is False). Raises InputError that explains the layouts where there are no classes.
    """
    images = files.images
    if not images:
        raise InputError(f"--data {spec}: no images among {count_of(len(files.others), 'file')}; {_why_none(files)}")
    root = find_root([name.split("/") for name in images])
    inside = [tuple(name.removeprefix(root).split("/")) for name in images if name.startswith(root)]
    split_levels = [level for level, found in enumerate(_names_of_levels(inside)) if _is_split_level(found)]
    chains = [_take_split(spec, parts, split_levels) for parts in inside]
    names = _names_of_levels([(*folders, "") for _, folders in chains])
    folders_of = [folders for _, folders in chains]
    level = _class_level(spec, names, folders_of, frozenset(codes))
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
        raise InputError(f"--data {spec}: {are} in one flat folder, without classes; {_why_flat(files)}")
    for above in range(level if ask else 0):
        _refuse_unknown_parts(spec, names[above], names[level], _pairs(folders_of, above, level))
    _refuse_classes_within(spec, names[level], _pairs(folders_of, level, level + 1))
    taken = {root + row[0] for row in rows}
    strays = [name for name in images if name not in taken]
    _refuse_class_elsewhere(spec, root, strays, rows)
    if len(strays) > len(rows):
        raise InputError(
            f"--data {spec}: only {len(rows)} of {len(images)} images lie in class folders ({_list(names[level])}); "
            f"{strays[0]} does not: give the folder that is meant, or move what does not belong there; {LAYOUTS}"
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


def split_of_path(path: str) -> str:
    """The split that a folder of `path` is named after, the nearest first; '' where none is."""
    return next((split for part in reversed(path.split("/")[:-1]) if (split := split_of(part))), "")


def _names_of_levels(images: list[tuple[str, ...]]) -> list[list[str]]:
    """The different names of the folders of each level."""
    names: list[set[str]] = []
    for parts in images:
        for level, name in enumerate(parts[:-1]):
            if level == len(names):
                names.append(set())
            names[level].add(name)
    return [sorted(found) for found in names]


def _is_split_level(names: list[str]) -> bool:
    """Most names are those of splits, or one is that of the training part."""
    splits = [split for name in names if (split := split_of(name))]
    return 2 * len(splits) > len(names) or "train" in splits


def _take_split(spec: str, parts: tuple[str, ...], split_levels: list[int]) -> tuple[str | None, tuple[str, ...]]:
    """The split of one image, and its other folders without those that wrap them.

    The split is '' where there are none, None where the image lies beside the folders of splits.
    """
    folders = parts[:-1]
    first = next((at for at, name in enumerate(folders) if not split_of(name)), len(folders))  # test/test/happy
    places = sorted({*(range(first) if 0 in split_levels else ()), *(at for at in split_levels if at < len(folders))})
    found = {split_of(folders[at]): folders[at] for at in places}
    others = tuple(name for at, name in enumerate(folders) if at not in places)
    while len(others) > 1 and is_wrapper(others[0]):
        others = others[1:]
    if None in found or (split_levels and split_levels[0] == 0 and not found):
        return None, others
    if len(found) > 1:
        raise InputError(
            f"--data {spec}: {'/'.join(parts)} lies in folders of two splits ({', '.join(found.values())}); rename one"
        )
    return next(iter(found), ""), others


def _class_level(spec: str, names: list[list[str]], chains: list[tuple[str, ...]], codes: frozenset[str]) -> int | None:
    """The level most of whose names are emotions or `codes`; else the first that has 2 to MAX_CLASSES names.

    Raises InputError where, without such names, a later level may as well be meant: part/class looks like class/person.
    """
    others = [[name for name in found if not split_of(name)] for found in names]
    shares = [sum(is_emotion(name) or name in codes for name in found) / max(len(found), 1) for found in others]
    best = max(range(len(names)), key=lambda level: shares[level], default=None)
    if best is None or shares[best] >= 0.5:
        return best
    can_be = [level for level, found in enumerate(others) if 2 <= len(found) <= MAX_CLASSES]
    for level, below in pairwise(can_be):
        if not _is_crossed(_pairs(chains, level, below)) or _name_persons(others[below]):
            return level
        if not _name_persons(others[level]):
            raise InputError(_ask_what_is_meant(spec, others[level], others[below]))
    return can_be[-1] if can_be else 0


def _pairs(chains: Iterable[tuple[str, ...]], above: int, below: int) -> set[tuple[str, str]]:
    """The folders of one level, each with those of a lower one that it holds."""
    return {(folders[above], folders[below]) for folders in chains if len(folders) > below}


def _is_crossed(pairs: set[tuple[str, str]]) -> bool:
    """Whether nearly all folders of a level hold the same folders, as parts of data hold the same classes."""
    above, below = ({names[at] for names in pairs} for at in (0, 1))
    return min(len(above), len(below)) > 1 and len(pairs) > CROSSED_SHARE * len(above) * len(below)


def _name_persons(names: list[str]) -> bool:
    """Whether names say that they are persons'; mere numbers may as well be those of classes."""
    return all(names_person(name) and not name.isdecimal() for name in names)


def _ask_what_is_meant(spec: str, above: list[str], below: list[str]) -> str:
    return (
        f"--data {spec}: the folders {_list(above)} hold the same folders ({_list(below)}), and their names do not say "
        "what they are: rename parts of the data to train, val, test, and persons to person_1, person_2 ..."
    )


def _refuse_unknown_parts(spec: str, names: list[str], classes: list[str], pairs: set[tuple[str, str]]) -> None:
    """Raises InputError for a few folders that hold the same classes and may be splits in words not known here."""
    understood = all(map(names_person, names)) or all(map(is_fold, names)) or len(names) >= MIN_PERSONS
    if not understood and _is_crossed(pairs):
        raise InputError(_ask_what_is_meant(spec, names, classes) + "; or add --set group=none if they are neither")


def _refuse_classes_within(spec: str, classes: list[str], pairs: set[tuple[str, str]]) -> None:
    """Raises InputError for a folder among the classes that holds several of them itself, as part of the data does."""
    keys = {class_key(name) for name in classes}
    for name in classes:
        inside = sorted(below for above, below in pairs if above == name and class_key(below) in keys)
        if len(inside) > 1:
            raise InputError(
                f"--data {spec}: {name} lies beside the classes and holds some itself ({_list(inside)}): move the "
                f"others into a folder train and these into one named val or test, or move {name} away"
            )


def _refuse_class_elsewhere(spec: str, root: str, strays: list[str], rows: list[tuple[str, ...]]) -> None:
    """Raises InputError where an image that would be left out lies in a folder of a class, as in a part not known."""
    keys = {class_key(row[1]) for row in rows}
    for stray in strays:
        folders = stray.removeprefix(root).split("/")[:-1]
        if any(class_key(name) in keys for name in folders):
            if any(row[3] for row in rows):
                raise InputError(
                    f"--data {spec}: {stray} lies in the folder of a class, but in none of the splits: rename "
                    f"{folders[0]} to train, val or test, or move it away"
                )
            raise InputError(
                f"--data {spec}: class folders of two levels, e.g. {stray} and {root}{rows[0][0]}: move those of one "
                "level into a folder train, or away, and name the folder of the others val or test"
            )


def _refuse_foreign(spec: str, files: Files, classes: list[str]) -> None:
    """Raises InputError for an export in a form that is not read, unless folders of classes tell these."""
    if any(map(is_emotion, classes)) or (len(classes) > 1 and all(map(str.isdecimal, classes))):
        return
    for ending, form in _FOREIGN:
        for name in files.others:
            if name.lower().endswith(ending):
                raise InputError(
                    f"--data {spec}: {name} is of the form {form}, which is not read; export the data as class "
                    "folders, or write a CSV with the columns path, label"
                )


def _why_none(files: Files) -> str:
    """What to do where there is no image at all, as far as the tree and its other files tell."""
    return "; ".join(filter(None, (*files.tree.notes, name_left_out(files.others)))) or LAYOUTS


def _why_flat(files: Files) -> str:
    """What to do where images lie in no folder of a class."""
    named = [name for name in files.images if any(map(is_emotion, _WORD.findall(posixpath.basename(name))))]
    if 2 * len(named) > len(files.images):
        return f"most are named after one, e.g. {named[0]}: move each into a folder of its class"
    return "; ".join(filter(None, (LAYOUTS, name_left_out(files.others))))


def _note_strays(strays: list[str]) -> str:
    return f"left out {count_of(len(strays), 'image')} outside of the class folders, e.g. {strays[0]}" if strays else ""


def _note_other_levels(names: list[list[str]], level: int) -> str:
    """Folders above or below the classes that are no splits: persons perhaps, but parts of data are named so too."""
    for place, found in (("above", names[:level]), ("below", names[level + 1 :])):
        if several := next((level for level in found if len(level) > 1), None):
            return f"folders {place} the classes are taken for neither class nor split: {_list(several)}"
    return ""


def _list(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (f" ... {len(names)} in all" if len(names) > MAX_NAMED else "")
