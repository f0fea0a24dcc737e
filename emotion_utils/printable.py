"""Names that came with the data or the machine, as a terminal, a log and a page can show them: one function for all."""

from __future__ import annotations

import re
import shlex
import unicodedata

# Control characters (the escape codes of terminals among them), halves of characters, breaks of lines and paragraphs,
# and what turns the direction of writing for all that follows.
UNSHOWN = ("Cc", "Cs", "Zl", "Zp")
HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # the others stand for bytes of a file name
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


LONGEST_WORD = 300  # characters that no space or / interrupts; names of files have 255 bytes at most
LONGEST_MESSAGE = 3000


def shorten(message: str) -> str:
    """`message` without the middle of what it quotes at length: a number of thousands of digits, a row of pixels."""
    message = re.sub(rf"[^\s/]{{{LONGEST_WORD},}}", lambda word: _cut(word[0], 60), message)
    return _cut(message, LONGEST_MESSAGE // 2 - 50) if len(message) > LONGEST_MESSAGE else message


def _cut(text: str, kept: int) -> str:
    return f"{text[:kept]} ... ({len(text) - 2 * kept:,} characters) ... {text[-kept:]}"


def printable(text: str) -> str:
    """`text` with bytes that are no UTF-8, control characters and the like written as \\xNN or \\uNNNN."""
    if text.isascii() and text.isprintable():
        return text
    text = (
        HALVES.sub(lambda half: _escape(half[0]), text)
        .encode("utf-8", "surrogateescape")
        .decode("utf-8", "backslashreplace")
    )
    return "".join(map(_escape, text))


def shell_word(path: object) -> str:
    """`path` as a word of a command that a person copies: in quotes where it has spaces, in bash's where it has more
    than can be shown."""
    text = str(path)
    if printable(text) == text:
        return shlex.quote(text)
    escaped = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{printable(escaped)}'"


def count_of(number: int, noun: str) -> str:
    """1 image, 2,000 images, 1 class, 0 classes."""
    ending = "" if number == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{number:,} {noun}{ending}"


def _escape(character: str) -> str:
    if unicodedata.category(character) not in UNSHOWN and character not in TURNING:
        return character
    return (
        character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else f"\\x{ord(character):02x}"
    )
