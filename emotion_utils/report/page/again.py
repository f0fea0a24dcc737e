"""The pages of a run made again from its artefacts, and held against those that are there. No torch.

Nothing is written, and nothing that the run folder holds is executed.
"""

from __future__ import annotations

import ast
import io
import re
from contextlib import redirect_stdout
from copy import deepcopy
from dataclasses import replace
from html import unescape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.figures.style import theme_svgs
from emotion_utils.files import read_bytes
from emotion_utils.report.checksums import same_run
from emotion_utils.report.page.cells import (
    COMPARISON,
    MOST_PAGE_BYTES,
    NOTEBOOKS_DIR,
    compare_cells,
    compare_outputs,
    other_cells,
    read_notebook,
    replace_outputs,
)
from emotion_utils.report.page.notebook_pages import fill_notebook
from emotion_utils.report.page.other_version import other_words, refuse_strange
from emotion_utils.report.page.render import TITLE, fill_page
from emotion_utils.report.page.same_page import find_difference, read_pieces, same_lines
from emotion_utils.report.results import Results
from emotion_utils.run import Run

TOOLS = ("nbconvert", "nbformat", "nh3", "pypdf")  # that make a page, and read paper
GIVEN = ("run", "results")  # names that the cells of notebook 06 find, instead of opening a run folder themselves
# What pandas shows in a notebook, wherever this is done.
PANDAS = ("display.width", 80, "display.max_columns", 20, "display.max_rows", 60)


def compare_pages(run: Run, results: Results) -> str:
    """What differs in drawings alone, as words for the line on the result. This version has written the report.

    Raises EmotionError that names the first thing in report.html or the page of a notebook that this version does not
    make of the artefacts, and the first cell of a notebook that is none of the project's. Of notebook 06 it must also
    show what follows.
    """
    _need_tools()
    notebooks = find_notebooks(run)
    names = [source.stem for source in notebooks]
    missing = _name_missing(run, notebooks)
    if missing:
        raise EmotionError(missing)
    page = read_page(run.inside("report.html"))
    name, ours, shown = _make_report_again(run, results, page)
    there = results.facts.get("environment", {}).get("versions", {}).get("matplotlib", "of an unknown version")
    here = metadata.version("matplotlib")
    drawn = _compare("report.html", page, ours, same_drawings=there == here)
    said = ""
    for source in notebooks:
        notebook = read_notebook(source)
        compare_cells(source, notebook)
        if source.name == COMPARISON:
            said = compare_outputs(notebook, shown, same_drawings=there == here)
        page = read_page(run.inside(f"notebooks/{source.stem}.html"))
        _compare(f"notebooks/{source.stem}.html", page, fill_notebook(notebook, source.stem, names))
    moved = f"; the report calls this folder {name!r}" if name != results.name else ""
    return (
        moved
        + said
        + (f"; matplotlib {there} drew {drawn} drawings differently than {here} does here" if drawn else "")
    )


def look_through_pages(run: Run, results: Results, compared: str) -> str:
    """How many words only another version writes, for the line on the result. Another version has written the report.

    `compared` is the text that was compared already, without blanks. Raises EmotionError that quotes the first thing
    in a page that may run, load, lead away or hide.
    """
    _need_tools()
    notebooks = find_notebooks(run)
    names = [source.stem for source in notebooks]
    page = read_page(run.inside("report.html"))
    _, ours, shown = _make_report_again(run, results, page)
    pages = {"report.html": (page, ours)}
    more: list[str] = []
    for source in notebooks:
        notebook = read_notebook(source)
        more += other_cells(source, notebook)
        if source.name == COMPARISON:
            replace_outputs(notebook, shown)
        page = read_page(run.inside(f"notebooks/{source.stem}.html"))
        pages[f"notebooks/{source.stem}.html"] = (page, fill_notebook(notebook, source.stem, names))
    others = {}
    for name, (page, ours) in pages.items():
        theirs = read_pieces(page)
        expected = theirs if page == ours else read_pieces(ours)
        try:
            refuse_strange(theirs, expected)
        except EmotionError as error:
            raise EmotionError(f"{name} has {error}") from None
        others[name] = other_words(theirs, expected, compared)
    first = next((text for texts in others.values() for text in texts), "")
    count = sum(map(len, others.values()))
    said = f"; beside these, {count:,} texts of its pages are not of this version, the first: {first[:60]!r}"
    cells = f"; {len(more):,} cells of its notebooks are not of this version: {', '.join(more[:3])}"
    missing = _name_missing(run, notebooks)  # earlier versions passed runs on without them
    return said * (count > 0) + cells * bool(more) + f"; {missing}" * bool(missing)


