"""The tables and sentences of a finished page, read back as text. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bs4 import BeautifulSoup


@dataclass(frozen=True)
class PageTable:
    """What a reader sees of one table: caption, rows of cells (the first one is the head), note below."""

    caption: str
    rows: list[list[str]]
    note: str


def read_tables(page: BeautifulSoup) -> dict[str, PageTable]:
    """Every table of a parsed `page`, by the id of its figure, in the order of the page."""
    tables = {}
    for figure in page.select("figure.table"):
        for line_break in figure("br"):
            line_break.replace_with(" ")
        caption, note = ("".join(part.get_text() for part in figure.select(name)) for name in ("figcaption", "p.note"))
        rows = [[cell.get_text() for cell in row(["td", "th"])] for row in figure("tr")]
        tables[figure["id"]] = PageTable(caption, rows, note)
    return tables


def read_prose(page: BeautifulSoup) -> str:
    """All generated text of a parsed `page` (see `squeeze`)."""
    return "".join(squeeze(str(part)) for part in page.select("div.prose"))


def squeeze(html: str) -> str:
    """The text of a piece of HTML without blanks, which are broken differently on each page, and proxy marks."""
    text = parse_html(html)
    for mark in text.select("span.proxy"):  # beside a name, no part of the sentence
        mark.decompose()
    return squeeze_text(text.get_text())


def squeeze_text(text: str) -> str:
    return re.sub(r"[\s\u2060]+", "", text)


def parse_html(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")
