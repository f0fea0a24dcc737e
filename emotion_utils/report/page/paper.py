"""What report.pdf has and report.html does not: lines of text, and whatever would do something. No torch."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.files import read_bytes
from emotion_utils.report.page.page_tables import parse_html
from emotion_utils.report.page.reread import UNSEEN

MOST_PAPER_BYTES = 512 << 20
LEADER = re.compile(r"\.+\d+$")  # of the contents: dots and the number of a page
LINK = re.compile(r"notebooks/[\w.-]+\.html")


def find_additions(page: str, pdf: Path) -> Iterator[str]:
    """What `pdf` holds and the HTML `page` does not, as words for a message.

    Lines with letters of scripts that run from right to left are left out: paper has them in another order. Raises
    InputError where the file is no PDF.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    read_bytes(pdf, MOST_PAPER_BYTES)
    try:
        paper = PdfReader(pdf)
        yield from _find_actions(paper)
        lines = [line for sheet in paper.pages for line in sheet.extract_text().splitlines()]
    except (PyPdfError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{pdf}: not a PDF as this project writes it ({str(error)[:120]})") from None
    seen = parse_html(page)
    for unseen in seen.select("script, style, details.code"):
        unseen.decompose()
    title = seen.h1.get_text() if seen.h1 else ""
    heads = {_fold(title + heading.get_text()) for heading in seen("h2")} | {_fold(f"{title} Contents")}
    said = _fold(seen.get_text())
    for line in lines:
        text = _fold(line)
        if text not in said and text not in heads and LEADER.sub("", text) not in said and not _runs_left(line):
            yield f"the line {' '.join(line.split())[:120]!r}"


def _find_actions(paper: Any) -> Iterator[str]:
    """Scripts, attached files, forms, and links that lead elsewhere."""
    root = paper.trailer["/Root"]
    yield from (key for key in ("/OpenAction", "/AA", "/AcroForm") if key in root)
    yield from (key for key in ("/JavaScript", "/EmbeddedFiles") if key in root.get("/Names", {}))
    for sheet in paper.pages:
        yield from ["/AA"] * ("/AA" in sheet)
        for reference in sheet.get("/Annots") or []:
            note = reference.get_object()
            action = note.get("/A", {}).get_object() if "/A" in note else {"/S": "/GoTo"}
            uri = str(action.get("/URI", ""))
            is_link = action["/S"] == "/GoTo" or (action["/S"] == "/URI" and LINK.fullmatch(uri))
            if note.get("/Subtype") != "/Link" or not is_link:
                yield f"{note.get('/Subtype')} {action['/S']} {uri}".strip()


def _fold(text: str) -> str:
    """Text without blanks, bullets and capitals, which paper has otherwise."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("•", "")
    return "".join(letter for letter in text if not letter.isspace() and letter not in UNSEEN)


def _runs_left(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
