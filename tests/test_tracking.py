"""Weights & Biases: nothing of it unless it is asked for, offline without an account, and what the curves hold."""

import json
import struct
import subprocess
import sys

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
assert "wandb" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "run" / "wandb").exists()


def test_a_run_that_asks_for_wandb_where_it_is_missing_is_refused_before_it_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"not installed; pip install"):
        run_pipeline(tmp_path / "run", resolve_config("smoke", ["tracking=wandb"]))
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
