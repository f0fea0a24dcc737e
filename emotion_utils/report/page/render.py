"""From the executed notebook 06 to report.html and report.pdf: one self-contained page and its printed form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.figures.fonts import font_note
from emotion_utils.figures.style import theme_svgs
from emotion_utils.files import replacing
from emotion_utils.import_closure import closure_sha256
from emotion_utils.report.checksums import remove_checksums, write_checksums
from emotion_utils.report.claims import join_words
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.names import safe, safe_model
from emotion_utils.report.page.html import LOADING, fill_template, number_headings
from emotion_utils.report.page.notebook_pages import export_notebooks
from emotion_utils.report.page.pdf import print_pdf
from emotion_utils.report.page.reread import check_files
from emotion_utils.report.references import mark_references
from emotion_utils.report.results import Results, read_results
from emotion_utils.report.sections.architectures import STARTS
from emotion_utils.run import Run

TITLE = "Multiclass Emotion Recognition"


def render_report(run: Run, notebook: Path) -> dict[str, Any]:
    """Writes report.html and report.pdf beside run.json, a page for each notebook beside it, and reads both again.

    Returns {"html": path, "pdf": path or None, "notes": lines for a person}. Raises InputError where the notebook has
    not been executed, EmotionError where the page lacks a figure or table or would load something from elsewhere.
    """
    results = read_results(run)
    notebooks = export_notebooks(run)
    page = make_page(results, notebook, notebooks)
    check_page(results, page)
    html = run.inside("report.html")
    with replacing(html) as temporary:
        temporary.write_text(theme_svgs(page), encoding="utf-8")
    pdf, notes = print_pdf(page, run.inside("report.pdf"))
    notes += filter(None, [font_note(results.class_names), *check_files(results, html, pdf)])
    return {"html": html, "pdf": pdf, "notes": notes}


def finish_report(run: Run, notebook: Path) -> list[str]:
    """`render_report`, what came of it in run.json, and the checksums last: they say that the report is finished.

    Returns the notes for a person.
    """
    remove_checksums(run)
    outcome = render_report(run, notebook)
    run.record(report={"pdf": outcome["pdf"] is not None, "notes": outcome["notes"], "code": rendering_sha256()})
    write_checksums(run)
    return outcome["notes"]


def rendering_sha256() -> str:
    """Of the code that makes the pages: where it has changed, they are made anew."""
    return closure_sha256("import emotion_utils.report.page.render")


def make_page(results: Results, notebook: Path, others: Sequence[Path] = ()) -> str:
    """The whole page as nbconvert makes it from the executed notebook, its figures in the colours of paper.

    `others` are the pages of notebooks that it links to.
    """
    import nbformat

    cells = nbformat.read(notebook, as_version=4)
    if not any(cell.get("outputs") for cell in cells.cells):
        raise InputError(f"{notebook} has no outputs: run it first")
    return fill_page(results, cells, others)


def fill_page(results: Results, notebook: Any, others: Sequence[Path] = ()) -> str:
    """The whole page from the cells of `notebook` and what they show; `others` as for `make_page`."""
    description = f"A comparison of {join_words(results.models)}, with every number computed."
    front = front_matter(results, others)
    page = fill_template(notebook, f"{TITLE}: {results.name}", description, front, number_headings(notebook))
    return mark_references(page)


def _name_starts(results: Results) -> Iterator[str]:
    """What the models start from, those that start alike together."""
    kinds: dict[str, list[str]] = {}
    for model in results.models:
        kinds.setdefault(results.start_kind(model), []).append(safe_model(model, results.proxies))
    for kind, models in kinds.items():
        made_here = ", made by this project and not published ones" if kind == "proxy" else ""
        yield f"{', '.join(models)}: {STARTS[kind]}{made_here}"


def front_matter(results: Results, notebooks: Sequence[Path] = ()) -> str:
    """The title with what a reader must know before any figure, and links to the pages of the `notebooks`."""
    classes = join_words((safe(name) for name in results.class_names), "or")
    facts = {
        "Run": f"{safe(results.name)}, profile {results.config.profile}, seed {results.config.seed}",
        "Faces": f"{len(results.kept):,} ({safe(results.data_name)})",
        "Models": ", ".join(safe_model(model, results.proxies) for model in results.models),
        "Weights": "; ".join(_name_starts(results)),
        "Revision": safe(results.facts.get("environment", {}).get("git_revision", "unknown")),
    }
    if notebooks:
        facts["Notebooks"] = ", ".join(
            f'<a href="notebooks/{escape(path.name)}">{escape(path.stem.replace("_", " "))}</a>' for path in notebooks
        )
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items())
    rows += '<dt class="unprinted">On paper</dt><dd class="unprinted"><a href="report.pdf">report.pdf</a></dd>'
    return (
        f'<header class="title"><p class="kicker">Report</p><h1>{TITLE}</h1>'
        f'<p class="lead">Classifying faces as {classes}</p><dl class="meta">{rows}</dl></header>'
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
    check_links(page)


def check_links(page: str) -> None:
    """Raises EmotionError where a reference leads nowhere, or the page would load anything from elsewhere."""
    targets = set(re.findall(r'\bid="([^"]+)"', page))
    dangling = sorted(set(re.findall(r'<a [^>]*href="#([^"]+)"', page)) - targets)
    if dangling:
        raise EmotionError(f"the report refers to {dangling[0]}, which is not there")
    loading = LOADING.search(page)
    if loading:
        raise EmotionError(f"the report would load something from elsewhere: {page[loading.start() :][:80]}")
