"""The pages of a run made again from its artefacts, and held against those that are there. No torch.

Nothing is written, and nothing that the run folder holds is executed.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.figures.style import theme_svgs
from emotion_utils.files import read_bytes
from emotion_utils.provenance import PACKAGE_DIR, PROJECT_DIR
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.page.html import HIDDEN_CELLS
from emotion_utils.report.page.notebook_pages import notebook_page
from emotion_utils.report.page.other_version import other_words, refuse_strange
from emotion_utils.report.page.render import TITLE, fill_page
from emotion_utils.report.page.same_page import find_difference, read_pieces, same_lines
from emotion_utils.report.results import Results
from emotion_utils.run import Run

NOTEBOOKS_DIR = PROJECT_DIR / "notebooks"
OWN_NOTEBOOK = PACKAGE_DIR / "models" / "template" / "own_model.ipynb"  # of models without one of their own
TOOLS = ("nbconvert", "nbformat", "nh3", "pypdf")  # that make a page, and read paper
MOST_PAGE_BYTES = 512 << 20


def compare_pages(run: Run, results: Results) -> str:
    """What differs in drawings alone, as words for the line on the result. This version has written the report.

    Raises EmotionError that names the first thing in report.html or the page of a notebook that this version does not
    make of the artefacts, and the first cell of a notebook that is none of the project's.
    """
    _need_tools()
    notebooks = find_notebooks(run)
    missing = _name_missing(run, notebooks)
    if missing:
        raise EmotionError(missing)
    page = read_page(run.inside("report.html"))
    name, ours = _make_report_again(run, results, page)
    there = results.facts.get("environment", {}).get("versions", {}).get("matplotlib", "of an unknown version")
    here = metadata.version("matplotlib")
    drawn = _compare("report.html", page, ours, same_drawings=there == here)
    for source in notebooks:
        _compare_cells(source)
        page = read_page(run.inside(source.with_suffix(".html")))
        _compare(f"notebooks/{source.stem}.html", page, notebook_page(source))
    moved = f"; the report calls this folder {name!r}" if name != results.name else ""
    return moved + (f"; matplotlib {there} drew {drawn} drawings differently than {here} does here" if drawn else "")


def look_through_pages(run: Run, results: Results, compared: str) -> str:
    """How many words only another version writes, for the line on the result. Another version has written the report.

    `compared` is the text that was compared already, without blanks. Raises EmotionError that quotes the first thing
    in a page that may run, load, lead away or hide.
    """
    _need_tools()
    notebooks = find_notebooks(run)
    if not NOTEBOOKS_DIR.exists():
        return "; nothing else of the pages was compared, as the project's notebooks are not here"
    page = read_page(run.inside("report.html"))
    pages = {"report.html": (page, _make_report_again(run, results, page)[1])}
    more: list[str] = []
    for source in notebooks:
        more += _other_cells(source)
        page = read_page(run.inside(source.with_suffix(".html")))
        pages[f"notebooks/{source.stem}.html"] = (page, notebook_page(source))
    others = {}
    for name, (page, ours) in pages.items():
        theirs, expected = read_pieces(page), read_pieces(ours)
        try:
            refuse_strange(theirs, expected)
        except EmotionError as error:
            raise EmotionError(f"{name} has {error}") from None
        others[name] = other_words(theirs, expected, compared)
    first = next((text for texts in others.values() for text in texts), "")
    count = sum(map(len, others.values()))
    said = f"; beside these, {count:,} texts of its pages are not of this version, the first: {first[:60]!r}"
    cells = f"; {len(more):,} code cells of its notebooks are not of this version: {', '.join(more[:3])}"
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


def _make_report_again(run: Run, results: Results, page: str) -> tuple[str, str]:
    """What `page` calls the run, whose folder may have been moved since, and the page under that name."""
    titled = re.search(rf"<title>{re.escape(TITLE)}: ([^<]+)</title>", page)
    name = unescape(titled[1]) if titled else results.name
    return name, make_report_again(run, replace(results, name=name))


def make_report_again(run: Run, results: Results) -> str:
    """report.html as this version writes it.

    The cells are those of the project's own notebook 06. Of each that the report shows, what it shows is evaluated.
    """
    import nbformat

    notebook = nbformat.read(NOTEBOOKS_DIR / "06_comparison.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    names: dict[str, Any] = {}
    exec(code[0].source, names)  # its imports
    names["results"] = results
    for cell in code:
        if not set(HIDDEN_CELLS) & set(cell.metadata.get("tags", [])):
            html = _evaluate(cell.source, names).html
            cell.outputs = [nbformat.v4.new_output("execute_result", data={"text/html": html}, execution_count=1)]
    return theme_svgs(fill_page(results, notebook, sorted(run.notebooks_dir.glob("*.html"))))


def _evaluate(source: str, names: dict[str, Any]) -> Shown:
    """What a cell shows: the value of its last expression. What it does before that is left undone: it writes."""
    shown = ast.parse(source).body[-1]
    assert isinstance(shown, ast.Expr), f"a cell of notebook 06 shows nothing: {source}"
    return eval(compile(ast.Expression(shown.value), "06_comparison", "eval"), names)


def read_page(path: Path) -> str:
    """The text of a page. Raises InputError where it is missing or none."""
    if not path.exists():
        raise InputError(f"{path} is missing: run `emotion run --output {path.parent}` first")
    try:
        return read_bytes(path, MOST_PAGE_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a page as this project writes it ({error})") from None


def read_notebook(path: Path) -> Any:
    """A notebook of a run. Raises InputError where the file is none."""
    import nbformat

    try:
        notebook = nbformat.reads(read_bytes(path, MOST_PAGE_BYTES).decode("utf-8"), as_version=4)
        nbformat.validate(notebook)
    except (ValueError, RecursionError, LookupError, AttributeError, TypeError, nbformat.ValidationError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: not a notebook as this project writes it ({reason})") from None
    return notebook


def _compare(name: str, page: str, ours: str, *, same_drawings: bool = True) -> int:
    """How many drawings differ in their lines alone."""
    if page == ours:
        return 0
    theirs, expected = read_pieces(page), read_pieces(ours)
    found = find_difference(theirs, expected, same_drawings=same_drawings)
    if found:
        raise EmotionError(f"{name}, {found}")
    return sum(their != our and not same_lines(their, our) for their, our in zip(theirs, expected, strict=True))


def _compare_cells(executed: Path) -> None:
    """Raises EmotionError where a cell of an executed notebook is not as the project has it; outputs are not asked."""
    source, ours = _read_source(executed)
    theirs = _without_parameters(read_notebook(executed).cells)
    for number, cell in enumerate(theirs, start=1):
        if number > len(ours) or (cell.cell_type, cell.source) != (ours[number - 1].cell_type, ours[number - 1].source):
            raise EmotionError(
                f"notebooks/{executed.name}, cell {number} is not that of {source.name}: {cell.source!r}"
            )
    if len(theirs) < len(ours):
        raise EmotionError(f"notebooks/{executed.name} lacks cell {len(theirs) + 1} of {source.name}")


def _other_cells(executed: Path) -> list[str]:
    """Code cells of an executed notebook that this version's notebook lacks, as words for the line on the result."""
    known = Counter(cell.source for cell in _read_source(executed)[1])
    more = []
    for number, cell in enumerate(_without_parameters(read_notebook(executed).cells), start=1):
        if cell.cell_type == "code" and not known[cell.source]:
            more.append(f"cell {number} of {executed.name}")
        known[cell.source] -= 1
    return more


def _read_source(executed: Path) -> tuple[Path, list[Any]]:
    """The project's notebook that an executed one was made from, and its cells."""
    import nbformat

    source = NOTEBOOKS_DIR / executed.name
    source = source if source.exists() else OWN_NOTEBOOK
    return source, nbformat.read(source, as_version=4).cells


def _without_parameters(cells: list[Any]) -> list[Any]:
    """All cells but the one that the pipeline puts directly behind that of the parameters."""
    tags = [cell.metadata.get("tags", []) for cell in cells]
    place = next((number for number, tag in enumerate(tags, start=1) if "parameters" in tag), len(cells))
    injected = place < len(cells) and "injected-parameters" in tags[place] and _only_assigns(cells[place])
    return cells[:place] + cells[place + injected :]


def _only_assigns(cell: Any) -> bool:
    """Whether a cell is code that gives names literal values and does, says and shows nothing else."""
    if cell.cell_type != "code" or cell.outputs:
        return False
    try:
        for statement in ast.parse(cell.source).body:
            if not isinstance(statement, ast.Assign) or {*map(type, statement.targets)} != {ast.Name}:
                return False
            ast.literal_eval(statement.value)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return False
    return True
