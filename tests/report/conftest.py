"""Finished runs that nobody trained, and one report that many tests look at."""

import shutil

import fake_run
import pytest
from fake_run import NOTEBOOK

from emotion_utils.report.page.render import render_report
from emotion_utils.report.results import read_results


@pytest.fixture
def execute():
    """execute(run) -> the path of notebook 06, executed on `run`."""
    return lambda run: fake_run.execute(NOTEBOOK, run, run.notebooks_dir / NOTEBOOK.name)


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A run of the study's models and its report, which no test changes: (run, results, outcome of render_report)."""
    run = fake_run.make_run(tmp_path_factory.mktemp("report") / "study")
    notebook = fake_run.execute(NOTEBOOK, run, run.notebooks_dir / NOTEBOOK.name)
    for name in fake_run.STAGES:
        shutil.copy(NOTEBOOK.with_stem(name), run.notebooks_dir)
    return run, read_results(run), render_report(run, notebook)
