"""Faults while a network learns, on one that takes a fraction of a second."""

import errno
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import contextmanager

import numpy as np
import pandas as pd
import psutil
import pytest
import tiny_training
import torch
from dying_proxy import make_and_die
from face_files import faces, write_zip
from one_thread import one_thread  # noqa: F401
from own_processes import PROCESSES, run_process, run_two
from tiny_training import ALONE, MODEL, TinyNet, make_trainer, same_bits

from emotion_utils.audit.cache import audit_once
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.environment import cache_dir
from emotion_utils.errors import EmotionError
from emotion_utils.files import write_csv
from emotion_utils.models.card import save_model
from emotion_utils.models.zoo import build_model
from emotion_utils.provenance import PACKAGE_DIR
from emotion_utils.run import Run
from emotion_utils.sources.source import source_of
from emotion_utils.store.batches import open_split, prepare_images, restore_images
from emotion_utils.training import checkpoint, pretext, trial_steps

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
@pytest.mark.slow
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
@pytest.mark.slow
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
    monkeypatch.setattr(torch, "save", save)
    with (
        limited_files(1000),
        pytest.raises(EmotionError, match=r"\(no room for all of it\).*there is no checkpoint yet"),
    ):
        checkpoint.Checkpoint(tmp_path / "first.pt", "key").write({"values": torch.zeros(10_000)})
    again = make_trainer(tmp_path / "full")
    again.fit()
    assert [event["kind"] for event in again.run.read("events", MODEL)].count("resumed") == 1
    assert same_bits(again.best, undisturbed.best)


@pytest.mark.fault(
    "the disk is full when history, events or the best weights are written",
    "E",
    "refused, the file is named and what was there stays whole; with room again it goes on, to the same bits",
)
@pytest.mark.parametrize("name", ["history.csv", "events.jsonl"])
def test_full_disk_in_an_epoch(tmp_path, monkeypatch, name):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    monkeypatch.setattr(checkpoint, "COST_SHARE", 1e9)
    undisturbed = make_trainer(tmp_path / "undisturbed")
    undisturbed.fit()
    trainer, writes = make_trainer(tmp_path / "full"), iter(range(1, 10**6))
    method = "write" if name == "history.csv" else "append"
    original = getattr(trainer.run, method)

    def filling(artefact, *args, **kwargs):
        if name.startswith(artefact) and next(writes) == 2:
            with limited_files((tmp_path / "full" / "models" / MODEL / name).stat().st_size + 10):
                return original(artefact, *args, **kwargs)
        return original(artefact, *args, **kwargs)

    monkeypatch.setattr(trainer.run, method, filling)
    with pytest.raises(EmotionError, match=rf"{name}: cannot be written \((File too|No space).*make room"):
        trainer.fit()
    folder = tmp_path / "full" / "models" / MODEL
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert (folder / name).read_bytes().endswith(b"\n")
    again = make_trainer(tmp_path / "full")
    again.fit()
    assert same_bits(again.best, undisturbed.best)
    rows = [
        trainer.run.read("history", MODEL).drop(columns=tiny_training.WALL_TIMES) for trainer in (again, undisturbed)
    ]
    assert rows[0].equals(rows[1])


