"""Machines unlike the one this was written on: other Pythons, folders, fonts, installers and libraries."""

import json
import sys
import tempfile

import pytest
from two_notebooks import FIRST, SECOND, write_notebook

from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.figures.fonts import font_note
from emotion_utils.pipeline import run_pipeline
from emotion_utils.report.page import pdf
from emotion_utils.report.page.clean import clean_html
from emotion_utils.sources.source import open_source

TELL = """
import os, sys
from pathlib import Path
root = Path(run_dir)
(root / 'a').write_text(f"{sys.executable} {os.environ['JUPYTER_RUNTIME_DIR']}")
(root / 'b').write_text('')
(root / 'claims').touch()"""


@pytest.fixture
def ask_kernel(small, tmp_path):
    """Runs the pipeline and returns what its kernel saw: its Python, and the folder of its sockets."""
    write_notebook(small / f"{FIRST}.ipynb", TELL)
    write_notebook(small / f"{SECOND}.ipynb", TELL)

    def ask(name="run"):
        run_pipeline(tmp_path / name, resolve_config("smoke"), say=lambda line: None)
        return (tmp_path / name / "a").read_text().split()

    return ask


@pytest.mark.fault(
    "kernelspecs of another Python, or broken ones; IPython startup files that fail",
    "R",
    "notebooks run in the Python of the command, whatever Jupyter and IPython find",
)
def test_foreign_kernelspec(ask_kernel, tmp_path, monkeypatch):
    foreign = {"argv": ["/nowhere/python3", "-f", "{connection_file}"], "display_name": "p", "language": "python"}
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("import sys; sys.executable = 'changed'")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for name, spec in (("foreign", json.dumps(foreign)), ("broken", "{")):
        folder = tmp_path / name / "kernels" / "python3"
        folder.mkdir(parents=True)
        (folder / "kernel.json").write_text(spec)
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / name))
        assert ask_kernel(f"run-{name}")[0] == sys.executable


@pytest.mark.fault("the path of TMPDIR is longer than a socket's may be", "R", "sockets get a shorter place")
def test_long_tmpdir(ask_kernel, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert not ask_kernel()[1].startswith(str(long))
    assert list(long.iterdir()) == []


# -- paper -------------------------------------------------------------------------------------------


@pytest.mark.fault("no font at all, or a printer that crashes", "W", "the HTML is delivered, and the run says why")
def test_no_font(tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    (tmp_path / "fonts.conf").write_text(f"<fontconfig><dir>{tmp_path / 'empty'}</dir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))
    path, notes = pdf.print_pdf("<html lang='en'><title>a</title><p>text</p></html>", tmp_path / "report.pdf")
    assert path is None
    assert list(tmp_path.glob("*.pdf")) == []
    assert "No fonts configured" in notes[0]
    assert "and a font" in notes[-1]

    with pytest.raises(OSError, match="ended by SIGSEGV"):
        pdf._run([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"])


@pytest.mark.fault(
    "class names in a script that no installed font has",
    "W",
    "said before training and with the report; the HTML is right",
)
def test_script_without_a_font(monkeypatch):
    from matplotlib import font_manager, get_data_path

    dejavu = f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [dejavu, __file__])
    assert font_note(["开心", "sad"]).startswith("class names: no font of this machine has 开, 心: report.pdf")
    assert font_note(["грустный", "λύπη", "très triste", "شاد\u200cتر"]) == ""
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    assert "λ" in font_note(["λύπη"])
    assert font_note(["sad"]) == ""  # which costs no look at fonts


@pytest.mark.fault(
    "class names with control or private-use characters, or that are columns of the tables",
    "E",
    "refused before anything is written, in letters that any terminal shows",
)
@pytest.mark.parametrize("name", ["a\x1b[31mb", "\ue000", "label", "reason"])
def test_names_that_tables_or_fonts_cannot_hold(tmp_path, name):
    rows = "".join(f'{number}.png,"{label}"\n' for number, label in enumerate(("happy", name)))
    (tmp_path / "labels.csv").write_text(f"path,label\n{rows}", encoding="utf-8")
    for number in range(2):
        (tmp_path / f"{number}.png").write_bytes(b"\x89PNG")
    with pytest.raises(InputError, match="rename it") as refused:
        open_source(str(tmp_path / "labels.csv"))
    assert str(refused.value).isprintable()


@pytest.mark.fault(
    "an executed notebook from somebody else that would run, load or navigate",
    "R",
    "its page keeps text, tables, images and SVG alone; the printer loads nothing",
)
def test_hostile_notebook():
    refresh = '<meta http-equiv="refresh" content="0;url=//e.org">'
    assert clean_html(f"<p>a</p>{refresh}<script>b</script>") == "<p>a</p>"
    assert clean_html(r'<p style="background: u\72l(//e.org)">a</p><img src="//e.org" alt="b">') == (
        '<p>a</p><img alt="b">'
    )
