"""From the executed notebook 06 to report.html and report.pdf: one self-contained page and its printed form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report.appendix import data_name
from emotion_utils.report.claims import join_words
from emotion_utils.report.exhibits import number_exhibits, safe, safe_model
from emotion_utils.report.pdf import print_pdf
from emotion_utils.report.results import Results, read_results
from emotion_utils.report.style import theme_css, theme_svgs
from emotion_utils.run import Run, replacing

TITLE = "Multiclass Emotion Recognition"
TEMPLATE_DIR = Path(__file__).parent / "template"
STYLES = ("page.css", "screen.css", "print.css")
HIDDEN_CELLS = ("remove-cell", "injected-parameters")  # the parameters hold a path of the machine
APPENDIX_LETTERS = "ABCDEFGH"
# What would make a browser fetch something; links that a reader may follow are none of it.
LOADING = re.compile(
    r"""<(?:script|img|iframe|link|source|audio|video|embed|object|use|image|input)\b[^>]*?\b(?:src|href|data|srcset)\s*=\s*["']?(?!data:|\#)[^"'>\s]"""
    r"""|url\(\s*["']?(?!data:|\#)|@import""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Heading:
    """A heading of the page: level 2 or 3, its number ("4", "6.1", "B" or none), title, and the id to jump to."""

    level: int
    number: str
    title: str
    id: str


def render_report(run: Run, notebook: Path) -> dict[str, Any]:
    """Writes report.html and report.pdf beside run.json.

    Returns {"html": path, "pdf": path or None, "notes": lines for a person}. Raises InputError where the notebook has
    not been executed, EmotionError where the page lacks a figure or table or would load something from elsewhere.
    """
    results = read_results(run)
    page = make_page(results, notebook)
    check_page(results, page)
    html = run.root / "report.html"
    with replacing(html) as temporary:
        temporary.write_text(theme_svgs(page), encoding="utf-8")
    pdf, notes = print_pdf(page, run.root / "report.pdf")
    return {"html": html, "pdf": pdf, "notes": notes}


def make_page(results: Results, notebook: Path) -> str:
    """The whole page as nbconvert makes it from the executed notebook, its figures in the colours of paper."""
    import nbformat

    from emotion_utils.report.exporter import PageExporter

    cells = nbformat.read(notebook, as_version=4)
    if not any(cell.get("outputs") for cell in cells.cells):
        raise InputError(f"{notebook} has no outputs: run it first")
    page = {
        "title": f"{TITLE}: {results.name}",
        "description": f"A comparison of {join_words(results.models)}, with every number computed.",
        "css": theme_css() + "".join((TEMPLATE_DIR / name).read_text(encoding="utf-8") for name in STYLES),
        "script": (TEMPLATE_DIR / "contents.js").read_text(encoding="utf-8"),
        "front": front_matter(results),
        "headings": number_headings(cells),
    }
    return PageExporter.make(TEMPLATE_DIR, HIDDEN_CELLS).from_notebook_node(cells, resources={"page": page})[0]


def number_headings(notebook: Any) -> list[Heading]:
    """Numbers the headings of a notebook's Markdown in place; those of cells tagged `appendix` get letters.

    The abstract has no number, as in the study.
    """
    headings, section, appendix, part = [], 0, 0, 0

    def replace(found: re.Match[str]) -> str:
        nonlocal section, appendix, part
        level, title = len(found[1]), found[2].strip()
        if level == 3:
            part += 1
            number = f"{headings[-1].number.split('.')[0]}.{part}"
        elif title == "Abstract":
            number = ""
        elif in_appendix:
            number, appendix, part = APPENDIX_LETTERS[appendix], appendix + 1, 0
        else:
            section, part = section + 1, 0
            number = str(section)
        identity = "sec-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        headings.append(Heading(level, number, title, identity))
        shown = f'<span class="number">{number}</span> ' if number else ""
        return f'<h{level} id="{identity}">{shown}{escape(title)}</h{level}>\n'

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown" and not set(tags) & set(HIDDEN_CELLS):
            in_appendix = "appendix" in tags
            cell.source = re.sub(r"^(#{2,3}) +(.+)$", replace, cell.source, flags=re.MULTILINE)
    return headings


def front_matter(results: Results) -> str:
    """The title with what a reader must know before any figure."""
    classes = join_words(safe(name) for name in results.class_names)
    proxies = ", ".join(safe_model(results, model) for model in results.proxies)
    weights = f"{proxies}: stand-ins made by this project, not published weights" if proxies else "no stand-ins"
    facts = {
        "Run": f"{safe(results.name)}, profile {results.config.profile}, seed {results.config.seed}",
        "Faces": f"{len(results.kept):,} ({safe(data_name(results.config))})",
        "Models": ", ".join(safe_model(results, model) for model in results.models),
        "Weights": weights,
        "Revision": safe(results.facts.get("environment", {}).get("git_revision", "unknown")),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    return (
        f'<header class="title"><p class="kicker">Report</p><h1>{TITLE}</h1>'
        f'<p class="lead">Telling {classes} faces apart</p><dl class="meta">{rows}</dl></header>'
    )


def check_page(results: Results, page: str) -> None:
    """Raises EmotionError where a figure or table is missing, twice there or out of order, a reference leads nowhere,
    or the page would load anything from elsewhere."""
    expected = list(number_exhibits(results))
    found = re.findall(r'<figure class="[^"]*" id="([^"]+)"', page)
    wrong = set(expected) ^ set(found) or {key for key in found if found.count(key) > 1}
    if wrong:
        raise EmotionError(f"the report has a figure or table missing or twice: {', '.join(sorted(wrong))}")
    for kind in ("fig-", "tbl-"):
        order = [key for key in found if key.startswith(kind)]
        if order != [key for key in expected if key.startswith(kind)]:
            raise EmotionError(
                f"the report's figures or tables are not in the order of their numbers: {', '.join(order)}"
            )
    targets = set(re.findall(r'\bid="([^"]+)"', page))
    dangling = sorted(set(re.findall(r'<a [^>]*href="#([^"]+)"', page)) - targets)
    if dangling:
        raise EmotionError(f"the report refers to {dangling[0]}, which is not there")
    loading = LOADING.search(page)
    if loading:
        raise EmotionError(f"the report would load something from elsewhere: {page[loading.start() :][:80]}")
