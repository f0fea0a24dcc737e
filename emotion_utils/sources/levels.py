"""What each level of folders is: of splits, of classes, of persons, or of what is not understood and refused."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import pairwise

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.class_names import class_key, is_emotion
from emotion_utils.sources.split_words import is_fold, is_wrapper, level_word, names_person, split_of, without_split

MAX_CLASSES = 10  # more than that are likely names of persons, or numbers
MIN_PERSONS = 10  # so many folders above the classes are persons, whatever their names; parts of data are fewer
CROSSED_SHARE = 0.8  # of all pairs of folders: some persons and some parts lack a class
MAX_NAMED = 4  # folders that a note names
MAX_SEEN = 8  # folders that an error lists one by one
_WORD = re.compile(r"[^\W\d_]+|\d+")


def names_of_levels(images: list[tuple[str, ...]]) -> list[list[str]]:
    """The different names of the folders of each level."""
    names: list[set[str]] = []
    for parts in images:
        for level, name in enumerate(parts[:-1]):
            if level == len(names):
                names.append(set())
            names[level].add(name)
    return [sorted(found) for found in names]


def plain_splits(names: list[str]) -> dict[str, str]:
    """The split of each name where these differ in its word alone: fer_train_48x48, fer_test_48x48; else empty."""
    found, around = {}, set()
    for name in names:
        words = _WORD.findall(level_word(name))
        splits = [split for word in words if (split := split_of(word))]
        around.add(tuple(word for word in words if not split_of(word)))
        if len(splits) != 1 or len(around) > 1:
            return {}
        found[name] = splits[0]
    return found if len(set(found.values())) > 1 else {}


def is_split_level(names: list[str]) -> bool:
    """Most names are those of splits, or one is that of the training part."""
    splits = [split for name in names if (split := split_of(name))]
    return 2 * len(splits) > len(names) or "train" in splits


def take_split(spec: str, parts: tuple[str, ...], split_levels: list[int]) -> tuple[str | None, tuple[str, ...]]:
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


def find_class_level(
    spec: str, names: list[list[str]], chains: list[tuple[str, ...]], codes: frozenset[str]
) -> int | None:
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
        if not _is_crossed(pairs_of(chains, level, below)) or _name_persons(others[below]):
            return level
        if not _name_persons(others[level]):
            raise InputError(_ask_what_is_meant(spec, others[level], others[below]))
    return can_be[-1] if can_be else 0


def pairs_of(chains: Iterable[tuple[str, ...]], above: int, below: int) -> set[tuple[str, str]]:
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
    words = ("train", "training", "val", "valid", "validation", "test", "testing")
    near = {name: get_close_matches(level_word(name), words, 1, 0.75) for name in above if not split_of(name)}
    typing = "".join(f" ({name}: {words[0]}?)" for name, words in near.items() if words)
    return (
        f"--data {spec}: the folders {name_some(above)} hold the same folders ({name_some(below)}), and their names do "
        f"not say what they are{typing}: rename parts of the data to train, val, test, and persons to "
        "person_1, person_2 ..."
    )


def refuse_unknown_parts(spec: str, names: list[str], classes: list[str], pairs: set[tuple[str, str]]) -> None:
    """Raises InputError for a few folders that hold the same classes and may be splits in words not known here."""
    understood = all(map(names_person, names)) or all(map(is_fold, names)) or len(names) >= MIN_PERSONS
    if not understood and _is_crossed(pairs):
        expression = f"group=(?:^|/)({'|'.join(map(re.escape, names))})/"
        raise InputError(
            f"{_ask_what_is_meant(spec, names, classes)}; or add --set {shlex.quote(expression)} if they are persons, "
            "--set group=none if they are neither"
        )


def refuse_classes_within(spec: str, classes: list[str], pairs: set[tuple[str, str]]) -> None:
    """Raises InputError for a folder among the classes that is one in a split, or a part that holds several itself."""
    bare: dict[str, str] = {}
    for name in classes:
        other = bare.setdefault(class_key(without_split(name)), name)
        if without_split(name) != name and class_key(other) != class_key(name):
            raise InputError(
                f"--data {spec}: {other} and {name} seem to be one class in two splits: move them into folders of the "
                "splits, as in train/happy"
            )
    keys = {class_key(name) for name in classes}
    for name in classes:
        inside = sorted(below for above, below in pairs if above == name and class_key(below) in keys)
        if len(inside) > 1:
            raise InputError(
                f"--data {spec}: {name} lies beside the classes and holds some itself ({name_some(inside)}): move "
                f"the others into a folder train and these into one named val or test, or move {name} away"
            )


def refuse_class_elsewhere(spec: str, root: str, strays: list[str], rows: list[tuple[str, ...]]) -> None:
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


def refuse_class_without_split(spec: str, root: str, rows: list[tuple[str, ...]]) -> None:
    """Raises InputError where an image lies in the folder of a class that is in no split while others are."""
    apart = next((row for row in rows if not row[3]), None)
    if apart and any(row[3] for row in rows):
        folder = f"{root}{apart[0]}".rpartition("/")[0]
        raise InputError(
            f"--data {spec}: {root}{apart[0]} lies in the folder of a class, but in none of the splits: put the images "
            f"of {folder} into folders train, val or test too, or move them away"
        )


def tell_folders(inside: Iterable[tuple[str, ...]]) -> str:
    """Each first folder with its images and what it is taken for, where images lie in several; else ''."""
    counts = Counter(parts[0] if len(parts) > 1 else "" for parts in inside)
    if len(counts) < 2 and not any(map(split_of, counts)):
        return ""
    seen = [
        f"{name or 'no folder'}: {count_of(number, 'image')}, taken for {_tell_kind(name)}"
        for name, number in sorted(counts.items())
    ]
    return "; ".join(seen[:MAX_SEEN]) + (f"; ... {len(seen)} folders in all" if len(seen) > MAX_SEEN else "")


def _tell_kind(name: str) -> str:
    if split := split_of(name):
        return f"the part {split}"
    return "a class" if is_emotion(name) else "neither part nor class"


def name_some(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (f" ... {len(names)} in all" if len(names) > MAX_NAMED else "")
