"""Faults while a network learns, on one that takes a fraction of a second."""

import errno
import math
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import tiny_training
import torch
from one_thread import one_thread  # noqa: F401
from own_processes import PROCESSES, run_two
from tiny_training import ALONE, MODEL, TinyNet, make_trainer, same_bits

from emotion_utils.errors import EmotionError
from emotion_utils.training import checkpoint

FILES = ("best.safetensors", "rows.csv", "predictions.csv")


def events_of(trainer, kind):
    return [event for event in trainer.run.read("events", MODEL) if event["kind"] == kind]


def outcome(folder):
    return [(folder / name).read_bytes() for name in FILES]


def fail_forward(trainer, faulty):
    """`faulty(number of the pass, images)` raises, or returns what the answer is multiplied by."""
    net, numbers = trainer.learner.net, iter(range(1, 10**6))
    net.forward = lambda images: (
        TinyNet.forward(net, images) * (faulty(next(numbers), len(images)) if net.training else 1)
    )


@pytest.mark.fault(
    "memory runs out in a step", "R", "the step is done again in smaller micro-batches; the results stay"
)
def test_out_of_memory(tmp_path):
    def most_two(number, images):
        if images > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 1

    histories = []
    for name, faulty in (("whole", lambda number, images: 1), ("split", most_two)):
        trainer = make_trainer(tmp_path / name, net=TinyNet(norm=False))
        fail_forward(trainer, faulty)
        histories.append(trainer.fit())
    assert [event["micro_batch"] for event in events_of(trainer, "memory_backoff")] == [4, 2]
    assert histories[1]["val_loss"].tolist() == pytest.approx(histories[0]["val_loss"].tolist(), rel=1e-4)


@pytest.mark.fault(
    "loss or gradient not finite, or out of all proportion",
    "R E",
    "the step is skipped; too many: back to the epoch's start at a lower rate; a bounded number of times, then refused",
)
def test_spikes(tmp_path):
    trainer = make_trainer(tmp_path / "few")
    fail_forward(trainer, lambda number, images: math.nan if number in (2, 9) else 1)
    trainer.fit()
    assert len(events_of(trainer, "spike_skipped")) == 2
    assert all(len(event["ids"]) == 8 for event in events_of(trainer, "spike_skipped"))
    trainer = make_trainer(tmp_path / "many")
    fail_forward(trainer, lambda number, images: math.inf)
    with pytest.raises(EmotionError, match="lower lr"):
        trainer.fit()
    assert len(events_of(trainer, "rollback")) == 3


def train_in_a_process(folder, end_after_s=None, how=None):
    process = PROCESSES.Process(target=tiny_training.train, args=(folder,))
    process.start()
    if how:
        while not (folder / "models" / MODEL / "checkpoint.pt").exists() and process.is_alive():
            time.sleep(0.005)
        time.sleep(end_after_s)
        os.kill(process.pid, how)
    process.join()
    return process.exitcode


@pytest.mark.fault(
    "SIGKILL or SIGTERM at any moment", "R", "started again it goes on from its checkpoint, to the same bits"
)
def test_killed_at_any_moment(tmp_path):
    assert train_in_a_process(tmp_path / "whole") == 0
    for number, (how, after_s) in enumerate(((signal.SIGKILL, 0.0), (signal.SIGTERM, 0.03), (signal.SIGTERM, 0.11))):
        folder = tmp_path / str(number)
        assert train_in_a_process(folder, after_s, how) in (-how, 0)  # 0: it was done before the signal came
        assert train_in_a_process(folder) == 0
        assert outcome(folder) == outcome(tmp_path / "whole")


@pytest.mark.fault(
    "a process of several (a rank) dies", "R", "torchrun starts all again from the checkpoint, to the same bits"
)
def test_dead_rank(tmp_path):
    run_two(tiny_training.train, tmp_path / "whole")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=4"]
    kills = ["--kill-in-checkpoint", "5", "--kill-at", "3"]  # the main process, and then the other one
    done = subprocess.run(
        [*launcher, tiny_training.__file__, tmp_path / "killed", *kills], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert events_of(make_trainer(tmp_path / "killed"), "resumed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


@pytest.mark.fault("a worker that loads data dies", "R", "there is none to die: batches come from the process itself")
def test_training_starts_no_workers(tmp_path):
    def children():
        return {child.pid for child in psutil.Process().children(recursive=True)}

    before, seen = children(), []
    make_trainer(tmp_path).fit(lambda done, total: seen.append(children() - before))
    assert seen == [set()] * 18


@pytest.mark.fault(
    "the disk is full when a checkpoint is written",
    "E",
    "refused; the last checkpoint is whole, and training goes on from it once there is room",
)
def test_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    monkeypatch.setattr(checkpoint, "COST_SHARE", 1e9)
    undisturbed = make_trainer(tmp_path / "undisturbed")
    undisturbed.fit()
    writes, save = iter(range(1, 10**6)), torch.save

    def full(value, path):
        if next(writes) == 5:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(value, path)

    monkeypatch.setattr(torch, "save", full)
    trainer = make_trainer(tmp_path / "full", team=ALONE)
    with pytest.raises(EmotionError, match=r"checkpoint\.pt: cannot be written \(No space left.*make room"):
        trainer.fit()
    folder = tmp_path / "full" / "models" / MODEL
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    again = make_trainer(tmp_path / "full")
    again.fit()
    assert [event["kind"] for event in again.run.read("events", MODEL)].count("resumed") == 1
    assert same_bits(again.best, undisturbed.best)
