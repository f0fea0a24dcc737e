"""The report below the last cell of notebook 06, where a person runs it."""

import json

import pytest

from emotion_utils import hand_report
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError
from emotion_utils.hand_report import show_report
from emotion_utils.locks import hold
from emotion_utils.provenance import NOTEBOOKS_DIR
from emotion_utils.run import Run


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A run in an open notebook, and what was made of it."""
    run, made = Run.create(tmp_path / "run", resolve_config("smoke")), []

    def finish(run, executed):
        made.append(executed)
        (run.root / "report.html").write_text('<p class="a">1 & 2</p>', encoding="utf-8")
        return ["no <paper>"]

    monkeypatch.delenv("EMOTION_QUIET", raising=False)
    monkeypatch.setattr(hand_report, "_is_notebook", lambda: True)
    monkeypatch.setattr(hand_report, "execute_notebook", lambda source, executed, *_, **__: made.append(source))
    monkeypatch.setattr(hand_report, "finish_report", finish)
    return run, made


def test_report_is_made_of_the_projects_notebook_and_shown_whole(made):
    run, done = made
    html = show_report(run).html
    assert done == [NOTEBOOKS_DIR / "06_comparison.ipynb", run.notebooks_dir / "06_comparison.ipynb"]
    assert f"<p>{run.root / 'report.html'}</p><p>no &lt;paper&gt;</p>" in html
    assert 'srcdoc="&lt;p class=&quot;a&quot;&gt;1 &amp; 2&lt;/p&gt;"' in html


@pytest.mark.parametrize("is_quiet", [True, False])
def test_nothing_is_made_in_the_pipeline_nor_outside_of_notebooks(made, monkeypatch, is_quiet):
    run, done = made
    if is_quiet:
        monkeypatch.setenv("EMOTION_QUIET", "1")
    else:
        monkeypatch.undo()
    assert show_report(run) is None
    assert done == []


def test_run_that_another_process_works_on_is_left_alone(made):
    run, done = made
    with hold(run.root, ""), pytest.raises(EmotionError, match="wait for it, then run this cell again"):
        show_report(run)
    assert done == []


def test_it_is_the_last_cell_of_the_last_notebook():
    cells = json.loads((NOTEBOOKS_DIR / "06_comparison.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cells[-1]["source"][-1] == "show_report(run)"
    assert cells[-1]["metadata"]["tags"] == ["remove-cell"]
