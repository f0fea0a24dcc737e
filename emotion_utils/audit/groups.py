"""Which images show the same person (or come from one video): a column, the names of files or folders, or nothing.

No torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from unicodedata import normalize

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.class_names import class_key
from emotion_utils.sources.split_words import has_person_word, is_fold, names_person, split_of

MIN_GROUPS = 10  # fewer names than this may be parts of the data, unless they say that they are persons'
MAX_GROUP_SHARE = 1 / 3  # "many small groups": a name on more of the images than this is more likely a prefix
CROSSED_SHARE = 2 / 3  # of all pairs of name and class: s1, s2 ... are persons where each shows nearly every emotion
GENERIC_WORDS = {
    "aligned", "aug", "augmented", "capture", "crop", "cropped", "data", "dataset", "face", "faces", "fer", "file",
    "flip", "flipped", "frame", "frames", "image", "images", "img", "im", "jpeg", "jpg", "photo", "photos", "pic",
    "pics", "picture", "pictures", "png", "resized", "sample", "samples", "screenshot", "snapshot", "untitled",
    "video", "videos", "webcam",
}  # fmt: skip
_NUMBER = r"(?:[ _.\-]*\(\d+\)|[ _.\-]+\d+)"
# What is cut off a name, from much to little: S010_004_017 is person S010, but person_012_003 is person_012.
_ENDINGS = (re.compile(rf"{_NUMBER}+$"), re.compile(rf"{_NUMBER}$"), re.compile(r"(?<=[^\W\d_]{2})\d+$"))
LONGEST_STEM = 255  # characters, as on a disk; in an archive a name may be so long that the search in it takes minutes

NUMBERED_SHARE = 0.9  # of the files: with so many of these names nobody is named
_NUMBERED = re.compile(r"(?:^|/)[^\W\d_]*[ _\-]?\(?\d+\)?\.\w+$")


def find_groups(table: pd.DataFrame, rule: str = "auto") -> tuple[pd.Series, str]:
    """The group of each row of `table` (columns path, label, group), and one line for a person on what was taken.

    `rule` is one of
    - auto: the column `group` where the data fills it; else names of folders or in file names that say that they are
      persons' (subject 3; s3 in nearly every class), or of which there are many with few images each;
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
    readings = [
        *(("folder names", names) for names in _read_folders(paths)),
        ("file names", before),
        *(("file names", names) for names in _read_file_names(paths)),
    ]
    found = [(origin, _without_generic(_column(names, table.index), class_keys)) for origin, names in readings]
    for origin, groups in found:
        if _are_persons(groups, table["label"]):
            return groups, _describe(f"{origin} give", groups)
    for origin, groups in sorted(found, key=lambda reading: reading[0]):  # file names first
        if _many_small(groups):
            return groups, _describe(f"{origin} give", groups)
    line = "no groups: neither the data, nor file names, nor folders name persons"
    if len(paths) and sum(_NUMBERED.search(path) is not None for path in paths) >= NUMBERED_SHARE * len(paths):
        stem = paths[0].rpartition("/")[2].rpartition(".")[0]  # of a table of pixels the row; its path is no file's
        line += f"; the images are only numbered (e.g. {stem})"
    return _no_groups(table), (
        f"{line}; if few people posed for many images, one person is in several splits and the test is too easy: name "
        "the persons with --set group or a column person"
    )


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


def _read_file_names(paths: Sequence[str]) -> Iterator[list[str]]:
    """What stands before a number at the end of each file's name, in several ways; "" where there is no number."""
    stems = [path.rpartition("/")[2].rpartition(".")[0] for path in paths]
    stems = [stem if len(stem) <= LONGEST_STEM else "" for stem in stems]
    for ending in _ENDINGS:
        yield [name if (name := ending.sub("", stem)) != stem else "" for stem in stems]


def _read_before_class(path: str, class_keys: set[str]) -> str:
    """What stands before the name of a class within a file's name: s01 of s01_happy_3.png; "" where none does.

    A bare number is no person: it may count the images of each class anew.
    """
    words = re.split(r"[\W_]+", path.rpartition("/")[2])
    place = next((at for at, word in enumerate(words) if class_key(word) in class_keys), 0)
    name = "_".join(words[:place])
    return "" if not re.sub(r"[\d_]", "", name) or re.sub(r"[\d_]", "", name).casefold() in GENERIC_WORDS else name


def _read_folders(paths: Sequence[str]) -> Iterator[list[str]]:
    """The folder of each path, level by level from the top: angry/Tony_Blair/1.jpg, Tony_Blair/angry/1.jpg."""
    folders = [path.split("/")[:-1] for path in paths]
    for level in range(max(map(len, folders), default=0)):
        yield [names[level] if level < len(names) else "" for names in folders]


def _column(names: Iterable[str], index: pd.Index) -> pd.Series:
    """In one Unicode form, and each name in memory once."""
    seen: dict[str, str] = {}
    return pd.Series([seen.setdefault(n, n) for n in (normalize("NFC", name) for name in names)], index, dtype=object)


def _without_generic(names: pd.Series, class_keys: set[str]) -> pd.Series:
    """A name of nothing but generic words, splits and class names names nobody; with a number (video_07) it does."""

    def is_generic(name: str) -> bool:
        words = [word for word in re.split(r"[\W_]+", name) if word]
        generic = all(word.casefold() in GENERIC_WORDS or class_key(word) in class_keys for word in words)
        return generic or class_key(name) in class_keys or split_of(name) is not None

    return names.where(~names.isin({name for name in names.unique() if is_generic(name)}), "")


def _are_persons(groups: pd.Series, labels: pd.Series) -> bool:
    """Whether the names of nearly all images say that they are persons', however few: subject 3, or s3 in most classes.

    A mere number says so only where it is found in most classes.
    """
    named = groups[groups != ""]
    names = named.unique()
    if len(names) < 2 or len(named) < NUMBERED_SHARE * len(groups):
        return False
    if not all(names_person(name) and not is_fold(name) for name in names):
        return False
    if all(map(has_person_word, names)):
        return True
    pairs = set(zip(named, labels[groups != ""], strict=True))
    return len(pairs) >= max(CROSSED_SHARE * len(names) * labels.nunique(), len(names) + 1)


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
    line = f"{origin} {count_of(len(counts), 'person')}, e.g. {largest} with {count_of(int(counts.iloc[0]), 'image')}"
    return line + (f"; {count_of(alone, 'image')} name{'s' if alone == 1 else ''} nobody" if alone else "")
