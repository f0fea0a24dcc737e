"""A notebook as one self-contained HTML page: the template, its styles and scripts, and the numbers of headings."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from emotion_utils.figures.style import theme_css

TEMPLATE_DIR = Path(__file__).parent / "template"
STYLES = ("page.css", "screen.css", "print.css")
SCRIPTS = ("contents.js", "curves.js", "scroll.js", "tools.js")
HIDDEN_IN_NOTEBOOKS = ("injected-parameters", "installation")  # a path of the machine; what a page has no use for
HIDDEN_CELLS = ("remove-cell", *HIDDEN_IN_NOTEBOOKS)
UNNUMBERED = ("Abstract", "References")
APPENDIX_LETTERS = "ABCDEFGH"
MAIN = '<main id="content">'
# What would make a browser fetch something; links that a reader may follow are none of it.
LOADING = re.compile(
    r"""<(?:script|img|iframe|link|source|audio|video|embed|object|use|image|input)\b[^>]*?\b(?:src|href|data|srcset)\s*=\s*["']?(?!data:|\#)[^"'>\s]"""
    r"""|<meta\b[^>]*refresh|<base\b|<\w[^<>]*\sstyle\s*=\s*(?:"[^"]*|'[^']*)(?:\\|url\(\s*["']?(?!data:|\#))"""
    r"""|<style\b[^>]*>(?:(?!</style).)*(?:@import|url\(\s*["']?(?!data:|\#))""",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Heading:
    """A heading of the page: level 2 or 3, its number ("4", "6.1", "B" or none), title, and the id to jump to."""

    level: int
    number: str
    title: str
    id: str


def fill_template(notebook: Any, title: str, description: str, front: str, headings: list[Heading]) -> str:
    """A notebook as one page; `front` is HTML. What the cells say is cleaned: the notebook may be from anywhere."""
    from emotion_utils.report.page.clean import clean_html
    from emotion_utils.report.page.exporter import PageExporter

    def read(names: Iterable[str]) -> str:
        return "".join((TEMPLATE_DIR / name).read_text(encoding="utf-8") for name in names)

    page = {"title": title, "description": description, "front": front, "headings": headings}
    page |= {"css": theme_css() + read(STYLES), "script": (script := read(SCRIPTS)), "policy": allow_only(script)}
    filled = PageExporter.make(TEMPLATE_DIR, HIDDEN_CELLS).from_notebook_node(notebook, resources={"page": page})[0]
    before, after = filled.index(MAIN), filled.rindex("</main>")
    return filled[:before] + clean_html(filled[before:after]) + filled[after + len("</main>") :]


def allow_only(script: str) -> str:
    """A content-security policy: the page's own script and styles, images inside it, and nothing from elsewhere."""
    digest = base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode()  # as the template sets it
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def number_headings(notebook: Any, *, numbered: bool = True) -> list[Heading]:
    """Numbers the headings of a notebook's Markdown in place; those of cells tagged `appendix` get letters.

    Abstract and references have no number, as in the study. Not `numbered`, they only get the ids to jump to.
    """
    headings, section, appendix, part = [], 0, 0, 0

    def replace(found: re.Match[str]) -> str:
        nonlocal section, appendix, part
        level, title = len(found[1]), found[2].strip()
        if level == 3:
            part += 1
            number = f"{headings[-1].number.split('.')[0]}.{part}"
        elif title in UNNUMBERED:
            number = ""
        elif in_appendix:
            number, appendix, part = APPENDIX_LETTERS[appendix], appendix + 1, 0
        else:
            section, part = section + 1, 0
            number = str(section)
        identity = "sec-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        number = number if numbered else ""
        headings.append(Heading(level, number, title, identity))
        shown = f'<span class="number">{number}</span> ' if number else ""
        return f'<h{level} id="{identity}">{shown}{escape(title)}</h{level}>\n'

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and not set(tags) & set(HIDDEN_CELLS):
            in_appendix = "appendix" in tags
            cell.source = re.sub(r"^(#{2,3}) +(.+)$", replace, cell.source, flags=re.MULTILINE)
    return headings
