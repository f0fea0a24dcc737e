"""Faults of whole runs: kernels, limits, folders, parameters, time."""

import os
import resource
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from face_files import encode, faces, make_image, write_zip
from filelock import FileLock
from two_notebooks import COPY, FIRST, MAKE, SECOND, write_notebook

from emotion_utils import budget, kernels, pipeline, stages
from emotion_utils.audit.cache import audit_once
from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.pipeline import run_pipeline
from emotion_utils.report.page import pdf
from emotion_utils.report.page.render import render_report
from emotion_utils.run import Run
from emotion_utils.sources.source import open_source

DIE = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
ONCE = f"""{MAKE}
mark = root / "mark"
if not mark.exists():
    mark.touch()
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)"""


def start(root, *settings):
    said = []
    run_pipeline(root, resolve_config("smoke", settings), say=said.append)
    return said


# -- kernels -----------------------------------------------------------------------------------------


@pytest.mark.fault(
    "the kernel is killed, also by the system for lack of memory",
    "R E",
    "started once more, and written down; the second time refused with the reason",
)
@pytest.mark.slow
def test_killed_kernel(small, tmp_path, monkeypatch):
    write_notebook(small / f"{FIRST}.ipynb", ONCE)
    said = start(tmp_path / "once")
    assert (tmp_path / "once" / "b").read_text() == "made!"
    assert any(
        "its kernel died (it crashed or was killed)" in line and line.endswith("starting it again") for line in said
    )
    stages = Run.open(tmp_path / "once").facts["stages"]
    assert stages[FIRST]["kernel_restarted"] == f"{FIRST}: its kernel died (it crashed or was killed)"
    assert "kernel_restarted" not in stages[SECOND]

    write_notebook(small / f"{FIRST}.ipynb", DIE)
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom_kill 3\n")
    monkeypatch.setattr(kernels, "MEMORY_EVENTS", events)
    counts = iter((3, 4, 4, 5))
    monkeypatch.setattr(kernels, "_count_memory_kills", lambda: next(counts))
    with pytest.raises(EmotionError, match=r"ended it for lack of memory.*for the second time.*batch_size"):
        start(tmp_path / "twice")


@pytest.mark.fault("a cell hangs", "E", "stopped after `cell_minutes`; what was finished before stays")
def test_hanging_cell(small, tmp_path):
    write_notebook(small / f"{SECOND}.ipynb", "import time\ntime.sleep(600)")
    began = time.monotonic()
    with pytest.raises(EmotionError, match=r"06_comparison: a cell did not end within 0\.05 minutes.*cell_minutes"):
        start(tmp_path / "run", "cell_minutes=0.05")
    assert time.monotonic() - began < 120
    assert list(Run.open(tmp_path / "run").facts["stages"]) == [FIRST]


# -- folders -----------------------------------------------------------------------------------------


@pytest.mark.fault(
    "the disk is nearly full, or the output cannot be written", "E", "refused before anything is written"
)
def test_no_room(small, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda path: SimpleNamespace(free=5_000_000))
    with pytest.raises(InputError, match=r"5 MB are free.*make room, or choose another --output"):
        start(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="choose another --output"):
        start(tmp_path / "notebooks" / f"{FIRST}.ipynb" / "run")  # below a file


@pytest.mark.fault("two processes on one run folder", "E", "the second is refused and changes nothing")
def test_second_process(small, tmp_path):
    root = tmp_path / "run"
    Run.create(root, resolve_config("smoke"))
    before = {path.name: path.read_bytes() for path in root.iterdir() if path.is_file() and path.name != ".lock"}
    with FileLock(root / ".lock"), pytest.raises(EmotionError, match="another process is working on"):
        start(root)
    assert {
        path.name: path.read_bytes() for path in root.iterdir() if path.is_file() and path.name != ".lock"
    } == before


@pytest.mark.fault(
    "settings, code or data changed under a run folder",
    "E R",
    "other settings are refused by name; stages whose code or data changed are done again, and those after them",
)
@pytest.mark.slow
def test_changed_under_a_run(small, tmp_path, monkeypatch):
    root = tmp_path / "run"
    start(root)
    with pytest.raises(EmotionError, match="seed"):
        start(root, "seed=7")
    write_notebook(small / f"{FIRST}.ipynb", MAKE.replace("made", "remade"))
    start(root)
    assert (root / "b").read_text() == "remade!"
    monkeypatch.setattr(pipeline, "check_data", lambda config: "other data")
    assert not any("up to date" in line for line in start(root))


@pytest.mark.fault(
    "settings that are NaN, infinite or misspelt", "E", "named, with what was meant, before a kernel starts"
)
@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("recipes.VGG16_emotion.lr=.nan", "recipes.VGG16_emotion.lr"),
        ("budget_minutes=.inf", "budget_minutes"),
        ("epoch=3", "did you mean 'epochs'"),
    ],
)
def test_parameters(tmp_path, setting, named):
    outcome = CliRunner().invoke(
        main, ["run", "--profile", "smoke", "--set", setting, "--output", str(tmp_path / "run")]
    )
    assert outcome.exit_code == 2
    assert named in outcome.stderr
    assert not (tmp_path / "run").exists()


# -- the report and the time -------------------------------------------------------------------------


@pytest.mark.fault("no engine prints PDF", "W", "the HTML is delivered, and the run says why there is no PDF")
def test_no_pdf_engine(tmp_path, monkeypatch):
    import fake_run

    def broken(page, target):
        raise OSError("cannot load library 'pango'")

    monkeypatch.setattr(pdf, "_print_weasyprint", broken)
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    run = fake_run.make_run(tmp_path / "run", skills={"r18_pre_emotion": 0.9}, epochs=1)
    outcome = render_report(run, fake_run.execute(fake_run.NOTEBOOK, run, run.notebooks_dir / fake_run.NOTEBOOK.name))
    assert outcome["html"].exists()
    assert outcome["pdf"] is None
    assert "pango" in " ".join(outcome["notes"])


