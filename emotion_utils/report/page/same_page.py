"""Whether two pages are the same to a browser: each element, attribute, text, script, style, drawing. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import unescape
from html.entities import html5
from itertools import takewhile, zip_longest
from typing import NamedTuple

# What this project writes and every parser reads alike: names and blanks are ASCII, values have quotes. Whatever else a
# page holds is kept as it is: what one parser takes for the end of a script, another does not.
MARKUP = re.compile(
    r"(?P<text>[^<]+)|</(?P<end>[A-Za-z][A-Za-z0-9-]*)>|<!(?P<declaration>DOCTYPE html)>|"
    r"<(?P<start>[A-Za-z][A-Za-z0-9-]*)"
    r'(?P<given>(?:[ \t\n\r\f]+[A-Za-z_][A-Za-z0-9_:.-]*(?:="[^"]*")?)*)[ \t\n\r\f]*(?P<slash>/?)>|'
    r"<[^>]*>?"
)
ATTRIBUTE = re.compile(r'([^\s="]+)(?:="([^"]*)")?')
RAW = {  # elements that hold no other ones, and all that may be in them
    "title": re.compile(r"[^<]*"),
    **{name: re.compile(rf"(?:(?!</?{name}|<!--).)*", re.DOTALL | re.I | re.A) for name in ("script", "style")},
}
REFERENCE = re.compile(r"&(#?[A-Za-z0-9]*;?)")  # to a character
NUMERIC = re.compile(r"#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6});")
UNREAD = "that not every browser reads alike"
BLANKS = re.compile(r"[ \t\n\r\f]+")
HEADINGS = ("h1", "h2", "h3")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
ROUNDED = 0.02  # px; drawings are written with two decimals
COORDINATES = (
    "d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "ry", "width", "height", "points", "viewbox",
)  # fmt: skip
MOVED = re.compile(r"(translate|rotate)\(([^()]*)\)")  # of a transform; what a scale has are no coordinates
SHOWN = 120  # characters of a piece that a message quotes


class Piece(NamedTuple):
    """What follows next in a page: an element begins or ends, a text, or anything else that a page can hold."""

    kind: str  # element, end, text, drawing, declaration, or what no page of this project holds
    value: str  # the element's name, or the text
    attributes: tuple[tuple[str, str | None], ...] = ()  # sorted; one that is given twice is there twice
    within: tuple[Piece, ...] = ()  # a drawing's own pieces

    def __str__(self) -> str:
        if self.kind == "element":
            given = (name if value is None else f'{name}="{value}"' for name, value in self.attributes)
            return f"<{' '.join([self.value, *given])}>"
        return f"</{self.value}>" if self.kind == "end" else self.value


def read_pieces(page: str) -> list[Piece]:
    """All that `page` holds, in its order; blanks count as one, and a drawing (<svg>) is one piece."""
    texts = (piece._replace(value=piece.value.strip()) if piece.kind == "text" else piece for piece in _read(page))
    return _gather_drawings(_join_code([piece for piece in texts if piece.kind != "text" or piece.value]))


def _read(page: str) -> Iterator[Piece]:
    place = 0
    while found := MARKUP.match(page, place):
        place, element = found.end(), (found["start"] or "").lower()
        yield _read_one(found)
        if element in RAW:
            within = RAW[element].match(page, place)[0]
            place += len(within)
            yield _read_text(within) if element == "title" else Piece("text", within)  # of a script, every byte counts
            if page[place : place + len(element) + 3].lower() != f"</{element}>":
                yield Piece(f"{element} {UNREAD}", page[place : place + SHOWN])


def _read_one(found: re.Match[str]) -> Piece:
    if found["text"]:
        return _read_text(found["text"])
    if found["end"]:
        return Piece("end", found["end"].lower())
    if found["declaration"]:
        return Piece("declaration", found["declaration"].lower())
    if found["start"] and _are_read_alike(found["given"]):
        given = [(each[1].lower(), each[2] and unescape(each[2])) for each in ATTRIBUTE.finditer(found["given"])]
        ends = [("/", None)] * bool(found["slash"])  # which a browser heeds in drawings alone
        return Piece("element", found["start"].lower(), tuple(sorted(given, key=lambda pair: pair[0]) + ends))
    return Piece(f"tag {UNREAD}", found[0])


def _read_text(text: str) -> Piece:
    return Piece("text", BLANKS.sub(" ", unescape(text))) if _are_read_alike(text) else Piece(f"text {UNREAD}", text)


def _are_read_alike(text: str) -> bool:
    """Whether each reference in `text` ends where it must and leads to a character that can be seen, or a blank."""
    return "\0" not in text and all(map(_is_read_alike, REFERENCE.findall(text)))


def _is_read_alike(reference: str) -> bool:
    if not NUMERIC.fullmatch(reference):
        return not reference or (reference[-1] == ";" and reference in html5)
    character = unescape(f"&{reference}")  # none where HTML has no such character
    return character in ("\t", "\n") or " " <= character <= "~" or character >= "\xa0"


@cache
def _colours() -> set[str]:
    """The classes that the highlighter gives to the words of code."""
    from pygments.token import STANDARD_TYPES

    return {*STANDARD_TYPES.values()}


def _join_code(pieces: list[Piece]) -> list[Piece]:
    """Without the spans that colour the words of code: which word has which colour is the highlighter's affair."""
    joined, colours, is_code, inside = [], [], False, False
    for piece in pieces:
        if piece.value == "details" and piece.kind in ("element", "end"):
            is_code, inside = piece.attributes == (("class", "code"),), False
        if piece.value == "pre" and piece.kind in ("element", "end"):
            colours, inside = [], is_code and piece.kind == "element"
        if inside and piece.value == "span" and piece.kind in ("element", "end"):
            plain = piece.kind == "element" and _only_colours(piece)
            colours += [plain] if piece.kind == "element" else []
            if plain or (piece.kind == "end" and colours and colours.pop()):
                continue
        last = joined[-1] if joined else None
        if inside and piece.kind == "text" and last and last.kind == "text":
            joined[-1] = Piece("text", f"{last.value} {piece.value}")
        else:
            joined.append(piece)
    return joined


def _only_colours(span: Piece) -> bool:
    return not span.attributes or (
        [name for name, _ in span.attributes] == ["class"] and span.attributes[0][1] in _colours()
    )


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
        kept = []
        for name, value in piece.attributes:
            if name in COORDINATES and value:
                places.append(value)
                value = None
            elif name == "transform" and value:
                places += [where for _, where in MOVED.findall(value)]
                value = MOVED.sub(r"\1", value)
            kept.append((name, value))
        fixed.append(piece._replace(attributes=tuple(kept)))
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
