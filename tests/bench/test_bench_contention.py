"""A training that is not alone: what is started, with which variables, and how the figures are made."""

import multiprocessing
import os
import subprocess

import pytest

from emotion_utils.bench import contention
from emotion_utils.waiting import POLICY_VARIABLE, SPINS, SPINS_VARIABLE


def tell_variables(turns, *shape):
    """In place of a training."""
    turns.send(([os.environ.get(name) for name in (SPINS_VARIABLE, POLICY_VARIABLE)], shape))


def test_each_training_takes_turns_alone_and_beside_one_busy_process_per_core(monkeypatch):
    told, busy, started = [], [], []
    monkeypatch.setattr(contention, "count_workers", lambda: 3)

    @contention.contextmanager
    def training(environment, *shape):
        started.append((dict(environment), shape))
        yield environment.get(SPINS_VARIABLE, "")

    @contention.contextmanager
    def busy_processes(count):
        busy.append(count)
        yield
        busy.pop()

    def take_turn(training):
        told.append((training, sum(busy)))
        base = {"": 100.0, str(SPINS): 90.0}[training] + len(told)  # the machine becomes slower and slower
        return base * (1 if not busy else 8 if training == "" else 2)

    for name, stand_in in {"_training": training, "busy_processes": busy_processes, "take_turn": take_turn}.items():
        monkeypatch.setattr(contention, name, stand_in)
    table = contention.bench_contention(size_px=32, batch_size=4, steps=2, rounds=3)
    assert started == [({}, (32, 4, 2, 7)), ({SPINS_VARIABLE: str(SPINS)}, (32, 4, 2, 7))]
    ours = str(SPINS)
    assert told == [("", 0), (ours, 0), *3 * [("", 0), ("", 3), (ours, 0), (ours, 3)]]
    assert table["waiting"].tolist() == ["libgomp's own"] * 2 + ["ours"] * 2
    assert table["busy"].tolist() == [0, 3, 0, 3]
    assert table["step_ms"].tolist() == [107, 8 * 108, 99, 2 * 100]  # of the second of three rounds
    assert table["ratio"].tolist() == pytest.approx([1, 8 * 108 / 107, 1, 2 * 100 / 99])


@pytest.mark.slow
def test_a_training_is_started_with_the_variables_of_its_way_and_the_users_own_stay(monkeypatch):
    monkeypatch.setattr(contention, "train_in_turns", tell_variables)
    monkeypatch.setenv(SPINS_VARIABLE, "7")
    monkeypatch.setenv(POLICY_VARIABLE, "active")
    for environment, expected in (({}, [None, None]), (contention._our_spins(), [str(SPINS), None])):
        with contention._training(environment, 32, 4) as turns:
            assert turns.recv() == (expected, (32, 4))
        assert not multiprocessing.active_children()
        assert (os.environ[SPINS_VARIABLE], os.environ[POLICY_VARIABLE]) == ("7", "active")


def test_busy_processes_run_for_as_long_as_the_block_and_no_longer(monkeypatch):
    processes, popen = [], subprocess.Popen

    def start(*args, **more):
        processes.append(popen(*args, **more))
        return processes[-1]

    monkeypatch.setattr(contention.subprocess, "Popen", start)
    with contention.busy_processes(2):
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)


def test_a_busy_process_ends_with_the_one_that_started_it():
    """The one in the middle ends at once; the pipe is at its end when the busy one, which has it too, has ended."""
    code = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1], str(os.getpid())])"
    command = [contention.sys.executable, "-c", code, contention.BUSY]
    subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True)


class Turns:
    """What stands on the other side of a training's pipe."""

    def __init__(self):
        self.sent, self.asked = [], 0

    def recv(self):
        self.asked += 1

    def send(self, value):
        self.sent.append(value)


def test_a_turn_is_timed_from_the_end_of_its_first_step_and_waits_to_be_asked(monkeypatch):
    turns, times = Turns(), iter([100.0, 102.0, 500.0, 501.0])
    monkeypatch.setattr(contention.time, "perf_counter", lambda: next(times))
    clock = contention._Turns(turns, steps=2)
    for done in range(1, 7):
        clock.tick(done, 6)
        assert (len(turns.sent), turns.asked) == (done // 3, 1 if done >= 3 else 0)  # after the last nobody asks
    assert turns.sent == [1000.0, 500.0]


def test_the_engine_trains_as_many_steps_as_all_turns_have():
    turns = Turns()
    contention.train_in_turns(turns, 32, 2, 1, 2)
    assert turns.asked == len(turns.sent) == 2
    assert all(milliseconds > 0 for milliseconds in turns.sent)
