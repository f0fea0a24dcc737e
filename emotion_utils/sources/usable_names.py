"""Class names that every table, page and file of a run can hold; others are refused before anything is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from emotion_utils.errors import InputError
from emotion_utils.printable import TURNING
from emotion_utils.sources.split_words import split_of

# Columns that stand beside those of the classes, in predictions.csv and in what `emotion predict` and `video` write.
COLUMNS = frozenset(
    (
        "id", "split", "label", "predicted", "path", "face", "left", "top", "width", "height", "confidence", "reason",
        "found", "search", "time", "frame", "track", "votes", "group", "status", "views",
    )
)  # fmt: skip
REFUSED = {"Cc": "control", "Co": "private-use", "Cs": "half a", "Zl": "line-breaking", "Zp": "line-breaking"}


FORMULA = ("=", "+", "-", "@")  # what begins so is computed, or run, by the spreadsheet that opens a table
# A control character and the like in the name of a folder, as `printable` writes it.
_ESCAPED = re.compile(r"\\(?:x([01][0-9a-f]|7f)|u(20(?:2[89a-e]|6[6-9])|d[89a-f][0-9a-f]{2}))")
LONGEST = 255  # characters, as of a folder
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")


def check_names(place: str, names: Iterable[str]) -> None:
    """Raises InputError, beginning with `place`, for a name that no table of results or no font can hold."""
    for name in names:
        name = _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), name)
        if len(name) > LONGEST:
            raise InputError(f"{place}: the class name {name[:20]!a} ... has {len(name):,} characters: rename it")
        if name.casefold() in COLUMNS:
            raise InputError(f"{place}: a class is called {name!r}, as a column of the tables of results is: rename it")
        if split_of(name):
            raise InputError(f"{place}: a class is called {name!r}, which is a word for a split: rename it")
        if name.startswith(FORMULA) and not NUMBER.fullmatch(name):
            raise InputError(f"{place}: the class name {name!r} begins as the formula of a spreadsheet does: rename it")
        for character in name:
            if kind := "direction-turning" if character in TURNING else REFUSED.get(unicodedata.category(character)):
                raise InputError(
                    f"{place}: the class name {name!a} holds the {kind} character U+{ord(character):04X}, "
                    "which no font prints: rename it"
                )
