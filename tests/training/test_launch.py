"""Several processes that nobody started by hand, and those of a documented line: one training, one run folder."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from safetensors.torch import load_file
from tiny_training import same_bits
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from emotion_utils.bench.proxies import prepare_run
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.kernels import execute_notebook
from emotion_utils.run import Run
from emotion_utils.training import launch, worker
from emotion_utils.training.trainer import train_model

MODEL = "tiny_emotion"
PROJECT = Path(__file__).parents[2]
TRAIN = [sys.executable, "-m", "emotion_utils", "train", MODEL, "--run"]
DEADLINE_S = 120  # for what should happen at once, on a machine that is busy
KILL_AFTER_FOUR_CHECKPOINTS = """
import itertools, os, signal
from emotion_utils.training import checkpoint
checkpoint.INTERVAL_S, checkpoint.COST_SHARE = 0.0, 1e9
write, count = checkpoint.Checkpoint.write, itertools.count(1)
def write_and_die(self, state):
    write(self, state)
    if next(count) == 4 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Checkpoint.write = write_and_die
"""  # Python runs it at the start of each process


def prepare(root, *settings):
    """A run of 60 faces of 32 px, ready to be trained on."""
    return prepare_run(root, resolve_config("smoke", [f"models=[{MODEL}]", "synthetic_images=60", *settings]))


def weights(run):
    return load_file(run.model_dir(MODEL) / "model.safetensors")


def started(run):
    (event,) = [event for event in run.read("events", MODEL) if event["kind"] == "started"]
    return event


@pytest.fixture
def elsewhere(monkeypatch):
    """Processes that are started find this package and the programs of this environment, as in an activated one."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


