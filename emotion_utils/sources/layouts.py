"""Which class and which split a file belongs to, told from the folders that it lies in."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.sources.class_names import SYNONYMS, class_key
from emotion_utils.sources.trees import is_junk

TABLE_COLUMNS = ("path", "label", "group", "split")
IMAGE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm",
    ".heic", ".heif", ".avif",
}  # fmt: skip
LAYOUTS = (
    "expected class/*.jpg, train|val|test/class/*.jpg, fer2013.csv (emotion, pixels, Usage) "
    "or a CSV with the columns path, label"
)
_SPLITS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "publictest"),
    "test": ("test", "testing", "tst", "privatetest"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}


@dataclass(frozen=True)
class Layout:
    """Rows (path, label, group, split) of a tree's images; a path is relative to the folder `root` in the tree."""

    rows: pd.DataFrame
    root: str
    notes: tuple[str, ...]


def split_of(word: str) -> str | None:
    """train, val or test for the usual words (without regard to case), else None."""
    return _SPLIT_OF.get(word.strip().lower())


def is_image_name(name: str) -> bool:
    """Whether the suffix promises an image; its content is judged when it is decoded."""
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def read_layout(spec: str, names: Iterable[str]) -> Layout:
    """The layout of the files `names`. Raises InputError that explains the layouts where there is none."""
    files = [name for name in sorted(names) if not is_junk(name)]
    images, others = [], []
    for name in files:
        (images if is_image_name(name) else others).append(name)
    if not images:
        raise InputError(f"--data {spec}: no images among {len(files)} files; {LAYOUTS}")
    root = _find_root([name.split("/") for name in images])
    inside = [tuple(name.removeprefix(root).split("/")) for name in images if name.startswith(root)]
    splits = _official_splits(inside)
    if splits:
        inside = [parts for parts in inside if parts[0] in splits]
    level = _label_level([parts[:-1] for parts in inside], 1 if splits else 0)
    rows = [("/".join(p), p[level], "", splits.get(p[0], "")) for p in inside if len(p) > level + 1]
    if not rows:
        raise InputError(f"--data {spec}: {len(images)} images are in one flat folder, without classes; {LAYOUTS}")
    taken = {root + row[0] for row in rows}
    strays = [name for name in images if name not in taken]
    table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    notes = [_note_other_files(others), _note_strays(strays)]
    return Layout(table, root, tuple(note for note in notes if note))


def pool_lone_parts(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """`table` without its split where that has no training part, or nothing beside it; and a line that says so."""
    parts = sorted(set(table["split"]) - {""})
    if not parts or ("train" in parts and len(parts) > 1):
        return table, ""
    return table.assign(split=""), f"the data have only {' and '.join(parts)}: they are split anew"


def _find_root(images: list[list[str]]) -> str:
    """The folders that merely wrap the others, as a prefix with '/' at its end, or ''."""
    root: list[str] = []
    while True:
        below = [parts for parts in images if parts[: len(root)] == root and len(parts) > len(root) + 1]
        firsts = {parts[len(root)] for parts in below}
        deeper = any(len(parts) > len(root) + 2 for parts in below)
        if len(firsts) != 1 or not deeper or split_of(min(firsts)):
            return "".join(f"{part}/" for part in root)
        root.append(firsts.pop())


def _official_splits(images: list[tuple[str, ...]]) -> dict[str, str]:
    """Folder -> train, val or test, where the first level is made of such folders; else nothing."""
    firsts = {parts[0] for parts in images if len(parts) > 2}
    splits = {name: split_of(name) for name in sorted(firsts) if split_of(name)}
    return splits if "train" in splits.values() or len(splits) == len(firsts) else {}


def _label_level(folders: list[tuple[str, ...]], first: int) -> int:
    """The level of the class folders: `first`, unless only a deeper level is made of emotions (person/happy/*.jpg)."""
    for level in range(first, max(map(len, folders), default=0)):
        if all(class_key(parts[level]) in SYNONYMS for parts in folders if len(parts) > level):
            return level
    return first


def _note_other_files(others: list[str]) -> str:
    if not others:
        return ""
    kinds = Counter(sorted(posixpath.splitext(name)[1].lower() or "no suffix" for name in others)).most_common(5)
    return f"left out {len(others)} files that are not images ({', '.join(f'{kind} {n}' for kind, n in kinds)})"


def _note_strays(strays: list[str]) -> str:
    return f"left out {len(strays)} images outside of the class folders, e.g. {strays[0]}" if strays else ""
