"""The pages made again: the same bytes from the same artefacts, and what is not of this version is named."""

import shutil
from dataclasses import replace

import nbformat
import pytest

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report.page import again
from emotion_utils.report.page.again import compare_pages, make_report_again
from emotion_utils.run import Run


@pytest.fixture(scope="module")
def copied(report, tmp_path_factory):
    """A copy of the finished run below another name, and its results."""
    run = Run(tmp_path_factory.mktemp("again") / "moved", report[0].config)
    shutil.copytree(report[0].root, run.root)
    return run, replace(report[1], name="moved")


@pytest.fixture(scope="module")
def expected(report):
    return make_report_again(report[0], report[1])


@pytest.fixture
def changed(copied, expected, monkeypatch):
    """changed(file, old, new): `old` replaced once, until the test ends; the page is not made again each time."""
    monkeypatch.setattr(again, "make_report_again", lambda run, results: expected)
    kept = {}

    def change(name, old, new):
        path = copied[0].root / name
        kept.setdefault(path, path.read_text(encoding="utf-8"))
        assert old in kept[path]
        path.write_text(kept[path].replace(old, new, 1), encoding="utf-8")

    yield change
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")


def test_the_same_bytes_follow_from_the_same_artefacts(report, expected):
    run, _, outcome = report
    claims = run.path("claims").stat().st_mtime_ns
    assert outcome["html"].read_text(encoding="utf-8") == expected
    assert run.path("claims").stat().st_mtime_ns == claims  # the cell that writes them was not run


def test_a_folder_may_have_been_moved(copied):
    assert compare_pages(*copied) == "; the report calls this folder 'study'"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("It is also hard.", "It is also hard. VGG16_emotion is the best.", "near '1 Introduction', .*is the best"),
        ("</main>", '<p style="font-size:1px">x</p></main>', "font-size:1px"),
        ("</main>", "</main><script>document.title = 1</script>", "document.title"),
        ('<svg role="img"', '<svg role="img" onclick="x"', "in a drawing, .*onclick"),
    ],
)
def test_what_nothing_makes_is_named(copied, changed, old, new, named):
    changed("report.html", old, new)
    with pytest.raises(EmotionError, match=rf"report\.html, .*{named}"):
        compare_pages(*copied)


def test_changed_page_or_cell_of_a_notebook_is_named(copied, changed):
    changed("notebooks/06_comparison.html", "A published study", "A famous study")
    with pytest.raises(EmotionError, match=r"notebooks/06_comparison\.html, near 'Introduction', .*A famous"):
        compare_pages(*copied)
    changed("notebooks/06_comparison.html", "A published study", "A published study")
    changed("notebooks/06_comparison.ipynb", "A published study", "A famous study")
    with pytest.raises(EmotionError, match=r"06_comparison\.ipynb, cell \d+ is not that of .*A famous"):
        compare_pages(*copied)


def test_drawings_of_another_matplotlib_are_counted(copied, changed):
    changed("report.html", '<path d="M', '<path d="M 99')
    assert "matplotlib of an unknown version drew 1 drawings differently" in compare_pages(*copied)


@pytest.mark.parametrize("content", ["[" * 10**5, "{}", '{"nbformat": 4, "cells": [{}]}', "\x00", "null"])
def test_what_is_no_notebook_is_one_line(copied, tmp_path, content):
    path = tmp_path / "06_comparison.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="not a notebook as this project writes it"):
        again.read_notebook(path)


def test_lost_cell_is_named(copied, tmp_path):
    path = tmp_path / "06_comparison.ipynb"
    notebook = nbformat.read(copied[0].notebooks_dir / path.name, as_version=4)
    notebook.cells.pop()
    nbformat.write(notebook, path)
    with pytest.raises(EmotionError, match=r"lacks cell \d+ of 06_comparison"):
        again._compare_cells(path)


def test_page_without_its_notebook_is_refused(copied):
    page = copied[0].notebooks_dir / "07_summary.html"
    page.write_text("<script>document.title = 1</script>", encoding="utf-8")
    try:
        with pytest.raises(EmotionError, match=r"notebooks/07_summary\.html is the page of no notebook"):
            again.find_notebooks(copied[0])
        with pytest.raises(EmotionError, match="07_summary"):
            compare_pages(*copied)
        with pytest.raises(EmotionError, match="07_summary"):
            again.look_through_pages(*copied, "")
    finally:
        page.unlink()


def test_missing_notebook_of_a_stage_is_refused(copied, tmp_path):
    run = Run(tmp_path / "run", copied[0].config)
    shutil.copytree(copied[0].root, run.root)
    for path in (*run.notebooks_dir.glob("01*"), *run.notebooks_dir.glob("0[26]*.ipynb")):
        path.unlink()
    with pytest.raises(EmotionError, match=r"notebooks/02_vggface_finetuned\.html is the page of no notebook"):
        again.find_notebooks(run)
    for path in run.notebooks_dir.glob("*.html"):
        path.unlink()
    with pytest.raises(EmotionError, match=r"notebooks/01_data_preparation\.ipynb, notebooks/02.* missing, which run"):
        compare_pages(run, copied[1])
    assert "; notebooks/01_data_preparation.ipynb, " in again.look_through_pages(run, copied[1], "")


def write_cells(run, path, source, *, behind=0, **cell):
    """A copy of the run's notebook 06 at `path` with a cell of parameters, `behind` cells too low."""
    notebook = nbformat.read(run.notebooks_dir / "06_comparison.ipynb", as_version=4)
    place = next(n for n, each in enumerate(notebook.cells) if "parameters" in each.metadata.get("tags", []))
    new = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]}, **cell)
    notebook.cells.insert(place + 1 + behind, new)
    nbformat.write(notebook, path)
    return path


GIVEN = '# Parameters\nrun_dir = "/runs/demo"\nepochs = -1\nnames = ["a", None]\n'


def test_cell_of_given_parameters_is_allowed(copied, tmp_path):
    again._compare_cells(write_cells(copied[0], tmp_path / "06_comparison.ipynb", GIVEN))


@pytest.mark.parametrize(
    ("source", "more"),
    [
        ("import os", {}),
        (GIVEN + "print(run_dir)", {}),
        ("run_dir = open('x')", {}),
        ("run_dir.x = 1", {}),
        ("run_dir = ", {}),
        (GIVEN, {"behind": 1}),
        (GIVEN, {"outputs": [nbformat.v4.new_output("stream", text="VGG16_emotion is the best.")]}),
    ],
)
def test_other_cell_with_the_tag_of_given_parameters_is_refused(copied, tmp_path, source, more):
    with pytest.raises(EmotionError, match=r"cell \d+ is not that of 06_comparison"):
        again._compare_cells(write_cells(copied[0], tmp_path / "06_comparison.ipynb", source, **more))


def test_code_cells_of_another_version_are_counted_and_named(copied, changed):
    assert "code cells" not in again.look_through_pages(*copied, "")
    changed("notebooks/06_comparison.ipynb", "alpha = ALPHA", "alpha = 0.5")
    assert "; 1 code cells of its notebooks are not of this version: cell " in again.look_through_pages(*copied, "")
