"""The tables and sentences of a finished page, read back as text. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_uppercase

from bs4 import BeautifulSoup

from emotion_utils.errors import EmotionError

NUMBERED = re.compile(r"(Table [A-H]?|Figure )(\d+)\.")


@dataclass(frozen=True)
class PageTable:
    """What a reader sees of one table: caption, rows of cells (the first one is the head), note below."""

    caption: str
    rows: list[list[str]]
    note: str

    @property
    def text(self) -> str:
        return " ".join([self.caption, *(cell for row in self.rows for cell in row), self.note])


def read_tables(page: BeautifulSoup) -> dict[str, PageTable]:
    """Every table of a parsed `page`, by the id of its figure, in the order of the page.

    Raises EmotionError where one has no figure of its own.
    """
    tables = {}
    for table in page("table"):
        figure = table.find_parent("figure")
        key = figure.get("id", "") if figure else ""
        if not key or key in tables or "table" not in figure.get("class", []):
            raise EmotionError(f"report.html: a table without a figure of its own: {table.get_text(' ')[:120]!r}")
        tables[key] = figure
    for key, figure in tables.items():
        for mark in figure.select("sup.cite"):
            mark.decompose()
        for line_break in figure("br"):
            line_break.replace_with(" ")
        caption, note = ("".join(part.get_text() for part in figure.select(name)) for name in ("figcaption", "p.note"))
        rows = [[cell.get_text() for cell in row(["td", "th"])] for row in figure("tr")]
        tables[key] = PageTable(caption, rows, note)
    return tables


def check_numbers(page: BeautifulSoup) -> None:
    """Raises EmotionError where the numbers of figures or tables do not count up from 1: then one was taken out."""
    found = [NUMBERED.match(" ".join(caption.get_text().split())) for caption in page("figcaption")]
    kinds = sorted({name[1] for name in found if name})
    letters = "".join(kind[-1] for kind in kinds if kind.startswith("Table ") and kind != "Table ")
    gap = next((letter for letter, there in zip(ascii_uppercase, letters, strict=False) if letter != there), None)
    if gap:
        raise EmotionError(f"report.html lacks the tables of appendix {gap}")
    for kind in kinds:
        numbers = [int(name[2]) for name in found if name and name[1] == kind]
        lost = next((n for n, number in enumerate(numbers, start=1) if n != number), None)
        if lost:
            raise EmotionError(f"report.html lacks {kind}{lost}, or has it in another place")


def read_prose(page: BeautifulSoup) -> str:
    """All generated text of a parsed `page` (see `squeeze`)."""
    return "".join(squeeze(str(part)) for part in page.select("div.prose"))


def squeeze(html: str) -> str:
    """The text of a piece of HTML without blanks, which are broken differently on each page, and proxy marks."""
    text = parse_html(html)
    for mark in text.select("span.proxy, sup.cite"):  # beside a name, no part of the sentence
        mark.decompose()
    return squeeze_text(text.get_text())


def squeeze_text(text: str) -> str:
    return re.sub(r"[\s\u2060]+", "", text)


def parse_html(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")