def find_notebooks(run: Run) -> list[Path]:
    """The executed notebooks of a run, in order.

    Raises EmotionError where a page there is that of no notebook.
    """
    sources = sorted(run.notebooks_dir.glob("*.ipynb"))
    names = {source.stem for source in sources}
    for page in sorted(run.notebooks_dir.glob("*.html")):
        if page.stem not in names:
            raise EmotionError(f"notebooks/{page.name} is the page of no notebook: there is no {page.stem}.ipynb")
    return sources


def _name_missing(run: Run, notebooks: list[Path]) -> str:
    """Which notebooks run.json names as run and are not there, as words for a message; empty where all are."""
    names = {source.stem for source in notebooks}
    missing = [f"notebooks/{name}.ipynb" for name in run.facts.get("stages", {}) if name not in names]
    return f"{', '.join(missing)} missing, which run.json names" if missing else ""


def _need_tools() -> None:
    missing = [name for name in TOOLS if find_spec(name) is None]
    if missing:
        raise InputError(f"to make the pages again needs {', '.join(missing)}: pip install 'emotion-utils[report]'")


def _make_report_again(run: Run, results: Results, page: str) -> tuple[str, str, Any]:
    """What `page` calls the run, whose folder may have been moved since; and `make_report_again` under that name."""
    titled = re.search(rf"<title>{re.escape(TITLE)}: ([^<]+)</title>", page)
    name = unescape(titled[1]) if titled else results.name
    return name, *make_report_again(run, replace(results, name=name))


def make_report_again(run: Run, results: Results) -> tuple[str, Any]:
    """report.html as this version writes it, and the project's own notebook 06 with what its cells show."""
    import nbformat

    notebook = nbformat.read(NOTEBOOKS_DIR / COMPARISON, as_version=4)
    names: dict[str, Any] = {"run": run, "results": results}
    with pd.option_context(*PANDAS):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = _show(cell.source, names)
    page = fill_page(results, deepcopy(notebook), sorted(run.notebooks_dir.glob("*.html")))
    return theme_svgs(page), notebook


def _show(source: str, names: dict[str, Any]) -> list[Any]:
    """The outputs of a cell, which finds `names` and adds to them. Expressions before its last are left undone: they
    write."""
    from nbformat.v4 import new_output

    *before, last = ast.parse(source).body
    is_shown = isinstance(last, ast.Expr)
    done = [each for each in (before if is_shown else [*before, last]) if not _is_left_undone(each)]
    with redirect_stdout(io.StringIO()) as said:
        exec(compile(ast.Module(done, []), COMPARISON, "exec"), names)
        shown = eval(compile(ast.Expression(last.value), COMPARISON, "eval"), names) if is_shown else None
    outputs = [new_output("stream", name="stdout", text=said.getvalue())] if said.getvalue() else []
    if shown is not None:
        data = {"text/html": shown._repr_html_(), "text/plain": repr(shown)}
        outputs.append(new_output("execute_result", data=data, execution_count=1))
    return outputs


def _is_left_undone(statement: ast.stmt) -> bool:
    """Whether a statement may write, or would replace what is given."""
    if isinstance(statement, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id in GIVEN for target in statement.targets)
    return isinstance(statement, ast.Expr)


def read_page(path: Path) -> str:
    """The text of a page. Raises InputError where it is missing or none."""
    if not path.exists():
        raise InputError(f"{path} is missing: run `{same_run(path.parent)}` first")
    try:
        return read_bytes(path, MOST_PAGE_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a page as this project writes it ({error})") from None


def _compare(name: str, page: str, ours: str, *, same_drawings: bool = True) -> int:
    """How many drawings differ in their lines alone."""
    if page == ours:
        return 0
    theirs, expected = read_pieces(page), read_pieces(ours)
    found = find_difference(theirs, expected, same_drawings=same_drawings)
    if found:
        raise EmotionError(f"{name}, {found}")
    return sum(their != our and not same_lines(their, our) for their, our in zip(theirs, expected, strict=True))
