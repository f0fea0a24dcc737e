"""Killed and started again: the same bits as if nothing had happened."""

import signal

import pytest
import tiny_training
import torch
from own_processes import run_process
from tiny_training import MODEL, make_trainer, same_bits

from emotion_utils.training import checkpoint


def results(folder):
    return [(folder / name).read_bytes() for name in ("best.safetensors", "rows.csv", "predictions.csv")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert run_process(tiny_training.train, folder) == 0
    return results(folder)


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param({"kill_at": 1}, marks=pytest.mark.slow),  # before there is a checkpoint
        {"kill_at": 4},
        {"kill_at": 7},  # the first step of the second epoch, in which more layers learn
        pytest.param({"kill_at": 17}, marks=pytest.mark.slow),
        {"kill_in_checkpoint": 1},
        pytest.param({"kill_in_checkpoint": 9}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_killed_and_resumed_gives_the_bits_of_a_training_that_was_not(tmp_path, undisturbed, kill):
    assert run_process(tiny_training.train, tmp_path, **kill) == -signal.SIGKILL
    assert not (tmp_path / "best.safetensors").exists()
    assert run_process(tiny_training.train, tmp_path) == 0
    assert results(tmp_path) == undisturbed
    assert [path.name for path in (tmp_path / "models" / MODEL).glob(".*")] == []


@pytest.fixture
def eager(monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    monkeypatch.setattr(checkpoint, "COST_SHARE", 1e9)


class Stop(Exception):
    pass


def stop_after(trainer, steps):
    """Trains until so many steps are done, as if the process had ended there."""

    def progress(done, total):
        if done == steps + 1:
            raise Stop

    with pytest.raises(Stop):
        trainer.fit(progress)


def test_resuming_goes_on_at_the_very_step_and_keeps_one_line_per_event(tmp_path, eager):
    phases = [{"epoch": 1, "train_from": "head"}, {"epoch": 2, "train_from": "stem"}]
    stop_after(make_trainer(tmp_path, phases=phases), 8)
    trainer = make_trainer(tmp_path, phases=phases)
    steps = []
    trainer.fit(lambda done, total: steps.append(done))
    assert steps == list(range(9, 19))
    events = trainer.run.read("events", MODEL)
    assert [event["kind"] for event in events] == ["started", "phase", "phase", "resumed", "best_epoch"]
    assert events[3]["epoch"], events[3]["step"] == (2, 2)


def test_sgd_goes_on_with_its_momentum_to_the_bit_where_layers_thaw(tmp_path, eager):
    recipe = {"phases": [{"epoch": 1, "train_from": "head"}, {"epoch": 2, "train_from": "stem"}], "optimizer": "sgd"}
    whole = make_trainer(tmp_path / "whole", layer_decay=0.5, **recipe)
    whole.fit()
    for steps in (3, 8, 14):
        folder = tmp_path / str(steps)
        stop_after(make_trainer(folder, layer_decay=0.5, **recipe), steps)
        again = make_trainer(folder, layer_decay=0.5, **recipe)
        again.fit()
        assert same_bits(again.best, whole.best)
        assert same_bits(again.learner.net.state_dict(), whole.learner.net.state_dict())


def test_memory_and_spikes_are_remembered_across_a_kill(tmp_path, eager):
    trainer = make_trainer(tmp_path)
    trainer.learner.micro.size, trainer.learner.guard.rate_factor = 4, 0.25
    stop_after(trainer, 8)
    again = make_trainer(tmp_path)
    again._begin()
    assert (again.learner.micro.size, again.learner.guard.rate_factor) == (4, 0.25)
    kept, all_norms = (
        guard.norms[guard.norms.isfinite()].tolist() for guard in (again.learner.guard, trainer.learner.guard)
    )
    assert kept == all_norms[:2]


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"train": 47}, {"epochs": 4}])
def test_a_checkpoint_of_other_settings_or_data_is_refused_and_said_so(tmp_path, eager, change):
    stop_after(make_trainer(tmp_path), 8)
    trainer = make_trainer(tmp_path, **change)
    fresh = make_trainer(tmp_path / "fresh", **change)
    trainer.fit()
    fresh.fit()
    assert same_bits(trainer.best, fresh.best)
    kinds = [event["kind"] for event in trainer.run.read("events", MODEL)]
    assert kinds[:2] == ["checkpoint_refused", "started"]


def test_a_damaged_checkpoint_is_refused_and_said_so(tmp_path, eager):
    stop_after(make_trainer(tmp_path), 8)
    path = tmp_path / "models" / MODEL / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:500])
    trainer = make_trainer(tmp_path)
    assert len(trainer.fit()) == 3
    first = trainer.run.read("events", MODEL)[0]
    assert first["kind"] == "checkpoint_refused"
    assert "not readable" in first["reason"]


def test_history_of_another_training_does_not_stay(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.fit()
    again = make_trainer(tmp_path)
    again._begin()
    assert not (tmp_path / "models" / MODEL / "history.csv").exists()


def test_checkpoints_are_written_seldom_enough_to_cost_little(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: clock[0])
    saved = checkpoint.Checkpoint(tmp_path / "checkpoint.pt", "key")
    original = torch.save

    def slow_save(value, path):
        original(value, path)
        clock[0] += 5.0

    monkeypatch.setattr(torch, "save", slow_save)
    clock[0] = 59.0
    assert not saved.is_due()
    clock[0] = 60.0
    assert saved.is_due()
    saved.write({})
    clock[0] = 65.0 + 249.0
    assert not saved.is_due()
    clock[0] = 65.0 + 250.0
    assert saved.is_due()