@pytest.mark.fault(
    "the session is cut off: `budget_minutes=N`",
    "W",
    "each training gets its share and stops in time with its best epoch; the report is made, and says what was cut",
)
def test_time_budget(small, tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])
    allowed = budget.Budget(20)  # 1200 s, of which 240 are kept for the report
    assert allowed.share(3) == pytest.approx(320)
    now[0] += 660
    assert allowed.share(2) == pytest.approx(150)
    now[0] += 9000
    assert allowed.share(1) == 0
    assert budget.Budget(None).share(3) == float("inf")
    monkeypatch.setenv(budget.VARIABLE, "150")
    assert budget.training_seconds(None) == 150
    assert budget.training_seconds(2) == 120

    from tiny_training import MODEL, make_trainer

    trainer = make_trainer(tmp_path / "trained", epochs=9)
    row = trainer._row
    trainer._row = lambda *parts: row(*parts) | {"seconds": 60.0}
    assert len(trainer.fit()) == 2  # a third minute would not fit
    told = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "early_stop"]
    assert told[0]["reason"] == "another epoch would outlast the 2 min 30 s that it may take"
    assert trainer.best


@pytest.mark.fault(
    "the run is stopped by hand or by the platform",
    "R",
    "the same command goes on where it was: finished stages are not run again",
)
def test_stopped_run(small, tmp_path):
    root = tmp_path / "run"
    write_notebook(small / f"{SECOND}.ipynb", DIE)
    with pytest.raises(EmotionError, match="second time"):
        start(root)
    write_notebook(small / f"{SECOND}.ipynb", COPY)
    said = start(root)
    assert any(FIRST in line and "up to date" in line for line in said)
    assert (root / "b").read_text() == "made!"


@pytest.mark.fault(
    "Ctrl-C during a notebook", "R", "one line; what the kernel says of its lost sockets goes to the notebook's log"
)
def test_interrupted_notebook(small, sigint_heard, tmp_path, capfd):
    cell = f"""import os, sys, time
print("[IPKernelApp] ERROR | Exception in message handler", file=sys.__stderr__, flush=True)
os.kill({os.getpid()}, 2)
time.sleep(60)"""
    write_notebook(small / f"{FIRST}.ipynb", cell)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "run")
    assert capfd.readouterr().err == ""
    assert "Exception in message handler" in (tmp_path / "run/notebooks" / f"{FIRST}.log").read_text()


# -- what changes or fills up meanwhile --------------------------------------------------------------


@pytest.mark.fault("the data are replaced after the run was started", "E", "refused; the next start takes the new ones")
def test_data_replaced_under_a_run(small, tmp_path, monkeypatch):
    stage = stages.Stage(FIRST, (), ("data/manifest.csv", "data/audit.json"))
    monkeypatch.setattr(pipeline, "stages_of", lambda config: [stage, stages.Stage(SECOND, (), ("b",))])
    fingerprints = iter(("data", "new data", "new data"))
    monkeypatch.setattr(pipeline, "check_data", lambda config: next(fingerprints))
    monkeypatch.setattr(pipeline, "audit_lines", lambda audit: [])
    monkeypatch.setattr(pipeline, "font_note", lambda names: "")
    write = "import json\nfrom pathlib import Path\nroot = Path(run_dir)\n(root / 'data').mkdir(exist_ok=True)\n"
    write += "(root / 'data/manifest.csv').touch()\n"
    write += (
        "(root / 'data/audit.json').write_text(json.dumps({'fingerprint': 'new data', 'classes': ['happy', 'sad']}))"
    )
    write_notebook(small / f"{FIRST}.ipynb", write)
    write_notebook(small / f"{SECOND}.ipynb", MAKE.replace("'a'", "'b'"))
    with pytest.raises(EmotionError, match="--data synthetic: changed since this run was started; start it again"):
        start(tmp_path / "run")
    assert not (tmp_path / "run" / "b").exists()
    start(tmp_path / "run")
    assert (tmp_path / "run" / "b").exists()


@pytest.mark.fault("the data change while the audit reads them", "E", "refused; nothing of it is kept in the cache")
def test_data_replaced_while_they_are_read(tmp_path, private_cache):
    path = write_zip(tmp_path / "data.zip", faces("happy", "sad", count=3))
    source, count = open_source(str(path)), iter(range(1, 10**6))

    def read(name):
        if next(count) > 6:  # all were read once
            return encode(make_image(next(count)))
        return source.read(name)

    with pytest.raises(InputError, match="changed while it was read"):
        audit_once(replace(source, read=read))
    assert [each for each in private_cache.rglob("*") if each.suffix in (".csv", ".json")] == []


@pytest.mark.fault("no room for an executed notebook", "E", "named; nothing half-written is left, and it goes on later")
def test_no_room_for_a_notebook(small, tmp_path):
    write_notebook(small / f"{SECOND}.ipynb", "print('x' * 300_000)")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(EmotionError, match=rf"{SECOND}\.(ipynb|log): cannot be written .*make room"):
            start(tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "run" / "notebooks" / f"{SECOND}.ipynb").exists()
    write_notebook(small / f"{SECOND}.ipynb", COPY)
    said = start(tmp_path / "run")
    assert any(FIRST in line and "up to date" in line for line in said)
