"""The finished files read back: whatever the page says must be there to its end, and on paper with the same numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from emotion_utils.errors import EmotionError
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.page.page_tables import parse_html
from emotion_utils.report.results import Results

NUMERAL = re.compile(r"\d[\d,]*\.\d+")  # those with decimals: whole numbers are too common to be looked for
UNSEEN = ("\u2060", "\u2068", "\u2069", "\u200e", "\u200f")  # joiners and marks of direction


class PageText:
    """A report's page as text: all of it, title, headings, captions and words, and how often it has each numeral."""

    def __init__(self, page: str) -> None:
        seen = parse_html(page)
        for unseen in seen.select("script, style, details.code"):
            unseen.decompose()
        self.headings, self.captions = (
            [" ".join(part.get_text().split()) for part in seen(names)] for names in (["h2", "h3"], ["figcaption"])
        )
        self.sections = [part.get_text() for part in seen("h2")]
        self.title = seen.h1.get_text() if seen.h1 else ""
        self.text = seen.get_text()
        apart = seen.get_text(" ")  # neither a word nor a numeral goes on from one element to the next
        self.words, self.numerals = set(apart.split()), Counter(NUMERAL.findall(apart))


def check_files(results: Results, html: Path, pdf: Path | None) -> list[str]:
    """Reads report.html and report.pdf (where there is one) again.

    Raises EmotionError for whatever the page lacks. Paper depends on the fonts of a machine: what it lacks comes back
    as notes for a person.
    """
    page = PageText(html.read_text(encoding="utf-8"))
    if not page.headings:
        raise EmotionError(f"{html}: it has no heading; start the run again")
    names = list(number_exhibits(results).values())
    shown = [caption.split(".")[0] for caption in page.captions]
    missing = [name for name in names if name not in shown]
    if missing:
        raise EmotionError(f"{html}: {missing[0]} is not there")
    if pdf is None:
        return []
    fault = next(find_faults(page, names, read_paper(pdf)), None)
    return [f"{pdf.name} is not what {html.name} says: {fault}; read {html.name}"] if fault else []


def read_paper(pdf: Path) -> str:
    """The text of a PDF without its white space."""
    from pypdf import PdfReader

    return squeeze("".join(page.extract_text() for page in PdfReader(pdf).pages))


def find_faults(page: PageText, names: list[str], paper: str) -> Iterator[str]:
    """What `paper`, text without white space, lacks: headings, the `names` of figures and tables, and numerals."""
    for heading in page.headings:
        if paper.count(squeeze(heading)) < 2:  # in the contents and above its section
            yield f"the heading {heading!r} is not in the contents and above its section"
    for name in names:
        if squeeze(name) + "." not in paper:
            yield f"{name} is not there"
    for numeral, count in page.numerals.items():
        if paper.count(numeral) < count:
            yield f"{numeral} stands there less often than in the page ({count} times)"


def squeeze(text: str) -> str:
    """Text without white space and marks that nobody sees."""
    return "".join(character for character in text if not character.isspace() and character not in UNSEEN)
