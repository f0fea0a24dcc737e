"""One training at a time in a model's folder, and an old model that stays until the new one is whole."""

import os
import signal
import time
from pathlib import Path

import pytest
from own_processes import PROCESSES, run_process

from emotion_utils.errors import EmotionError
from emotion_utils.locks import hold
from emotion_utils.training import model_folder
from emotion_utils.training.model_folder import RETRAINING, finish_replacement, hold_model

OLD = {name: f"old {name}" for name in ("model.json", "model.safetensors", "predictions.csv", "history.csv")}
NEW = {name: f"new {name}" for name in ("model.json", "model.safetensors", "history.csv", "events.jsonl")}


def fill(folder, texts):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and path.name != ".lock"}


@pytest.fixture
def folder(tmp_path):
    fill(tmp_path / "m", OLD | {"search.csv": "kept"})
    fill(tmp_path / "m" / RETRAINING, NEW | {"checkpoint.pt": "of a killed process"})
    return tmp_path / "m"


def hold_and_wait(folder, told):
    with hold_model(folder):
        told.set()
        time.sleep(60)


def test_the_second_is_told_who_holds_the_folder_and_a_killed_process_holds_nothing(tmp_path):
    held = PROCESSES.Event()
    first = PROCESSES.Process(target=hold_and_wait, args=(tmp_path, held))
    first.start()
    held.wait()
    holder = rf"{tmp_path} \(a command, process {first.pid} on .*\): wait"
    with pytest.raises(EmotionError, match=holder) as refused, hold_model(tmp_path):
        pass
    assert "\n" not in str(refused.value)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    with hold_model(tmp_path):
        pass


def test_folder_can_be_held_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold(tmp_path, "wait"):
        _ = 1 / 0
    with hold(tmp_path, "wait"):
        pass


def replace_and_die(folder, steps):
    """Kills this process before its change number `steps` of the file system."""
    left = iter(range(steps))

    def dying(change):
        def before(*arguments, **options):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return before

    Path.unlink, Path.replace, os.rmdir = dying(Path.unlink), dying(Path.replace), dying(os.rmdir)
    model_folder.replace_model(folder)


@pytest.mark.parametrize("steps", range(8))
def test_killed_replacement_leaves_no_mixture_and_is_finished_by_the_next_one(folder, steps):
    assert run_process(replace_and_die, folder, steps) == -signal.SIGKILL
    left = texts(folder)
    if "model.json" in left:
        whole = OLD if left["model.json"] == OLD["model.json"] else NEW
        assert left == whole | {"search.csv": "kept"}
    finish_replacement(folder)
    assert texts(folder) == NEW | {"search.csv": "kept"}
    assert not (folder / RETRAINING / "model.json").exists()


def test_training_under_way_beside_a_model_is_left_alone(folder):
    (folder / RETRAINING / "model.json").unlink()
    finish_replacement(folder)
    assert texts(folder) == OLD | {"search.csv": "kept"}
    assert (folder / RETRAINING / "checkpoint.pt").exists()
