"""Folders whose names say that they are no classes: those of persons, videos, dates, and parts of the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from emotion_utils.errors import InputError
from emotion_utils.sources.class_names import is_emotion
from emotion_utils.sources.levels import MAX_CLASSES, name_some
from emotion_utils.sources.split_words import has_person_word, has_split_word, is_fold, level_word

_DATE = re.compile(r"(?:19|20)\d\d(?:[-_. ]?[01]\d(?:[-_. ]?[0-3]\d)?)?|[0-3]?\d[-_. ][0-3]?\d[-_. ](?:19|20)\d\d")
_NUMBERED = re.compile(r"([a-z]{1,2})[-_ ]?\d+")  # S005, p 3
# What is done to all of the data, kept apart for a search, or counted when images are taken.
_PARTS = frozenset(level_word(
    "original originals orig augmented augmentation augmentations aug labeled labelled unlabeled unlabelled annotated "
    "unannotated query queries gallery probe probes flipped mirrored rotated resized cropped uncropped aligned "
    "unaligned processed preprocessed unprocessed session sessions day week month camera cam take scene trial visit "
    "episode round recording"
).split())  # fmt: skip
_CLASS_WORDS = frozenset(("class", "label", "emotion", "expression"))  # class1 is one, whatever it means
_WORD = re.compile(r"[^\W\d_]+")


def refuse_no_classes(spec: str, classes: Sequence[str], paths: Iterable[str], are_chosen: bool) -> None:
    """Raises InputError where the folders that would be `classes` have names of something else.

    A name with a word for a split at its beginning or end is never a class. Names that are all those of persons,
    videos, dates or parts of the data are none either, unless the person has chosen them. `paths` are of the images.
    """
    if parts := [name for name in classes if has_split_word(name)]:
        raise InputError(
            f"--data {spec}: {name_some(parts)} would be {'a class' if len(parts) == 1 else 'classes'}, and the name "
            "says a part of the data: rename each to train, val or test and put the classes into it, as in "
            "train/happy, or name it otherwise if it is a class"
        )
    words = (word for name in classes for word in (name, *_WORD.findall(level_word(name))))
    if are_chosen or len(classes) < 2 or any(map(is_emotion, words)) or not _are_no_classes(classes):
        return
    named = next((path for path in paths if any(map(is_emotion, _WORD.findall(level_word(_base(path)))))), "")
    where = f"files are named after classes, e.g. {named}: move each into a folder of its class" if named else (
        "put the images into a folder for each class, as in happy/1.jpg, or write a CSV with the columns path, label"
    )  # fmt: skip
    chosen = f"add --classes {','.join(classes)}" if len(classes) <= MAX_CLASSES else "choose some with --classes"
    raise InputError(
        f"--data {spec}: the {len(classes)} classes would be the folders {name_some(list(classes))}, which are named "
        f"after persons, videos, dates or parts of the data; {where}; if they are the classes all the same, {chosen}"
    )


def _are_no_classes(names: Sequence[str]) -> bool:
    """Whether all names are of persons, videos, dates or parts; S005 is a person's where others begin with S too."""
    letters = [match[1] for name in names if (match := _NUMBERED.fullmatch(name.casefold()))]
    return all(
        has_person_word(name)
        or (is_fold(name) and _CLASS_WORDS.isdisjoint(_WORD.findall(level_word(name))))
        or _DATE.fullmatch(name)
        or ((words := _WORD.findall(level_word(name))) and _PARTS.issuperset(words))
        or ((match := _NUMBERED.fullmatch(name.casefold())) and letters.count(match[1]) > 1)
        for name in names
    )


def _base(path: str) -> str:
    return path.rpartition("/")[2]
