"""The pages made again: the same bytes from the same artefacts, and what is not of this version is named."""

import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report.page import again, cells
from emotion_utils.report.page.again import compare_pages, make_report_again
from emotion_utils.report.page.notebook_pages import fill_notebook
from emotion_utils.run import Run


@pytest.fixture(scope="module")
def copied(report, tmp_path_factory):
    """A copy of the finished run below another name, and its results."""
    run = Run(tmp_path_factory.mktemp("again") / "moved", report[0].config)
    shutil.copytree(report[0].root, run.root)
    return run, replace(report[1], name="moved")


@pytest.fixture(scope="module")
def expected(report):
    return make_report_again(report[0], report[1])  # the page, and notebook 06 with what it shows


def compare_cells(path):
    cells.compare_cells(path, cells.read_notebook(path))


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
    assert outcome["html"].read_text(encoding="utf-8") == expected[0]
    assert run.path("claims").stat().st_mtime_ns == claims  # the cell that writes them was not run


@pytest.mark.slow
def test_a_folder_may_have_been_moved_and_be_named_from_where_one_stands(copied, monkeypatch):
    run, results = copied
    monkeypatch.chdir(run.root.parent)
    assert compare_pages(Run.open(Path(run.root.name)), results) == "; the report calls this folder 'study'"


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
        cells.read_notebook(path)


def test_lost_cell_is_named(copied, tmp_path):
    path = tmp_path / "06_comparison.ipynb"
    notebook = nbformat.read(copied[0].notebooks_dir / path.name, as_version=4)
    notebook.cells.pop()
    nbformat.write(notebook, path)
    with pytest.raises(EmotionError, match=r"lacks cell \d+ of 06_comparison"):
        compare_cells(path)


def test_file_attached_to_a_cell_is_named(tmp_path):
    path = tmp_path / cells.COMPARISON
    notebook = nbformat.read(cells.NOTEBOOKS_DIR / path.name, as_version=4)
    notebook.cells[0]["attachments"] = {"a.png": {"image/png": "AAAA"}}
    with pytest.raises(EmotionError, match="cell 1 is not that of"):
        cells.compare_cells(path, notebook)
    assert cells.other_cells(path, notebook) == [f"cell 1 of {path.name}"]


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
    compare_cells(write_cells(copied[0], tmp_path / "06_comparison.ipynb", GIVEN))


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
        compare_cells(write_cells(copied[0], tmp_path / "06_comparison.ipynb", source, **more))


def test_code_cells_of_another_version_are_counted_and_named(copied, changed):
    assert "cells of" not in again.look_through_pages(*copied, "")
    changed("notebooks/06_comparison.ipynb", "alpha = ALPHA", "alpha = 0.5")
    assert "; 1 cells of its notebooks are not of this version: cell " in again.look_through_pages(*copied, "")


def output(kind, text):
    return nbformat.v4.new_output("display_data", data={kind: text})


def error():
    return nbformat.v4.new_output("error", ename="", evalue="", traceback=["VGG16_emotion is the best."])


def edit(part, old, new):
    """A change of `old` to `new` in what the cells print (part None), or in the data of that kind."""

    def change(notebook):
        outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
        if part is None:
            place, name = next(each for each in outputs if old in each.get("text", "")), "text"
        else:
            place, name = next(each.data for each in outputs if old in each.get("data", {}).get(part, "")), part
        place[name] = place[name].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (edit(None, "significantly: 11.7%", "significantly: 21.7%"), r"cell 10 .*\(stdout\): .*21\.7"),
        (edit("text/html", "<td>0.1167</td>", "<td>0.2167</td>"), r"cell 8 .*\(text/html\): .*0\.2167"),
        (edit("text/plain", "0.1167", "0.2167"), r"cell 8 .*\(text/plain\): .*0\.2167"),
        (edit("text/html", "Rates of counted", "Rates of all"), r"cell \d+ .*\(text/html\): .*Rates of all"),
        (edit("text/plain", "Rates of counted", "Rates of all"), r"cell \d+ .*\(text/plain\): .*Rates of all"),
        (lambda notebook: notebook.cells[9].outputs.append(output("image/png", "")), r"cell 10 .*\(image/png\)"),
        (
            lambda notebook: notebook.cells[1].outputs.append(output("text/markdown", "x")),
            r"cell 2 .*\(text/markdown\)",
        ),
        (lambda notebook: notebook.cells[9].outputs.append(error()), r"cell 10 .*\(error\): .*is the best"),
        (lambda notebook: notebook.cells[9].outputs.clear(), r"cell 10 .*\(stdout\): '' is there"),
    ],
)
def test_what_notebook_06_shows_must_follow(copied, expected, change, named):
    notebook = cells.read_notebook(copied[0].notebooks_dir / cells.COMPARISON)
    assert cells.compare_outputs(notebook, expected[1], same_drawings=True) == ""
    change(notebook)
    with pytest.raises(EmotionError, match=rf"06_comparison\.ipynb, what {named}"):
        cells.compare_outputs(notebook, expected[1], same_drawings=True)


def test_warning_of_notebook_06_is_told(copied, expected):
    notebook = cells.read_notebook(copied[0].notebooks_dir / cells.COMPARISON)
    notebook.cells[9].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="a warning"))
    told = cells.compare_outputs(notebook, expected[1], same_drawings=True)
    assert told.startswith("; 1 cells of notebooks/06_comparison.ipynb wrote to standard error")


def test_output_that_another_version_cannot_have_made_is_told(copied, changed, expected):
    changed("notebooks/06_comparison.ipynb", "significantly: 11.7%", "significantly: 21.7%")
    page = fill_notebook(cells.read_notebook(copied[0].notebooks_dir / cells.COMPARISON), "06")
    path = copied[0].notebooks_dir / "06_comparison.html"
    before = path.read_text(encoding="utf-8")
    changed(f"notebooks/{path.name}", before, page)
    assert "; beside these, 1 texts of its pages are not of this" in again.look_through_pages(*copied, "")


@pytest.mark.parametrize(
    "metadata", [{"tags": ["remove-cell", "injected-parameters"]}, {"transient": {"remove_source": True}}]
)
def test_cell_that_its_metadata_hide_is_refused(copied, tmp_path, metadata):
    notebook = cells.read_notebook(copied[0].notebooks_dir / cells.COMPARISON)
    notebook.cells[9].metadata.update(metadata)
    nbformat.write(notebook, tmp_path / cells.COMPARISON)
    with pytest.raises(EmotionError, match=r"cell 10 is not that of 06_comparison"):
        compare_cells(tmp_path / cells.COMPARISON)
