"""Trainings in processes of their own, as they can be killed there and change settings of modules."""

import multiprocessing
import os
import socket

PROCESSES = multiprocessing.get_context("forkserver")  # each begins clean, without importing torch anew
PROCESSES.set_forkserver_preload(["emotion_utils.training.epochs"])


def run_process(task, *arguments, **options):
    """The exit code of `task` in a process of its own; negative where a signal ended it."""
    process = PROCESSES.Process(target=_start, args=(dict(os.environ), task, arguments, options))
    process.start()
    process.join()
    return process.exitcode


def run_two(task, *arguments, **options):
    """`task` in two processes that know of each other as torchrun tells them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = dict(os.environ), task
    members = [
        PROCESSES.Process(target=_start_member, args=(*given, rank, port, arguments, options)) for rank in (0, 1)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join()
    assert [member.exitcode for member in members] == [0, 0]


def _start(environment, task, arguments, options):
    """The server that forks keeps the environment of the first test that used it."""
    os.environ |= environment
    task(*arguments, **options)


def _start_member(environment, task, rank, port, arguments, options):
    os.environ |= environment | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    task(*arguments, **options)
