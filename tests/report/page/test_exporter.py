"""Where nbconvert's templates are found."""

import shutil
from pathlib import Path

import nbconvert
import nbformat
import pytest
from nbconvert.exporters.templateexporter import jupyter_path

from emotion_utils.report.page import exporter
from emotion_utils.report.page.exporter import PageExporter, label_code


@pytest.fixture
def templates():
    """nbconvert's own, wherever they are here."""
    found = [Path(folder) / "nbconvert" / "templates" for folder in jupyter_path()]
    return next(folder for folder in found if (folder / "base").is_dir())


def test_templates_that_pip_put_beside_the_package_are_found(tmp_path, monkeypatch, templates):
    shutil.copytree(templates, tmp_path / "share/jupyter/nbconvert/templates")
    monkeypatch.setattr(nbconvert, "__file__", str(tmp_path / "nbconvert" / "__init__.py"))
    monkeypatch.setattr(exporter.metadata, "files", lambda name: None)
    monkeypatch.setattr("nbconvert.exporters.templateexporter.jupyter_path", lambda *parts: [])
    monkeypatch.setattr(exporter.HTMLExporter, "get_prefix_root_dirs", lambda self: [])
    made = PageExporter.make(Path(exporter.__file__).parent / "template", [])
    assert str(tmp_path / "share/jupyter/nbconvert/templates/base") in made.template_paths


def test_code_of_a_cell_that_says_nothing_is_named_by_its_first_line():
    for html, label in {"<p>x</p>": "Code of the text above", "": "Code: show()"}.items():
        shown = nbformat.v4.new_output("display_data", data={"text/html": f'<div class="prose a">{html}</div>'})
        assert label_code(nbformat.v4.new_code_cell("show()", outputs=[shown])) == label
