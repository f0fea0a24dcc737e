"""Whether this machine can print the class names: paper and drawn images hold boxes where no font has a character."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

LATIN_END = 0x24F  # every text font has these


def font_note(names: Iterable[str]) -> str:
    """A line about the characters of `names` that no installed font has; empty where there is none."""
    characters = {
        character
        for name in names
        for character in name
        if ord(character) > LATIN_END and unicodedata.category(character)[0] not in "CZM"
    }
    missing = _without_font(characters) if characters else set()
    if not missing:
        return ""
    shown = ", ".join(sorted(missing)[:8]) + (" ..." if len(missing) > 8 else "")
    return (
        f"class names: no font of this machine has {shown}: report.pdf and the images in the notebooks show boxes in "
        "their place; report.html is right wherever its reader has such a font (Debian, Ubuntu: fonts-noto-cjk, "
        "fonts-noto-core)"
    )


def _without_font(characters: set[str]) -> set[str]:
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    missing = set(characters)
    for path in font_manager.findSystemFonts():
        if missing:
            try:
                missing -= set(map(chr, FT2Font(path).get_charmap()))
            except (OSError, RuntimeError):  # a file that is no font, or of a kind that prints nothing here
                continue
    return missing
