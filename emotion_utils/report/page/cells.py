"""The cells of executed notebooks, and what they show, held against the project's. No torch.

Nothing that the run folder holds is executed.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import read_bytes
from emotion_utils.provenance import NOTEBOOKS_DIR, PACKAGE_DIR
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.page.same_page import SHOWN, find_difference, read_pieces

COMPARISON = "06_comparison.ipynb"
OWN_NOTEBOOK = PACKAGE_DIR / "models" / "template" / "own_model.ipynb"  # of models without one of their own
MOST_PAGE_BYTES = 512 << 20
NOTED = ("execution", "papermill")  # metadata that running a cell adds: when and how long


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


def compare_cells(executed: Path, notebook: Any) -> None:
    """Raises EmotionError where a cell of an executed `notebook`, its outputs aside, is not the project's."""
    source, ours = _read_source(executed)
    theirs = _without_parameters(notebook.cells)
    for number, cell in enumerate(theirs, start=1):
        if number > len(ours) or _key(cell) != _key(ours[number - 1]):
            raise EmotionError(
                f"notebooks/{executed.name}, cell {number} is not that of {source.name}: {cell.source!r}"
            )
    if len(theirs) < len(ours):
        raise EmotionError(f"notebooks/{executed.name} lacks cell {len(theirs) + 1} of {source.name}")


def other_cells(executed: Path, notebook: Any) -> list[str]:
    """Cells of an executed `notebook` that this version's lacks, as words for the line on the result."""
    known = Counter(map(_key, _read_source(executed)[1]))
    more = []
    for number, cell in enumerate(_without_parameters(notebook.cells), start=1):
        if not known[_key(cell)]:
            more.append(f"cell {number} of {executed.name}")
        known[_key(cell)] -= 1
    return more


def compare_outputs(notebook: Any, shown: Any, *, same_drawings: bool) -> str:
    """What notebook 06 wrote to standard error, as words for the line on the result.

    `shown` is the project's notebook with what its cells show; those of `notebook` are the same. Raises EmotionError
    that names the first cell which shows anything else.
    """
    warnings = 0
    for number, (cell, own) in enumerate(zip(_without_parameters(notebook.cells), shown.cells, strict=True), start=1):
        theirs, ours = _read_outputs(cell), _read_outputs(own)
        warnings += bool(theirs.pop("stderr", ""))
        plain = ours.get("text/plain")
        if plain == repr(Shown(ours.get("text/html", ""))):  # then it follows from the other, to a drawing's last digit
            ours["text/plain"] = repr(Shown(theirs.get("text/html", "")))
        for kind in sorted({*theirs, *ours}):
            found = _find_difference(kind, theirs.get(kind), ours.get(kind), same_drawings)
            if found:
                raise EmotionError(f"notebooks/{COMPARISON}, what cell {number} shows ({kind}): {found}")
    said = f"; {warnings} cells of notebooks/{COMPARISON} wrote to standard error, which is not compared"
    return said * (warnings > 0)


def replace_outputs(notebook: Any, shown: Any) -> None:
    """Gives each cell of `notebook` that is one of `shown` what that one shows."""
    outputs = {_key(cell): cell.outputs for cell in shown.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if _key(cell) in outputs:
            cell.outputs = deepcopy(outputs[_key(cell)])


def _read_outputs(cell: Any) -> dict[str, str]:
    """What a cell shows: kind (a media type, stdout, stderr, error) -> text, of several outputs one after another."""
    texts: dict[str, str] = {}
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            parts = {output.name: output.text}
        else:
            parts = output.get("data", {"error": str(output)})
        for kind, text in parts.items():
            texts[kind] = texts.get(kind, "") + str(text)
    return texts


def _find_difference(kind: str, theirs: str | None, ours: str | None, same_drawings: bool) -> str | None:
    if theirs == ours:
        return None
    theirs, ours = theirs or "", ours or ""
    if kind == "text/html" and theirs and ours:
        return find_difference(read_pieces(theirs), read_pieces(ours), same_drawings=same_drawings)
    start = next((place for place, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), 0)
    start = max(0, start - SHOWN // 3)
    return f"{theirs[start:][:SHOWN]!r} is there, {ours[start:][:SHOWN]!r} follows from the artefacts"


def _key(cell: Any) -> str:
    """All of a cell that the project gives it: kind, text, attached files, metadata without what running it noted."""
    kept = {name: value for name, value in cell.metadata.items() if name not in NOTED}
    return json.dumps([cell.cell_type, cell.source, cell.get("attachments", {}), {"tags": [], **kept}], sort_keys=True)


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
