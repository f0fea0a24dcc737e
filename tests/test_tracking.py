"""Curves elsewhere: nothing of wandb or TensorBoard unless it is asked for, and what the curves hold."""

import json
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest

from emotion_utils import tracking
from emotion_utils.artefacts import HISTORY_COLUMNS
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.pipeline import run_pipeline
from emotion_utils.run import Run

MODEL = "r18_scratch_emotion"


def rows(epochs):
    return [
        dict.fromkeys(HISTORY_COLUMNS, 0.5) | {"epoch": n, "val_acc": [0.4, 0.8, 0.6][n - 1]}
        for n in range(1, epochs + 1)
    ]


def make_run(folder, tracking="wandb"):
    return Run.create(folder, resolve_config("smoke", [f"tracking={tracking}"]))


def test_without_tracking_nothing_of_wandb_is_imported(tmp_path):
    code = """
import sys
from emotion_utils import tracking
from emotion_utils.config import resolve_config
from emotion_utils.run import Run
with tracking.track(Run.create(sys.argv[1], resolve_config("smoke")), "r18_scratch_emotion") as log_epoch:
    log_epoch([{}])
assert not {"wandb", "tensorboard"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "run" / "wandb").exists()


@pytest.mark.parametrize(("asked", "extra"), [("wandb", "tracking"), ("tensorboard", "tensorboard")])
def test_a_run_that_asks_for_curves_where_they_are_missing_is_refused_before_it_writes(
    tmp_path, monkeypatch, asked, extra
):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"not installed; pip install 'emotion-utils\[{extra}\]'"):
        run_pipeline(tmp_path / "run", resolve_config("smoke", [f"tracking={asked}"]))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def no_account(tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


SCRIPT = """
import json, sys
from emotion_utils import tracking
from emotion_utils.run import Run
run = Run.open(sys.argv[1])
rows = json.loads(sys.argv[2])
with tracking.track(run, "r18_scratch_emotion") as log_epoch:
    for number in range(int(sys.argv[3]), len(rows)):
        log_epoch(rows[: number + 1])
"""


def test_without_an_account_the_curves_stay_in_the_run_folder_one_point_per_epoch(tmp_path, no_account):
    pytest.importorskip("wandb")
    run = make_run(tmp_path / "run")
    for begin, end in ((0, 2), (2, 3)):  # resumed after two epochs
        command = [sys.executable, "-c", SCRIPT, run.root, json.dumps(rows(end)), str(begin)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    folders = sorted((run.root / "wandb").glob("offline-run-*"))
    assert len({folder.name.rpartition("-")[2] for folder in folders}) == 1  # one identity: they are one curve
    points = [point for folder in folders for point in read_points(folder)]
    assert [(point["epoch"], point["val_acc"]) for point in points] == [(1, 0.4), (2, 0.8), (3, 0.6)]
    assert set(tracking.CURVES) <= set(points[0])


def read_points(folder):
    """What was logged, from the file that `wandb sync` would send: a LevelDB log of one block of whole records."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("*.wandb")
    content, place = path.read_bytes(), 7  # behind the file's own header
    assert len(content) < 32768
    while place < len(content):
        _, length, kind = struct.unpack_from("<IHB", content, place)
        assert kind == 1
        record = wandb_internal_pb2.Record.FromString(content[place + 7 : place + 7 + length])
        place += 7 + length
        if record.history.item:
            yield {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}


def test_a_training_that_fails_closes_its_curves_as_failed(tmp_path, monkeypatch):
    class Curves:
        ended = None

        def finish(self, exit_code=0):
            Curves.ended = exit_code

    monkeypatch.setattr(tracking, "_begin", lambda run, model: Curves())
    run = make_run(tmp_path / "run")
    with pytest.raises(ValueError, match="broken"), tracking.track(run, MODEL):
        raise ValueError("broken")
    assert Curves.ended == 1
    with tracking.track(run, MODEL):
        pass
    assert Curves.ended == 0


# -- TensorBoard -----------------------------------------------------------------------------------


class Writer:
    """In place of TensorBoard's: what was written where."""

    def __init__(self, folder, purge_step):
        self.folder, self.purge_step, self.scalars, self.is_closed = folder, purge_step, [], False

    def add_scalar(self, *scalar):
        self.scalars.append(scalar)

    def flush(self):
        pass

    def close(self):
        self.is_closed = True


def log_twice(run):
    """A training of two epochs, resumed for a third."""
    for begin, end in ((0, 2), (2, 3)):
        with tracking.track(run, MODEL) as log_epoch:
            for number in range(begin, end):
                log_epoch(rows(end)[: number + 1])


def test_tensorboard_gets_each_epoch_once_also_of_a_resumed_training(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: True)
    made = []

    def make(*arguments, **options):
        made.append(Writer(*arguments, **options))
        return made[-1]

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=make))
    run = make_run(tmp_path / "run", "tensorboard")
    log_twice(run)
    assert [(writer.folder, writer.purge_step) for writer in made] == [
        (run.root / "tensorboard" / MODEL, 1), (run.root / "tensorboard" / MODEL, 3)
    ]  # fmt: skip
    scalars = [scalar for writer in made for scalar in writer.scalars]
    assert [scalar[1:] for scalar in scalars if scalar[0] == "val_acc"] == [(0.4, 1), (0.8, 2), (0.6, 3)]
    assert {scalar[0] for scalar in scalars} == set(tracking.CURVES)
    assert all(writer.is_closed for writer in made)


def test_tensorboard_itself_reads_the_curves_back(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = make_run(tmp_path / "run", "tensorboard")
    log_twice(run)
    curves = reader.EventAccumulator(str(run.root / "tensorboard" / MODEL))
    curves.Reload()
    points = [(point.step, round(point.value, 3)) for point in curves.Scalars("val_acc")]
    assert points == [(1, 0.4), (2, 0.8), (3, 0.6)]
