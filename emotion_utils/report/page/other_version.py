"""A page that another version of the program wrote: nothing in it may run, load or hide, whatever its words are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise

from emotion_utils.errors import EmotionError
from emotion_utils.report.page.page_tables import squeeze_text
from emotion_utils.report.page.same_page import Piece
from emotion_utils.report.references import URLS

# SHA-256 of every script and style sheet that a version wrote into its pages, without the blanks around it. One that
# is changed is added (a test says so), and those before it stay: their reports are still to be read.
SCRIPTS = ("9affe832818aa67f", "c550356f87b8fd8b", "2dbe98c594335330")
STYLES = (
    "a7ad3434cc014efa", "a256eb56857aa573", "e233a10aa2c10cae", "359642dfe0a40111", "0c074c459dd418cc",
    "a3f834c58994a8c6", "7dc406013ce374c1", "e81f60faa76612bb",
)  # fmt: skip
DIGITS = 16
# Beside what this version uses: what earlier ones did.
EARLIER = {
    ("td", "colspan"), ("th", "valign"), ("svg", "xmlns:xlink"), ("path", "/"), ("use", "/"), ("g", "/"), ("rect", "/"),
    ("image", "/"),
}  # fmt: skip
INLINE = re.compile(r"--width:\d+px|text-align: right;?")
LINK = re.compile(r"#[^\s]*|(?:notebooks/)?[\w.-]+\.html|report\.pdf|\.\./report\.html|data:image/[\w+;=,/ ]*")
SHAPES, WORDS = ("path", "use", "rect", "image", "stop"), ("svg", "g", "text", "tspan")  # of drawings
SAID = re.compile(r"title|alt|content|aria-.*|data-.*")  # attributes that are words
HIDDEN = re.compile(
    r"display|visibility|clip|(?<!-)opacity:\s*0*(?:\.0\d*)?\s*(?:;|$)|"
    r"(?:^|;)\s*font(?:-size)?:\s*(?:[a-z]+ )?0*[0-3]?(?:\.\d+)?px"
)  # fmt: skip


def digest(text: str) -> str:
    """What SCRIPTS and STYLES list of a script or a style sheet."""
    return sha256(text.strip().encode()).hexdigest()[:DIGITS]


def refuse_strange(pieces: Sequence[Piece], ours: Sequence[Piece]) -> None:
    """Raises EmotionError that quotes the first thing in a page that may run, load, lead away or hide.

    `ours` is the page as this version makes it: the page may be made of the same kinds of elements and attributes.
    """
    known = {pair for piece in _flatten(ours) for pair in _pairs(piece)} | EARLIER
    for piece, after in pairwise([*_flatten(pieces), Piece("text", "")]):
        follows = after.value if after.kind == "text" else ""
        fault = next(_find_faults(piece, follows, known), None)
        if fault:
            raise EmotionError(f"{fault} that no version of this project writes: {str(piece)[:120]!r}")


def _find_faults(piece: Piece, follows: str, known: set[tuple[str, str]]) -> Iterator[str]:
    if piece.kind == "element":
        if not _pairs(piece) <= known:
            yield "an element or attribute"
        for kind, listed in (("script", SCRIPTS), ("style", STYLES)):
            if piece.value == kind and digest(follows) not in listed:
                yield f"a {kind} ({follows.strip()[:60]!r})"
        yield from _find_bad_values(piece)
    elif piece.kind not in ("end", "text") and piece != Piece("declaration", "doctype html"):
        yield f"a {piece.kind}"


def _find_bad_values(piece: Piece) -> Iterator[str]:
    for name, value in piece.attributes:
        given = value or ""
        if name in ("href", "src", "xlink:href") and not (LINK.fullmatch(given) or given in URLS):
            yield "a link to elsewhere"
        bad = HIDDEN.search(given) if piece.value in WORDS else not INLINE.fullmatch(given)
        if name == "style" and piece.value not in SHAPES and bad:
            yield "a style"
        if name == "http-equiv" and given != "Content-Security-Policy":
            yield "an instruction to the browser"
        if name == "class" and "skip" in given.split() and piece.value != "a":
            yield "a style"


def _flatten(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, those of each drawing in its place."""
    for piece in pieces:
        yield from piece.within or (piece,)


def _pairs(piece: Piece) -> set[tuple[str, str]]:
    """An element with each of its attributes, and without."""
    names = ["", *(name for name, _ in piece.attributes)] if piece.kind == "element" else []
    return {(piece.value, name) for name in names}


def other_words(pieces: Sequence[Piece], ours: Sequence[Piece], compared: str) -> list[str]:
    """The texts of a page, for the eye and for the ear, that this version's page does not have.

    `compared` is text without blanks that was compared already: the sentences and the cells of tables.
    """
    here = Counter(_texts(ours))
    more = Counter(_texts(pieces)) - here
    return [text for text in more if squeeze_text(text) not in compared]


def _texts(pieces: Iterable[Piece]) -> Iterator[str]:
    before = Piece("text", "")
    for piece in _flatten(pieces):
        if piece.kind == "text" and before.value not in ("script", "style"):
            yield piece.value
        before = piece
        yield from (value or "" for name, value in piece.attributes if SAID.fullmatch(name))
