"""Whether two pages are the same to a browser: each element, attribute, text, script, style, drawing. No torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import takewhile, zip_longest
from typing import NamedTuple

# A start tag that every parser reads alike; others (unquoted values, a slash between attributes) are kept as they are.
PLAIN = re.compile(r'<[A-Za-z][\w:-]*(?:\s+[\w:.-]+(?:\s*=\s*"[^"]*")?)*\s*/?>')
BLANKS = re.compile(r"[ \t\n\r\f]+")
HEADINGS = ("h1", "h2", "h3")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
ROUNDED = 0.02  # px; drawings are written with two decimals
COORDINATES = (
    "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points", "transform",
    "viewbox",
)  # fmt: skip
SHOWN = 120  # characters of a piece that a message quotes


class Piece(NamedTuple):
    """What follows next in a page: an element begins or ends, a text, or anything else that a page can hold."""

    kind: str  # element, end, text, drawing, or what a page of this project does not hold: comment, declaration ...
    value: str  # the element's name, or the text
    attributes: tuple[tuple[str, str | None], ...] = ()  # sorted; one that is given twice is there twice
    within: tuple[Piece, ...] = ()  # a drawing's own pieces

    def __str__(self) -> str:
        if self.kind == "element":
            given = (name if value is None else f'{name}="{value}"' for name, value in self.attributes)
            return f"<{' '.join([self.value, *given])}>"
        return f"</{self.value}>" if self.kind == "end" else self.value


class _Reader(HTMLParser):
    """Gathers the pieces of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Piece] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raw = self.get_starttag_text() or ""
        if PLAIN.fullmatch(raw):
            ends = [("/", None)] * raw.endswith("/>")  # which a browser heeds in drawings alone
            self.pieces.append(Piece("element", tag, tuple(sorted(attrs, key=lambda pair: pair[0]) + ends)))
        else:
            self.pieces.append(Piece("tag that not every browser reads alike", raw))

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append(Piece("end", tag))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # not within a script or a style, whose every byte counts
            data = BLANKS.sub(" ", data)
        last = self.pieces[-1] if self.pieces else None
        if last and last.kind == "text":  # the parser hands a text over in parts
            self.pieces[-1] = Piece("text", last.value + data)
        else:
            self.pieces.append(Piece("text", data))

    def handle_comment(self, data: str) -> None:
        self.pieces.append(Piece("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.pieces.append(Piece("declaration", decl.lower()))

    def handle_pi(self, data: str) -> None:
        self.pieces.append(Piece("instruction", data))

    def unknown_decl(self, data: str) -> None:
        self.pieces.append(Piece("declaration", data))


def read_pieces(page: str) -> list[Piece]:
    """All that `page` holds, in its order; blanks count as one, and a drawing (<svg>) is one piece."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    texts = [piece._replace(value=piece.value.strip()) if piece.kind == "text" else piece for piece in reader.pieces]
    return _gather_drawings(_join_code([piece for piece in texts if piece.kind != "text" or piece.value]))


def _join_code(pieces: list[Piece]) -> list[Piece]:
    """Without the spans that colour the words of code: which word has which colour is the highlighter's affair."""
    joined, colours, inside = [], [], False
    for piece in pieces:
        if piece.kind == "element" and piece.value == "details":
            inside = ("class", "code") in piece.attributes
        if inside and piece.value == "span" and piece.kind in ("element", "end"):
            plain = piece.kind == "element" and [name for name, _ in piece.attributes] in ([], ["class"])
            colours += [plain] if piece.kind == "element" else []
            if plain or (piece.kind == "end" and colours and colours.pop()):
                continue
        last = joined[-1] if joined else None
        if inside and piece.kind == "text" and last and last.kind == "text":
            joined[-1] = Piece("text", f"{last.value} {piece.value}")
        else:
            joined.append(piece)
    return joined


def _gather_drawings(pieces: list[Piece]) -> list[Piece]:
    """Each <svg> with all that is in it as one piece."""
    gathered: list[Piece] = []
    drawing: list[Piece] = []
    depth = 0
    for piece in pieces:
        depth += piece.kind == "element" and piece.value == "svg"
        (drawing if depth else gathered).append(piece)
        if depth and piece.kind == "end" and piece.value == "svg":
            depth -= 1
            if not depth:
                gathered.append(Piece("drawing", "<svg>", drawing[0].attributes, tuple(drawing)))
                drawing = []
    return gathered + drawing


def find_difference(theirs: Sequence[Piece], ours: Sequence[Piece], *, same_drawings: bool = True) -> str | None:
    """The first thing in which two pages differ, as words for a message; None where they are the same.

    Without `same_drawings`, drawings may have other lines, but not other words or other kinds of elements.
    """
    for number, (their, our) in enumerate(zip_longest(theirs, ours)):
        if their != our and not (their and our and _same_drawing(their, our, by_lines=same_drawings)):
            return f"near {_name_heading(theirs[:number])}, {_quote(their, our)}"
    return None


def _name_heading(pieces: Sequence[Piece]) -> str:
    """The last heading of `pieces`, as words for a message."""
    starts = [n for n, piece in enumerate(pieces) if piece.kind == "element" and piece.value in HEADINGS]
    if not starts:
        return "its beginning"
    heading = takewhile(lambda piece: piece != Piece("end", pieces[starts[-1]].value), pieces[starts[-1] :])
    return repr(" ".join(piece.value for piece in heading if piece.kind == "text"))


def same_lines(their: Piece, our: Piece) -> bool:
    """Whether all is the same but for coordinates of a drawing that another processor rounds differently."""
    (fixed, places), (our_fixed, our_places) = (_part_coordinates(drawing) for drawing in (their, our))
    if fixed != our_fixed or [NUMBER.split(each) for each in places] != [NUMBER.split(each) for each in our_places]:
        return False
    numbers = [[float(n) for each in values for n in NUMBER.findall(each)] for values in (places, our_places)]
    return all(abs(a - b) <= ROUNDED for a, b in zip(*numbers, strict=True))


def _part_coordinates(drawing: Piece) -> tuple[list[Piece], list[str]]:
    """A drawing's pieces without the values of their coordinates, and these values."""
    fixed, places = [], []
    for piece in (drawing._replace(within=()), *drawing.within):
        given = piece.attributes
        places += [value for name, value in given if name in COORDINATES and value]
        kept = tuple((name, None if name in COORDINATES and value else value) for name, value in given)
        fixed.append(piece._replace(attributes=kept))
    return fixed, places


def _same_drawing(their: Piece, our: Piece, *, by_lines: bool) -> bool:
    """Whether two drawings are the same or, not `by_lines`, say the same: the same words, for the eye and for the ear,
    from the same kinds of parts."""
    if (their.kind, our.kind) != ("drawing", "drawing"):
        return False
    return same_lines(their, our) if by_lines else _words(their) == _words(our) and _parts(their) <= _parts(our)


def _words(drawing: Piece) -> list[str | None]:
    said = [value for name, value in drawing.attributes if name not in ("width", "height", "viewbox")]
    return said + [piece.value for piece in drawing.within if piece.kind == "text"]


def _parts(drawing: Piece) -> set[tuple[str, str, str]]:
    """Kinds of elements, each with the names of its attributes."""
    parts = {(piece.kind, piece.value, "") for piece in drawing.within if piece.kind != "text"}
    return parts | {(piece.kind, piece.value, name) for piece in drawing.within for name, _ in piece.attributes}


def _quote(their: Piece | None, our: Piece | None) -> str:
    """Both pieces where they begin to differ."""
    if their and our and their.kind == our.kind == "drawing":
        pairs = zip_longest(their.within, our.within)
        return "in a drawing, " + _quote(*next((a, b) for a, b in pairs if a != b))
    theirs, ours = (str(piece) if piece else "nothing" for piece in (their, our))
    start = next((place for place, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), 0)
    start = theirs.rfind(" ", 0, max(0, start - 20)) + 1 if start > SHOWN else 0
    kind = f" (a {their.kind})" if their and their.kind not in ("element", "end", "text") else ""
    return f"{theirs[start:][:SHOWN]!r}{kind} is there, {ours[start:][:SHOWN]!r} follows from the artefacts"
