"""Progress lines: what they say, and that each epoch is told once."""

import pandas as pd
import pytest

from emotion_utils.artefacts import HISTORY_COLUMNS
from emotion_utils.config import resolve_config
from emotion_utils.run import Run
from emotion_utils.terminal.live_line import PlainLines, epoch_line
from emotion_utils.terminal.monitor import EpochMonitor

MODEL = "r18_scratch_emotion"
STARTED = {"device": "cpu", "precision": "float32", "compiled": False, "batch_size": 16}


def history(epochs):
    numbers = {column: [0.5] * epochs for column in HISTORY_COLUMNS}
    return pd.DataFrame(numbers | {"epoch": range(1, epochs + 1), "phase": "all", "seconds": 30.0})


def test_line_tells_epoch_accuracy_and_time_left():
    assert epoch_line(history(2), 8) == "epoch 2/8, val accuracy 0.500, about 3 min 0 s left"
    assert epoch_line(history(8), 8) == "epoch 8/8, val accuracy 0.500"
    assert (
        epoch_line(history(8), 8, 2)
        == "epoch 8/8, val accuracy 0.500, about 8 min 0 s left with 2 more trainings of it"
    )


def test_each_seed_and_ablation_is_told_by_its_name(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke", ["ablate=augmentation"]))
    said = []
    monitor = EpochMonitor(run, MODEL, PlainLines(said.append))
    run.write("history", history(2), MODEL)
    run.variant("without-augmentation").write("history", history(1), MODEL)
    monitor._tell()
    assert said == [
        "epoch 2/2, val accuracy 0.500, about 1 min 0 s left with 1 more training of it",
        f"{MODEL}/without-augmentation, seed 0: epoch 1/2, val accuracy 0.500, about 30 s left",
    ]


def test_last_epoch_is_told_even_if_training_ends_at_once(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    said = []
    with EpochMonitor(run, MODEL, PlainLines(said.append)):
        run.write("history", history(2), MODEL)
    assert said[-1].startswith("epoch 2/2")
    assert len(said) == len(set(said))


def test_events_are_told_once_also_those_that_a_resumed_training_adds(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    said = []
    monitor = EpochMonitor(run, MODEL, PlainLines(said.append))
    run.append("events", MODEL, kind="phase", epoch=1, phase="head", trainable_parameters=1500)
    run.append("events", MODEL, kind="started", **STARTED)
    run.append("events", MODEL, kind="rollback", epoch=1, rate_factor=0.5, rollbacks=1)
    monitor._tell()
    monitor._tell()
    assert said == ["epoch 1: head is trained, 1,500 parameters", "epoch 1 starts again at 0.5 times the learning rate"]
    (run.model_dir(MODEL) / "events.jsonl").write_text(
        ""
    )  # a resumed training takes back what is behind its checkpoint
    run.append("events", MODEL, kind="phase", epoch=1, phase="head", trainable_parameters=1500)
    run.append("events", MODEL, kind="resumed", epoch=1, step=3)
    monitor._tell()
    assert said[2:] == ["continues from its checkpoint, epoch 1, step 3"]


def test_events_of_an_earlier_training_are_not_told(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    run.append("events", MODEL, kind="early_stop", epoch=2, reason="old")
    said = []
    monitor = EpochMonitor(run, MODEL, PlainLines(said.append))
    monitor._tell()
    run.append("events", MODEL, kind="early_stop", epoch=3, reason="new")
    monitor._tell()
    assert said == ["stopped after epoch 3: new"]


def test_a_line_counts_the_epochs_of_the_recipe(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke", [f"recipes.{MODEL}.epochs=5"]))
    said = []
    monitor = EpochMonitor(run, MODEL, PlainLines(said.append))
    run.write("history", history(2), MODEL)
    monitor._tell()
    assert said[0].startswith("epoch 2/5")


def test_epochs_of_a_model_that_is_only_loaded_are_not_told(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    run.write("history", history(2), MODEL)
    said = []
    monitor = EpochMonitor(run, MODEL, PlainLines(said.append))
    monitor._tell()
    assert said == []
    run.write("history", history(1).assign(seconds=20.0), MODEL)  # trained anew after all
    monitor._tell()
    assert said == ["epoch 1/2, val accuracy 0.500, about 20 s left"]


@pytest.mark.fault("a history that is damaged while it is told", "W", "the telling ends, not the run", group="runs")
def test_table_that_is_damaged_under_way_ends_the_telling_and_not_the_run(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    said = []
    with EpochMonitor(run, MODEL, PlainLines(said.append)):
        run.write("history", history(1), MODEL)
        run.path("history", MODEL).write_text("epoch,pha")
    assert said[-1].startswith("its progress can no longer be followed: ")
    assert "history.csv" in said[-1]
