"""Machines unlike the one this was written on: other Pythons, folders, fonts, installers and libraries."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest
from two_notebooks import FIRST, SECOND, write_notebook

from emotion_utils.cache_building import only_builder, replacing_folder
from emotion_utils.config import resolve_config
from emotion_utils.environment import cache_dir
from emotion_utils.errors import InputError
from emotion_utils.figures.fonts import font_note
from emotion_utils.figures.style import figure_style, figure_svg
from emotion_utils.files import write_json
from emotion_utils.locks import hold
from emotion_utils.pipeline import run_pipeline
from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.report.page import pdf
from emotion_utils.report.page.clean import clean_html
from emotion_utils.report.sections.reproduce import _threads_note
from emotion_utils.run import Run
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


@pytest.mark.fault(
    "a matplotlibrc or MPLBACKEND of a person's own", "R", "the figures of a run look as they do without it"
)
def test_own_matplotlibrc(small, tmp_path, monkeypatch):
    draw = f"""{TELL}
import matplotlib.pyplot as plt
(root / 'a').write_text(f"{{plt.rcParams['axes.grid']}} {{plt.rcParams['savefig.bbox']}} {{plt.get_backend()}}")"""
    write_notebook(small / f"{FIRST}.ipynb", draw)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "matplotlibrc").write_text("text.usetex: True\naxes.grid: True\nsavefig.bbox: tight\n")
    for variable in ("MATPLOTLIBRC", "MPLCONFIGDIR"):
        monkeypatch.setenv(variable, str(tmp_path / "own"))
    monkeypatch.setenv("MPLBACKEND", "tkagg")
    run_pipeline(tmp_path / "run", resolve_config("smoke"), say=lambda line: None)
    assert (tmp_path / "run" / "a").read_text().split()[:2] == ["False", "None"]
    assert "inline" in (tmp_path / "run" / "a").read_text()

    from matplotlib import pyplot as plt

    with plt.rc_context({"text.usetex": True, "axes.grid": True, "savefig.bbox": "tight", "font.size": 40}):
        with figure_style():
            assert not plt.rcParams["text.usetex"]
            assert not plt.rcParams["axes.grid"]
            figure = plt.figure()
        assert plt.rcParams["font.size"] == 40
        one = figure_svg(figure, "key", "alt")
    assert one == figure_svg(figure, "key", "alt")
    plt.close(figure)


@pytest.mark.fault(
    "folders of the cache and of weights given relative to the command's folder; braces in the name of a folder",
    "R",
    "notebooks, which run elsewhere, find the same folders",
)
def test_relative_folders_and_braces(small, tmp_path, monkeypatch):
    tell = "\n(root / 'a').write_text(os.environ['EMOTION_CACHE_DIR'] + ' ' + os.environ['EMOTION_WEIGHTS_DIR'])"
    write_notebook(small / f"{FIRST}.ipynb", TELL + tell)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOTION_CACHE_DIR", "cache")
    monkeypatch.setenv("EMOTION_WEIGHTS_DIR", "../weights")
    assert cache_dir() == tmp_path / "cache"
    run_pipeline(tmp_path / "K{x}{}", resolve_config("smoke"), say=lambda line: None)
    assert (tmp_path / "K{x}{}" / "a").read_text() == f"{tmp_path / 'cache'} {tmp_path.parent / 'weights'}"
    assert (tmp_path / "K{x}{}" / "notebooks" / f"{FIRST}.ipynb").exists()


@pytest.mark.fault("EMOTION_OFFLINE=1 with data that would have to be fetched", "E", "refused before anything is asked")
@pytest.mark.parametrize("spec", ["kaggle:owner/name", "https://drive.google.com/drive/folders/abc123def456"])
def test_offline(monkeypatch, spec):
    monkeypatch.setenv("EMOTION_OFFLINE", "1")
    for module in ("gdown", "kagglehub"):
        monkeypatch.setitem(sys.modules, module, None)  # which cannot be imported, then
    with pytest.raises(InputError, match="EMOTION_OFFLINE forbids"):
        open_source(spec)


@pytest.mark.fault(
    "PYTHONPATH with other copies of packages, also broken ones (cluster modules, ROS)",
    "W",
    "such a folder is left out and named; others stay",
)
def test_foreign_pythonpath(tmp_path):
    for folder, module in (("ros", "cv2"), ("ros", "numpy"), ("cluster", "yaml"), ("own", "my_helpers")):
        (tmp_path / folder / module).mkdir(parents=True)
        (tmp_path / folder / module / "__init__.py").write_text("raise ImportError('libopencv_core.so.4.2')")
    entries = [str(PROJECT_DIR), *(str(tmp_path / name) for name in ("ros", "own", "cluster", "gone"))]
    command = [sys.executable, "-P", "-c", LOOK]
    found = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": os.pathsep.join(entries)}, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == os.pathsep.join([*entries[:1], entries[2], entries[4]])
    assert found.stderr.splitlines() == [
        f"PYTHONPATH: {tmp_path / 'ros'} is left out: it holds another cv2, numpy",
        f"PYTHONPATH: {tmp_path / 'cluster'} is left out: it holds another yaml",
    ]


LOOK = """
from emotion_utils.search_path import leave_out_copies
leave_out_copies()
import os, cv2, numpy, yaml
print(os.environ["PYTHONPATH"])"""


@pytest.mark.fault(
    "a umask that shares nothing", "R", "what is written is as private as it says; caches of faces are private always"
)
def test_umask(tmp_path):
    before = os.umask(0o077)
    try:
        write_json(tmp_path / "a.json", 1)
        os.umask(0o022)
        write_json(tmp_path / "b.json", 1)
        with replacing_folder(tmp_path / "faces") as folder:
            (folder / "images").touch()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"a.json": 0o600, "b.json": 0o644, "faces": 0o700}


@pytest.mark.fault("the disk of the cache is full", "E", "the cache is named, and the variable that moves it")
def test_full_cache(tmp_path):
    message = r"audits: the disk is full; .*EMOTION_CACHE_DIR"
    with pytest.raises(InputError, match=message), only_builder(tmp_path / "audits" / "key", 0):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.fault("killed while a file was being written", "R", "what is left of it goes at the next start")
def test_leftovers(small, tmp_path):
    root = tmp_path / "run"
    run_pipeline(root, resolve_config("smoke"), say=lambda line: None)
    (root / "models").mkdir(exist_ok=True)
    left = [root / ".report.pdf.1a2b3c4d.pdf", root / "models" / ".history.csv.abcd_123.csv"]
    kept = [root / ".gitignore", root / ".notes.2024.txt"]
    for path in (*left, *kept):
        path.touch()
    run_pipeline(root, resolve_config("smoke"), say=lambda line: None)
    assert [path.exists() for path in (*left, *kept)] == [False, False, True, True]


@pytest.mark.fault(
    "another number of cores, so that sums have another order",
    "W",
    "the number of threads is recorded and said in the report; `threads=N` fixes it",
)
def test_fixed_number_of_threads(small, tmp_path):
    tell = "\nimport torch\n(root / 'a').write_text(str(torch.get_num_threads()))"
    write_notebook(small / f"{FIRST}.ipynb", TELL + tell)
    run_pipeline(tmp_path / "run", resolve_config("smoke", ["threads=1"]), say=lambda line: None)
    assert (tmp_path / "run" / "a").read_text() == "1"
    assert Run.open(tmp_path / "run").facts["environment"]["threads"] == 1
    results = SimpleNamespace(
        models=["m"], events={"m": [{"kind": "started", "threads": 2}]}, facts={"environment": {"threads": "auto"}}
    )
    assert _threads_note(results).startswith("Trained with 2 threads. ")


@pytest.mark.fault("a drive without locks (ENOSYS, ENOLCK)", "W", "goes on without that lock and says so")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_drive_without_locks(tmp_path, monkeypatch, capsys, number):
    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with only_builder(tmp_path / "stores" / "key", 0), hold(tmp_path / "run", "wait"):
        pass
    said = capsys.readouterr().err
    assert said.count("this drive has no locks") == 2
    assert str(tmp_path / "run") in said
    monkeypatch.setattr("fcntl.flock", lambda *arguments: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"), hold(tmp_path / "run", "wait"):
        pass


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
