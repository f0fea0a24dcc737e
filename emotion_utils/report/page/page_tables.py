"""The tables and sentences of a finished page, read back as text. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

FIGURE = re.compile(r'<figure class="table[^"]*" id="([^"]+)">(.*?)</figure>', re.S)
PROSE = re.compile(r'<div class="prose">(.*?)</div>', re.S)
PROXY_MARK = re.compile(r'&nbsp;<span class="proxy">proxy</span>')  # beside a name, no part of the sentence
TAG = re.compile(r"</?[a-zA-Z][^>]*>")  # not the sign in p < 0.001


@dataclass
class PageTable:
    """What a reader sees of one table: caption, rows of cells (the first one is the head), note below."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""


def read_tables(page: str) -> dict[str, PageTable]:
    """Every table of `page`, by the id of its figure, in the order of the page."""
    return {unescape(key): _Reader(inside).table for key, inside in FIGURE.findall(page)}


def read_prose(page: str) -> str:
    """All generated text of `page` (see `squeeze`)."""
    return "".join(squeeze(part) for part in PROSE.findall(page))


def squeeze(html: str) -> str:
    """The text of a piece of HTML without blanks, which are broken differently on each page, and proxy marks."""
    return squeeze_text(unescape(TAG.sub("", PROXY_MARK.sub("", html))))


def squeeze_text(text: str) -> str:
    return re.sub(r"[\s\u2060]+", "", text)


class _Reader(HTMLParser):
    """The inside of one table's <figure>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.table, self._place = PageTable(), ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.table.rows.append([])
        elif tag in ("td", "th"):
            self.table.rows[-1].append("")
            self._place = "cell"
        elif tag == "figcaption":
            self._place = "caption"
        elif tag == "p" and dict(attrs).get("class") == "note":
            self._place = "note"
        elif tag == "br":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "figcaption", "p"):
            self._place = ""

    def handle_data(self, data: str) -> None:
        if self._place == "cell":
            self.table.rows[-1][-1] += data
        elif self._place:
            setattr(self.table, self._place, getattr(self.table, self._place) + data)
