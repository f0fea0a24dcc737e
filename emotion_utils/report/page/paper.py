"""What report.pdf lacks of report.html, and what it alone has: lines, and whatever would do something. No torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.files import read_bytes
from emotion_utils.report.page.reread import UNSEEN, PageText, find_faults, squeeze
from emotion_utils.report.references import URLS

MOST_PAPER_BYTES = 512 << 20
MOST_OBJECTS = 1_000_000  # a report of a hundred pages has 20,000
LEADER = re.compile(r"\.+\d+$")  # of the contents: dots and the number of a page
LINK = re.compile(r"notebooks/[\w.-]+\.html")
SHORT, WHOLE = 2, 8  # letters: lines that spell other words one below the other; a line that goes on in a short one
LEADING = ("/GoTo", "/URI")  # what a link or a bookmark may do
# What no printed page has anywhere: that something is done as it is opened, files in it, forms, media.
DOING = {
    "/AA", "/AcroForm", "/AF", "/EF", "/EmbeddedFile", "/EmbeddedFiles", "/Filespec", "/GoTo3DView", "/GoToE", "/GoToR",
    "/Hide", "/ImportData", "/JavaScript", "/JS", "/Launch", "/Movie", "/Named", "/OpenAction", "/PA", "/Rendition",
    "/ResetForm", "/RichMedia", "/RichMediaExecute", "/SetOCGState", "/Sound", "/SubmitForm", "/Thread", "/XFA",
}  # fmt: skip


@dataclass(frozen=True)
class Paper:
    """What a PDF says, and what in it would do something: scripts, attached files, forms, links that lead elsewhere."""

    lines: list[str]
    actions: list[str]
    sheets: int


def read_paper(pdf: Path) -> Paper:
    """Raises InputError where the file is no PDF."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    read_bytes(pdf, MOST_PAPER_BYTES)
    try:
        paper = PdfReader(pdf)
        actions = list(_find_actions(paper))
        sheets = [sheet.extract_text().splitlines() for sheet in paper.pages]
        return Paper([line for lines in sheets for line in lines], actions, len(sheets))
    except (PyPdfError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{pdf}: not a PDF as this project writes it ({str(error)[:120]})") from None


def find_additions(page: PageText, paper: Paper) -> Iterator[str]:
    """What `paper` holds and the `page` does not, as words for a message.

    Lines with letters of scripts that run from right to left are left out: paper has them in another order.
    """
    yield from paper.actions
    yield from (_quote(line) for line, is_garbled in _find_lines(page, paper) if not is_garbled)


def find_garbled(page: PageText, paper: Paper) -> Iterator[str]:
    """Lines of `paper` that no line of the `page` is for their letters beyond ASCII alone, which a font may lack."""
    yield from (_quote(line) for line, is_garbled in _find_lines(page, paper) if is_garbled)


def _find_lines(page: PageText, paper: Paper) -> Iterator[tuple[str, bool]]:
    """Each line of `paper` that the `page` does not have, and whether this is due to letters beyond ASCII alone."""
    heads = {_fold(page.title + heading) for heading in page.sections} | {_fold(f"{page.title} Contents")}
    numbers = {str(number + 1) for number in range(paper.sheets)}
    said, entries, words = _fold(page.text), list(map(_fold, page.headings)), {*map(_fold, page.words)}
    ascii_said, before = _leave_ascii(said), ""
    for line in paper.lines:
        text, parts = _fold(line), {*map(_fold, line.split())} - {""}
        entry = LEADER.sub("", text)
        is_there = text in said
        if max(map(len, parts), default=0) <= SHORT:
            is_there &= parts <= words or (len(before) >= WHOLE and before + text in said)
        if len(entry) > SHORT:
            is_there |= any(heading.endswith(entry) for heading in entries)
        if not is_there and text not in heads and text not in numbers and not _runs_left(line):
            short = len(text) <= SHORT
            yield line, not text.isascii() if short else _leave_ascii(text) in ascii_said
        before = text


def find_lack(page: PageText, paper: Paper) -> str | None:
    """The first heading, name of a figure or table, or numeral of the `page` that `paper` lacks, in words."""
    names = [caption.split(".")[0] for caption in page.captions]
    return next(find_faults(page, names, squeeze("".join(paper.lines))), None)


def _find_actions(paper: Any) -> Iterator[str]:
    for entries in _walk(paper):
        yield from sorted(DOING & {*entries, *(value for value in entries.values() if isinstance(value, str))})
        uri, action = (entries.get(key) for key in ("/URI", "/A"))
        action = action.get_object() if action is not None else None
        if uri is not None and not (LINK.fullmatch(str(uri)) or uri in URLS):
            yield f"/URI {uri}"
        if isinstance(action, dict) and action.get("/S", LEADING[0]) not in LEADING:
            yield f"/A {action['/S']}"
        if "/S" in entries and "/Next" in entries:  # bookmarks have the latter alone
            yield f"{entries['/S']} /Next"
    for sheet in paper.pages:
        kinds = [note.get_object().get("/Subtype") for note in sheet.get("/Annots") or []]
        yield from (f"{kind} in place of a link" for kind in kinds if kind != "/Link")


def _walk(paper: Any) -> Iterator[Any]:
    """Every dictionary of a PDF, whether anything leads to it or not. Raises ValueError where it has too many."""
    from pypdf.generic import IndirectObject

    numbers = {(number, version) for version, places in paper.xref.items() for number in places}
    numbers |= {(number, 0) for number in paper.xref_objStm}
    if len(numbers) > MOST_OBJECTS:
        raise ValueError(f"more than {MOST_OBJECTS:,} objects")
    for item in (paper.trailer, *(IndirectObject(*each, paper).get_object() for each in sorted(numbers))):
        waiting = [item]
        while waiting:
            held = waiting.pop()
            if isinstance(held, dict):
                yield held
                waiting += held.values()
            elif isinstance(held, list):
                waiting += held


def _quote(line: str) -> str:
    return f"the line {' '.join(line.split())[:120]!r}"


def _leave_ascii(text: str) -> str:
    return text.encode("ascii", "ignore").decode()


def _fold(text: str) -> str:
    """Text without blanks, bullets and capitals, which paper has otherwise."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("•", "")
    return "".join(letter for letter in text if not letter.isspace() and letter not in UNSEEN)


def _runs_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
