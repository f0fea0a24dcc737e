"""Which images show the same person (or come from one video): a column, the names of files or folders, or nothing.

No torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from unicodedata import normalize

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.sources.class_names import class_key

MIN_GROUPS = 10  # fewer names than this are more likely parts of the data than persons
MAX_GROUP_SHARE = 1 / 3  # "many small groups": a name on more of the images than this is more likely a prefix
GENERIC_WORDS = {
    "aligned", "aug", "augmented", "capture", "crop", "cropped", "data", "dataset", "dev", "face", "faces", "fer",
    "file", "flip", "flipped", "frame", "frames", "image", "images", "img", "im", "jpeg", "jpg", "photo",
    "photos", "pic", "pics", "picture", "pictures", "png", "private", "privatetest", "public", "publictest",
    "resized", "sample", "samples", "screenshot", "snapshot", "test", "testing", "train", "training", "untitled",
    "val", "valid", "validation", "video", "videos", "webcam",
}  # fmt: skip
_NUMBER = r"(?:[ _.\-]*\(\d+\)|[ _.\-]+\d+)"
# What is cut off a name, from much to little: S010_004_017 is person S010, but person_012_003 is person_012.
_ENDINGS = (re.compile(rf"{_NUMBER}+$"), re.compile(rf"{_NUMBER}$"), re.compile(r"(?<=[^\W\d_]{2})\d+$"))

NUMBERED_SHARE = 0.9  # of the files: with so many of these names nobody is named
_NUMBERED = re.compile(r"(?:^|/)[^\W\d_]*[ _\-]?\(?\d+\)?\.\w+$")


def find_groups(table: pd.DataFrame, rule: str = "auto") -> tuple[pd.Series, str]:
    """The group of each row of `table` (columns path, label, group), and one line for a person on what was taken.

    `rule` is one of
    - auto: the column `group` where the data fills it; else names in file names, then names of folders below or above
      the classes, where they give many small groups;
    - none;
    - a regular expression, searched in each path, whose first group in parentheses names the person.

    A row without a group gets "". Raises InputError for an expression that cannot be used.
    """
    if rule == "none":
        return _no_groups(table), "no groups: every image stands for itself"
    if rule != "auto":
        return _by_expression(table["path"], rule)
    given = table["group"].fillna("").astype(object)
    if (given != "").any():
        return given, _describe("the data name", given)
    class_keys = {class_key(label) for label in table["label"].unique()}
    paths = table["path"].to_numpy(dtype=object)  # a column of pandas is many times slower to walk through
    before = [_read_before_class(path, class_keys) for path in paths]
    for origin, readings in (
        ("file names", [before]), ("file names", _read_file_names(paths)), ("folder names", _read_folders(paths)),
    ):  # fmt: skip
        for names in readings:
            groups = _without_generic(_column(names, table.index), class_keys)
            if _many_small(groups):
                return groups, _describe(f"{origin} give", groups)
    line = "no groups: neither the data, nor file names, nor folders name persons"
    if len(paths) and sum(_NUMBERED.search(path) is not None for path in paths) >= NUMBERED_SHARE * len(paths):
        line += (
            f"; the files are only numbered (e.g. {paths[0]}), so if few people posed for many, one person is in "
            "several splits and the test is too easy: name the persons with --set group or a column person"
        )
    return _no_groups(table), line


def _by_expression(paths: pd.Series, rule: str) -> tuple[pd.Series, str]:
    try:
        expression = re.compile(rule)
    except re.error as error:
        raise InputError(
            f"group={rule!r} is not a regular expression ({error}); correct it, or use auto or none"
        ) from None
    if not expression.groups:
        raise InputError(f"group={rule!r} needs parentheses around the part of the path that names the person")
    matches = (expression.search(path) for path in paths)
    groups = _column(((match[1] or "") if match else "" for match in matches), paths.index)
    if len(groups) and (groups == "").all():
        raise InputError(f"group={rule!r} names nobody in any path, such as {paths.iloc[0]!r}; correct it, or use auto")
    return groups, _describe(f"the expression {rule!r} gives", groups)


def _read_file_names(paths: Sequence[str]) -> Iterator[Iterable[str]]:
    """What stands before a number at the end of each file's name, in several ways; "" where there is no number."""
    stems = [path.rpartition("/")[2].rpartition(".")[0] for path in paths]
    for ending in _ENDINGS:
        yield (name if (name := ending.sub("", stem)) != stem else "" for stem in stems)


def _read_before_class(path: str, class_keys: set[str]) -> str:
    """What stands before the name of a class within a file's name: s01 of s01_happy_3.png; "" where none does.

    A bare number is no person: it may count the images of each class anew.
    """
    words = re.split(r"[\W_]+", path.rpartition("/")[2])
    place = next((at for at, word in enumerate(words) if class_key(word) in class_keys), 0)
    name = "_".join(words[:place])
    return "" if not re.sub(r"[\d_]", "", name) or re.sub(r"[\d_]", "", name).casefold() in GENERIC_WORDS else name


def _read_folders(paths: Sequence[str]) -> Iterator[Iterable[str]]:
    """The folder of each path, level by level from the top: angry/Tony_Blair/1.jpg, Tony_Blair/angry/1.jpg."""
    folders = [path.split("/")[:-1] for path in paths]
    for level in range(max(map(len, folders), default=0)):
        yield (names[level] if level < len(names) else "" for names in folders)


def _column(names: Iterable[str], index: pd.Index) -> pd.Series:
    """In one Unicode form, and each name in memory once."""
    seen: dict[str, str] = {}
    return pd.Series([seen.setdefault(n, n) for n in (normalize("NFC", name) for name in names)], index, dtype=object)


def _without_generic(names: pd.Series, class_keys: set[str]) -> pd.Series:
    """A name of nothing but generic words and class names names nobody; with a number in it (video_07) it does."""

    def is_generic(name: str) -> bool:
        words = [word for word in re.split(r"[\W_]+", name) if word]
        return all(word.casefold() in GENERIC_WORDS or class_key(word) in class_keys for word in words)

    generic = {name for name in names.unique() if class_key(name) in class_keys or is_generic(name)}
    return names.where(~names.isin(generic), "")


def _many_small(groups: pd.Series) -> bool:
    counts = groups[groups != ""].value_counts()
    return len(counts) >= MIN_GROUPS and 2 <= counts.iloc[0] <= MAX_GROUP_SHARE * len(groups)


def _no_groups(table: pd.DataFrame) -> pd.Series:
    return pd.Series("", index=table.index, dtype=object)


def _describe(origin: str, groups: pd.Series) -> str:
    counts = groups[groups != ""].value_counts()
    if counts.empty:
        return f"{origin} no persons"
    largest = min(counts.index[counts == counts.iloc[0]])
    alone = int((groups == "").sum())
    line = f"{origin} {_count(len(counts), 'person')}, e.g. {largest} with {_count(int(counts.iloc[0]), 'image')}"
    return line + (f"; {_count(alone, 'image')} name{'s' if alone == 1 else ''} nobody" if alone else "")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
