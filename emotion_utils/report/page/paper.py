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
LEADER = re.compile(r"\.+\d+$")  # of the contents: dots and the number of a page
LINK = re.compile(r"notebooks/[\w.-]+\.html")


@dataclass(frozen=True)
class Paper:
    """What a PDF says, and what in it would do something: scripts, attached files, forms, links that lead elsewhere."""

    lines: list[str]
    actions: list[str]


def read_paper(pdf: Path) -> Paper:
    """Raises InputError where the file is no PDF."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    read_bytes(pdf, MOST_PAPER_BYTES)
    try:
        paper = PdfReader(pdf)
        actions = list(_find_actions(paper))
        return Paper([line for sheet in paper.pages for line in sheet.extract_text().splitlines()], actions)
    except (PyPdfError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{pdf}: not a PDF as this project writes it ({str(error)[:120]})") from None


def find_additions(page: PageText, paper: Paper) -> Iterator[str]:
    """What `paper` holds and the `page` does not, as words for a message.

    Lines with letters of scripts that run from right to left are left out: paper has them in another order.
    """
    yield from paper.actions
    heads = {_fold(page.title + heading) for heading in page.sections} | {_fold(f"{page.title} Contents")}
    said = _fold(page.text)
    for line in paper.lines:
        text = _fold(line)
        if text not in said and text not in heads and LEADER.sub("", text) not in said and not _runs_left(line):
            yield f"the line {' '.join(line.split())[:120]!r}"


def find_lack(page: PageText, paper: Paper) -> str | None:
    """The first heading, name of a figure or table, or numeral of the `page` that `paper` lacks, in words."""
    names = [caption.split(".")[0] for caption in page.captions]
    return next(find_faults(page, names, squeeze("".join(paper.lines))), None)


def _find_actions(paper: Any) -> Iterator[str]:
    root = paper.trailer["/Root"]
    yield from (key for key in ("/OpenAction", "/AA", "/AcroForm", "/URI") if key in root)
    yield from (key for key in ("/JavaScript", "/EmbeddedFiles") if key in root.get("/Names", {}))
    for sheet in paper.pages:
        yield from ["/AA"] * ("/AA" in sheet)
        for reference in sheet.get("/Annots") or []:
            note = reference.get_object()
            action = note.get("/A", {}).get_object() if "/A" in note else {"/S": "/GoTo"}
            uri = str(action.get("/URI", ""))
            is_known = LINK.fullmatch(uri) or uri in URLS
            is_link = action["/S"] == "/GoTo" or (action["/S"] == "/URI" and is_known)
            if note.get("/Subtype") != "/Link" or not is_link:
                yield f"{note.get('/Subtype')} {action['/S']} {uri}".strip()


def _fold(text: str) -> str:
    """Text without blanks, bullets and capitals, which paper has otherwise."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("•", "")
    return "".join(letter for letter in text if not letter.isspace() and letter not in UNSEEN)


def _runs_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
