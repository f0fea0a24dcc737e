"""How long a training step takes alone and beside programs that keep every core busy, for both ways to wait."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pandas as pd
import torch

from emotion_utils.bench import train
from emotion_utils.bench.plain import MODEL
from emotion_utils.devices import CPU
from emotion_utils.parallel import count_workers
from emotion_utils.store.batches import Dataset
from emotion_utils.waiting import POLICY_VARIABLE, SPINS_VARIABLE, limit_spinning

ROUNDS = 3
STEPS = 3  # timed per turn; one more before them is not timed, as its images are ready
NUM_CLASSES = 3
# Keeps a core busy while the parent process, whose id is its argument, is alive.
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    sum(range(100_000))"


def bench_contention(
    *, size_px: int = 48, batch_size: int = 64, steps: int = STEPS, rounds: int = ROUNDS
) -> pd.DataFrame:
    """A row for each way to wait (`libgomp's own` and `ours`), alone and beside one busy process per core.

    The engine trains on the CPU, on noise, in two processes that take turns; medians over `rounds` turns of `steps`.
    Columns: waiting, busy (processes beside it), step_ms, ratio (to the same training alone, within a round).
    """
    busy = count_workers()
    with ExitStack() as stack:
        trainings = {
            waiting: stack.enter_context(_training(spins, size_px, batch_size, steps, 1 + 2 * rounds))
            for waiting, spins in {"libgomp's own": {}, "ours": _our_spins()}.items()
        }
        for training in trainings.values():
            take_turn(training)  # warms up
        turns = []
        for _ in range(rounds):
            for waiting, training in trainings.items():
                alone = take_turn(training)
                with busy_processes(busy):
                    beside = take_turn(training)
                turns += [(waiting, 0, alone, 1.0), (waiting, busy, beside, beside / alone)]
    table = pd.DataFrame(turns, columns=["waiting", "busy", "step_ms", "ratio"])
    return table.groupby(["waiting", "busy"], sort=False, as_index=False).median()


def take_turn(training: Connection) -> float:
    """Milliseconds of a step, the mean of one turn."""
    training.send(None)
    return training.recv()


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Runs `count` other programs, each of which keeps a core busy."""
    command = [sys.executable, "-S", "-c", BUSY, str(os.getpid())]
    with ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)  # before the wait that leaving a Popen is
        yield


def train_in_turns(turns: Connection, size_px: int, batch_size: int, steps: int, count: int) -> None:
    """Trains for `count` turns of 1 + `steps` steps; each turn starts when a message arrives and sends its time.

    That is the mean time of a step in ms, without the first step of the turn.
    """
    torch.set_num_threads(count_workers())
    clock = _Turns(turns, steps)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size, size_px, size_px, 3), dtype=np.uint8)
    dataset = _repeat(images, count * (1 + steps))
    net, config = train.make_net(MODEL, NUM_CLASSES, size_px), train.make_config(size_px, batch_size)
    turns.recv()
    train._train_engine(net, dataset, _repeat(images, 1), config, CPU, clock.tick)


class _Turns:
    """Times the steps of each turn, and pauses the training between turns."""

    def __init__(self, turns: Connection, steps: int) -> None:
        self._turns, self._steps, self._done, self._start = turns, steps, 0, 0.0

    def tick(self, done: int, total: int) -> None:
        """At the end of each step."""
        self._done += 1
        if self._done == 1:
            self._start = time.perf_counter()
        elif self._done == 1 + self._steps:
            self._turns.send(1000 * (time.perf_counter() - self._start) / self._steps)
            self._done = 0
            if done < total:
                self._turns.recv()


def _repeat(images: np.ndarray, times: int) -> Dataset:
    count = times * len(images)
    labels = torch.arange(count) % NUM_CLASSES
    names = tuple("abc"[:NUM_CLASSES])
    return Dataset(images, np.arange(count) % len(images), labels, [f"{n:06d}" for n in range(count)], names)


def _our_spins() -> Mapping[str, str]:
    environment: dict[str, str] = {}
    limit_spinning(environment)
    return environment


@contextmanager
def _training(environment: Mapping[str, str], *shape: Any) -> Iterator[Connection]:
    """Starts a training process with these variables, which torch reads once; yields the connection for `take_turn`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=train_in_turns, args=(theirs, *shape), daemon=True)
    with _variables(environment):
        process.start()
    theirs.close()  # so that its end is noticed here
    try:
        yield ours
    finally:
        process.kill()
        process.join()


@contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Within the block, replaces the environment variables that say how threads wait."""
    before = {name: os.environ.pop(name) for name in (SPINS_VARIABLE, POLICY_VARIABLE) if name in os.environ}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name in environment:
            del os.environ[name]
        os.environ.update(before)
