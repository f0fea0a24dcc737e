"""What folder and file name say besides the label, the person and the split. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from emotion_utils.config import SPLITS
from emotion_utils.sources.class_names import class_key

WORD = re.compile(r"[^\W\d_]+")
_LETTERS, _LAST_NUMBER = re.compile(r"[^\W\d_]*"), re.compile(r"(\d*)\D*$")


def read_file_names(manifest: pd.DataFrame) -> pd.DataFrame:
    """Of each path what a rule could go by, all of it text or whole numbers.

    folder: the folders, without those that stand for a class, by its name or in code, for a split or for a person;
    suffix, as it is written; prefix: the
    letters that the file's name begins with; digits: how long the number at its end is; pattern: the name with `a` for
    letters and `0` for digits. Words of the name that stand for the label (a class, or the start of its own label
    wherever the word occurs) and the person's name are left out before.
    """
    paths, labels = manifest["path"].tolist(), manifest["label"].tolist()
    groups = manifest["group"].fillna("").tolist()
    files = [path.rpartition("/")[2] for path in paths]
    stems = [file.rpartition(".")[0] or file for file in files]
    telling = _words_of_labels(stems, labels)
    names = [_leave_out(stem, group, telling) for stem, group in zip(stems, groups, strict=True)]
    folders = _folders_left(paths, labels, groups)
    columns = {
        "folder": folders,
        "suffix": [file.rpartition(".")[2] if "." in file else "" for file in files],
        "prefix": [_LETTERS.match(name)[0].casefold() for name in names],
        "digits": [len(_LAST_NUMBER.search(name)[1]) for name in names],
        "pattern": [re.sub(r"\d+", "0", WORD.sub("a", name)) for name in names],
    }
    return pd.DataFrame(columns, manifest.index).astype(dict.fromkeys({*columns} - {"digits"}, object))


def _folders_left(paths: list[str], labels: list[str], groups: list[str]) -> list[str]:
    """The folders of each path without those that stand for its person, a split or a class."""
    classes = {class_key(label) for label in set(labels)}
    inside = [
        [name for name in path.split("/")[:-1] if name != group and name.casefold() not in SPLITS]
        for path, group in zip(paths, groups, strict=True)
    ]
    left = [[name for name in names if class_key(name) not in classes] for names in inside]
    level = _level_of_codes(left, labels) if left == inside else None
    return ["/".join(names if level is None else names[:level] + names[level + 1 :]) for names in left]


def _level_of_codes(folders: list[list[str]], labels: list[str]) -> int | None:
    """The level of folders that has one name for each class, as where a list says that 1 is happy; None without one."""
    for level in range(min(map(len, folders), default=0)):
        pairs = {(names[level], label) for names, label in zip(folders, labels, strict=True)}
        if len(pairs) == len({name for name, _ in pairs}) == len(set(labels)) > 1:
            return level
    return None


def _words_of_labels(stems: Iterable[str], labels: Iterable[str]) -> set[str]:
    """The words that stand for a label: names of classes, and what is the start of its label wherever it occurs."""
    seen: dict[str, set[str]] = {}
    for stem, label in zip(stems, labels, strict=True):
        for word in WORD.findall(stem.casefold()):
            seen.setdefault(word, set()).add(label)
    classes = {class_key(label) for labels in seen.values() for label in labels}
    return {
        word
        for word, met in seen.items()
        if class_key(word) in classes or all(label.casefold().startswith(word) for label in met)
    }


def _leave_out(stem: str, group: str, words: set[str]) -> str:
    rest = stem.replace(group, "") if group else stem
    return WORD.sub(lambda found: "" if found[0].casefold() in words else found[0], rest)
