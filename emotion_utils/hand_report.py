"""The report of a run whose notebooks were run by hand, made and shown in the last of them. Needs no torch."""

from __future__ import annotations

import os
import sys
from html import escape

from emotion_utils.kernels import execute_notebook
from emotion_utils.locks import hold
from emotion_utils.progress import QUIET_VARIABLE
from emotion_utils.provenance import NOTEBOOKS_DIR
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.page.render import finish_report
from emotion_utils.run import Run

COMPARISON = "06_comparison.ipynb"


def show_report(run: Run) -> Shown | None:
    """Makes report.html and report.pdf of what the run folder holds, and returns the page, to be shown below the cell.

    Notebook 06 is run for it once more, as the project has it: what is tried in an open one stays out of the report.
    Nothing happens where nobody looks: in `emotion run`, which makes the report itself, and outside of notebooks.
    Raises EmotionError as these do, and where another process works on the run.
    """
    if os.environ.get(QUIET_VARIABLE) or not _is_notebook():
        return None
    with hold(run.root, "wait for it, then run this cell again"):
        executed = run.notebooks_dir / COMPARISON
        parameters = {"run_dir": str(run.root.resolve())}
        cell_minutes = run.config.cell_minutes
        execute_notebook(NOTEBOOKS_DIR / COMPARISON, executed, parameters, cell_minutes=cell_minutes, environment={})
        notes = finish_report(run, executed)
    html = run.inside("report.html")
    lines = "".join(f"<p>{escape(line)}</p>" for line in (str(html.resolve()), *notes))
    page = escape(html.read_text(encoding="utf-8"))  # within this one: Colab and Kaggle show no file of their machine
    return Shown(f'{lines}<iframe title="The report" srcdoc="{page}" style="width: 100%; height: 80vh"></iframe>')


def _is_notebook() -> bool:
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)() is not None