@pytest.fixture(scope="module")
def by_torchrun(tmp_path_factory):
    """A run that the line in docs/gpus.md has trained with two processes."""
    root = tmp_path_factory.mktemp("torchrun")
    page = (PROJECT / "docs" / "gpus.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^torchrun --standalone .*$", page, re.MULTILINE)
    words = {"N": "2", "MODEL": MODEL, "DIR": str(root / "run")}
    command = [re.sub(r"\b(N|MODEL|DIR)$", lambda word: words[word[1]], part) for part in shlex.split(line)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOTION_CACHE_DIR", str(root / "cache"))
        patch.setenv("PYTHONPATH", str(PROJECT))
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        patch.delenv("OMP_NUM_THREADS", raising=False)  # torchrun then gives each process one thread
        run = prepare(root / "run")
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run


@pytest.mark.slow
def test_the_documented_line_trains_with_two_processes(by_torchrun):
    assert started(by_torchrun)["processes"] == 2
    assert len(by_torchrun.read("history", MODEL)) == by_torchrun.config.epochs
    assert set(by_torchrun.read("predictions", MODEL)["split"]) == {"val", "test"}


@pytest.mark.slow
def test_a_notebook_trains_with_two_processes_to_the_bits_of_torchrun(by_torchrun, tmp_path):
    run = prepare(tmp_path / "run", "processes=2")
    code = f"""
    from emotion_utils.run import Run
    from emotion_utils.training.trainer import train_model
    told = []
    history = train_model(Run.open(run_dir), "{MODEL}", progress=lambda done, total: told.append((done, total)))
    assert told == sorted(set(told)) and told[-1] == (6, 6), told
    assert list(history["epoch"]) == [1, 2]
    """
    lines = "\n".join(line.removeprefix("    ") for line in code.splitlines())
    parameters = nbformat.v4.new_code_cell("run_dir = ''", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(lines)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "source").mkdir()
    nbformat.write(notebook, tmp_path / "source" / "train.ipynb")
    execute_notebook(
        tmp_path / "source" / "train.ipynb", tmp_path / "executed" / "train.ipynb", {"run_dir": str(run.root)},
        cell_minutes=5, environment={"OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert (started(run)["processes"], started(run)["threads"]) == (2, 1)
    assert same_bits(weights(run), weights(by_torchrun))
    one, two = ({path.name for path in each.model_dir(MODEL).iterdir()} for each in (run, by_torchrun))
    assert one == two - {"predictions.csv"}
    assert run.facts["weights"] == by_torchrun.facts["weights"]


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_goes_on_to_the_same_bits(by_torchrun, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(KILL_AFTER_FOUR_CHECKPOINTS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{PROJECT}{os.pathsep}{tmp_path}")
    run = prepare(tmp_path / "run", "processes=2")
    history = train_model(run, MODEL)
    assert history["epoch"].tolist() == [1, 2]
    (resumed,) = [event for event in run.read("events", MODEL) if event["kind"] == "resumed"]
    assert (resumed["epoch"], resumed["step"]) == (2, 0)  # three steps of epoch 1, and its end
    assert same_bits(weights(run), weights(by_torchrun))


@pytest.mark.slow
def test_an_error_in_a_process_is_one_line_and_its_exit_status(elsewhere, tmp_path):
    run = prepare(tmp_path / "run", "processes=2", f"recipes.{MODEL}.weights={tmp_path / 'none.safetensors'}")
    done = subprocess.run([*TRAIN, run.root], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("emotion: ")
    assert "none.safetensors" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["stopped", "killed"])
def test_processes_end_with_the_one_that_waits_for_them(elsewhere, sigint_heard, tmp_path, ending):
    run = prepare(tmp_path / "run", "processes=2", "epochs=1000")
    caller = subprocess.Popen([*TRAIN, run.root], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_S
    while not (run.model_dir(MODEL) / "history.csv").exists():
        assert caller.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    others = psutil.Process(caller.pid).children(recursive=True)
    assert len(others) == 3  # the launcher and two that train
    caller.send_signal(ending)
    assert caller.wait(DEADLINE_S) == (1 if ending == signal.SIGINT else -signal.SIGKILL)
    assert psutil.wait_procs(others, DEADLINE_S)[1] == []


def test_auto_is_a_process_per_gpu_and_one_without(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for gpus, processes in ((0, 1), (1, 1), (2, 2)):
        monkeypatch.setattr(launch, "count_gpus", lambda gpus=gpus: gpus)
        assert launch.processes_to_start(resolve_config("demo")) == processes


def test_a_number_of_processes_is_taken_literally_but_no_gpu_is_shared(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    three = resolve_config("demo", ["processes=3"])
    monkeypatch.setattr(launch, "count_gpus", lambda: 0)
    assert launch.processes_to_start(three) == 3
    monkeypatch.setattr(launch, "count_gpus", lambda: 2)
    with pytest.raises(InputError, match="processes=3: each needs a GPU of its own, and there are 2"):
        launch.processes_to_start(three)


def test_what_a_launcher_has_started_starts_no_more(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launch.processes_to_start(resolve_config("demo", ["processes=2"])) == 1


def test_of_several_failures_the_one_that_caused_the_others_is_told(tmp_path):
    failures = {rank: ProcessFailure(rank, 100 + rank, status, "") for rank, status in ((0, 1), (1, -9), (2, -15))}
    assert "ended by SIGKILL" in worker._explain(ChildFailedError("train", failures), tmp_path)
    worker._note_first(tmp_path, RuntimeError("no such kernel\nand more"))
    worker._note_first(tmp_path, RuntimeError("connection closed by peer"))
    told = worker._explain(ChildFailedError("train", {0: failures[0], 2: failures[2]}), tmp_path)
    assert "(RuntimeError: no such kernel)" in told


@pytest.mark.parametrize("wrong", ["0", "65", "many", "1.5", "true"])
def test_processes_that_cannot_be_counted_are_one_complaint(wrong):
    with pytest.raises(InputError, match=r"^processes: should be auto, or a whole number from 1 to 64$"):
        resolve_config("demo", [f"processes={wrong}"])


def test_a_run_made_before_there_were_processes_opens(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke", [f"models=[{MODEL}]"]))
    facts = run.facts
    del facts["config"]["processes"]
    run.write("facts", facts)
    assert Run.open(run.root).config.processes == "auto"
