"""Class names as people write them: matched without regard to case and to the usual synonyms."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

SYNONYMS: dict[str, tuple[str, ...]] = {
    "angry": ("anger",),
    "contempt": ("contemptuous",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy", "joyful", "hapiness", "happines"),
    "neutral": ("neutrality",),
    "sad": ("sadness",),
    "surprise": ("surprised", "suprise", "suprised"),  # the misspelling is common in published folders
}
# What stands around a name and is no part of it: "0_angry", "Happy faces", "angry 😀". A search begins where such a run
# does, and no character can be read in two ways: names come from anywhere, and may be long.
_SYMBOL = r"[^\w\s\x00-\u200c\u200e-\u206f]"
_AROUND = re.compile(
    rf"^\d+[\W_]+|^[^\w\x00-\u206f]+\s*|(?<!\s)(?<!{_SYMBOL})(?:\s*{_SYMBOL})+$"
    r"|(?<![\W_])[\W_]+(?:faces?|images?|imgs?|pictures?|photos?|emotions?|expressions?|class)$"
)
_CLASS_OF = {word: name for name, words in SYNONYMS.items() for word in (name, *words)}


def class_key(name: str) -> str:
    """What two spellings of one class have in common: synonyms resolved, case and Unicode form levelled."""
    word = unicodedata.normalize("NFC", name).strip().casefold()
    return _CLASS_OF.get(word) or _CLASS_OF.get(_AROUND.sub("", word), word)


def is_emotion(name: str) -> bool:
    """Whether a name is that of a basic emotion, by any usual word."""
    return class_key(name) in SYNONYMS


def match_names(found: Iterable[str]) -> dict[str, str]:
    """Maps each spelling in `found` to its class name.

    A known emotion gets its name in SYNONYMS; of other names that differ only in case the first in sorted order
    stands for all. Numbers are names like any other: which emotion a number means differs between data sets.
    """
    names = sorted(set(found))
    chosen: dict[str, str] = {}
    for name in names:
        key = class_key(name)
        chosen.setdefault(key, key if key in SYNONYMS else name.strip())
    return {name: chosen[class_key(name)] for name in names}


def renaming_note(names: Mapping[str, str]) -> str:
    """One line for a person about the spellings that were changed, and not only in Unicode form, which looks the same;
    empty where none was."""
    changed = [
        f"{name} -> {class_name}"
        for name, class_name in sorted(names.items())
        if unicodedata.normalize("NFC", name) != unicodedata.normalize("NFC", class_name)
    ]
    return f"class names taken as: {', '.join(changed)}" if changed else ""


def unknown_note(classes: Sequence[str]) -> str:
    """One line for a person about classes that are no known emotion beside some that are; empty where none are.

    Words of other languages are among them: which emotion they mean is not guessed.
    """
    unknown = [name for name in classes if not is_emotion(name)]
    if not unknown or not any(map(is_emotion, classes)):
        return ""
    one = len(unknown) == 1
    return (
        f"not among the known words for emotions ({', '.join(SYNONYMS)} and synonyms): {', '.join(unknown)}; "
        f"{'it stays a class of its own' if one else 'they stay classes of their own'}: rename what means another class"
    )