@contextmanager
def limited_files(size_bytes):
    """No file can grow beyond this, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.fault(
    "no room for model.safetensors or predictions.csv", "E", "refused, the file is named; nothing half-written is left"
)
def test_full_disk_at_the_end(tmp_path):
    net = build_model(MODEL, num_classes=3, image_size_px=32, weights="random")
    with limited_files(10_000), pytest.raises(EmotionError, match=r"model\.safetensors: cannot be written .*make room"):
        save_model(net, tmp_path, ("angry", "happy", "sad"))
    table = pd.DataFrame({"id": [f"{number:064x}" for number in range(1000)]})
    with limited_files(10_000), pytest.raises(EmotionError, match=r"predictions\.csv: cannot be written .*make room"):
        write_csv(tmp_path / "predictions.csv", table)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(
    "a checkpoint with a flipped bit, cut short, or of something else",
    "R",
    "recognised and written down; the training starts over, to the same bits",
)
@pytest.mark.parametrize("how", ["flipped", "cut", "foreign", "another run"])
def test_damaged_checkpoint(tmp_path, monkeypatch, how):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    monkeypatch.setattr(checkpoint, "COST_SHARE", 1e9)
    undisturbed = make_trainer(tmp_path / "undisturbed")
    undisturbed.fit()
    path = undisturbed.checkpoint.path
    data = bytearray(path.read_bytes())
    largest = max(zipfile.ZipFile(path).infolist(), key=lambda info: info.file_size)
    target = tmp_path / "again" / "models" / MODEL / path.name
    target.parent.mkdir(parents=True)
    if how == "flipped":  # in the values of a tensor: torch itself does not see it
        data[largest.header_offset + 200] ^= 1
        target.write_bytes(data)
        torch.load(target, weights_only=True)
    elif how == "cut":
        target.write_bytes(data[: len(data) // 2])
    elif how == "foreign":
        torch.save([1, 2], target)
    else:
        other = make_trainer(tmp_path / "other", lr=0.02)
        other.fit()
        target.write_bytes(other.checkpoint.path.read_bytes())
    again = make_trainer(tmp_path / "again")
    again.fit()
    assert len(events_of(again, "checkpoint_refused")) == 1
    assert events_of(again, "resumed") == []
    assert same_bits(again.best, undisturbed.best)


@pytest.mark.fault("the clock jumps", "R", "nothing notices: all durations come from a clock that only goes forward")
def test_clock_that_jumps(tmp_path, monkeypatch):
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1e9 * (-1) ** next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: 10**18 * (-1) ** next(jumps))
    began = time.monotonic()
    history = make_trainer(tmp_path).fit()
    assert (history["seconds"] > 0).all()
    assert history["seconds"].sum() <= time.monotonic() - began
    wall = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow)\(|\bfrom time import")
    users = [path.name for path in PACKAGE_DIR.rglob("*.py") if wall.search(path.read_text(encoding="utf-8"))]
    assert users == []


@pytest.mark.fault("the source is gone or another one while networks learn", "R", "they read the decoded images alone")
def test_source_that_is_gone_between_epochs(tmp_path):
    files = faces("happy", "sad", count=20)
    path = write_zip(tmp_path / "data.zip", files)
    config = resolve_config("smoke", data=str(path))
    run = Run.create(tmp_path / "run", config)
    manifest, audit = audit_once(source_of(config))
    run.write("audit", audit)
    run.write("manifest", divide_images(manifest, config)[0])
    prepare_images(run, source_of(config), run.read("manifest"))
    before = [open_split(run, split).batch(np.arange(2)).images for split in ("train", "val")]
    path.write_bytes(write_zip(tmp_path / "other.zip", faces("happy", "sad", count=30)).read_bytes())
    restore_images(run)
    after = [open_split(run, split).batch(np.arange(2)).images for split in ("train", "val")]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    shutil.rmtree(cache_dir() / "stores")
    with pytest.raises(EmotionError, match=r"changed since the audit; start again with --fresh|damaged in the archive"):
        restore_images(run)


@pytest.mark.fault(
    "SIGKILL while a proxy is made or written; a bit of it flipped",
    "R",
    "the cache holds none or a whole one; the next start makes it, to the same bits",
)
@pytest.mark.slow
def test_killed_while_proxies_are_made(tmp_path, monkeypatch, private_cache):
    name, changes = "proxy_resnet18", {"pictures": 24, "steps": 1, "classes": 8}
    for setting, value in changes.items():
        monkeypatch.setitem(pretext.RECIPES[name], setting, value)
    path = pretext.ensure_proxies([name])[name]
    whole = path.read_bytes()
    for moment in ("writes", "has written"):
        shutil.rmtree(path.parent)
        assert run_process(make_and_die, name, moment, changes) == -signal.SIGKILL
        assert not path.exists() or path.read_bytes() == whole
        assert pretext.ensure_proxies([name])[name].read_bytes() == whole
        assert [left.name for left in path.parent.iterdir() if left.name.startswith(".")] == []
    for damage in (
        lambda data: data[: len(data) // 2],
        lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    ):
        path.write_bytes(damage(whole))
        assert pretext.ensure_proxies([name])[name].read_bytes() == whole


@pytest.mark.fault(
    "the time allowed is too short for the schedule", "R",
    "the whole schedule is shortened, with its rates, phases and sizes; a resumed training keeps to it",
)  # fmt: skip
def test_budget_below_the_schedule(tmp_path, monkeypatch):
    settings = {"epochs": 8, "schedule": "cosine", "budget_minutes": 3.2}
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: 10.0)  # six steps are an epoch
    monkeypatch.setattr(trial_steps, "extrapolate_seconds", lambda trainer, work, images: 0.0)
    whole = make_trainer(tmp_path / "whole", **settings)
    history = whole.fit(preflight=True)
    assert [event["epochs"] for event in events_of(whole, "shortened")] == [len(history)] == [3]
    assert history["lr"].iloc[-1] < 0.05 * history["lr"].iloc[0]  # the cosine came to its end
    cut = make_trainer(tmp_path / "cut", **settings)
    monkeypatch.setattr(cut.checkpoint, "is_due", lambda: True)
    cut.on_epoch.append(lambda rows: (_ for _ in ()).throw(KeyboardInterrupt) if len(rows) == 2 else None)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(preflight=True)
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: 0.1)  # quicker now: the plan stays
    resumed = make_trainer(tmp_path / "cut", **settings)
    assert resumed.fit(preflight=True)["lr"].tolist() == history["lr"].tolist()
    assert same_bits(resumed.best, whole.best)
