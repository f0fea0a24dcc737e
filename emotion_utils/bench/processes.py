"""Two processes that train one network: gradients summed once per step, as here, or by DistributedDataParallel.

On GPUs where there are two, else on the CPU with one thread each. Forward, backward, sum and optimizer alone are timed,
on tensors in memory. How each way copes with a process that runs out of memory half-way is tested as well.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import textwrap
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from emotion_utils.bench import plain
from emotion_utils.bench.train import make_net
from emotion_utils.devices import VARIABLE, count_gpus, synchronise
from emotion_utils.training.cpu.allocation import reuse_freed_memory
from emotion_utils.training.cpu.convolution import replace_small_convs
from emotion_utils.training.distributed import Team, join_team

PROCESSES = 2
CLASSES = 7
WAYS = ("summed once", "DistributedDataParallel")
STEPS, ROUNDS = 8, 15  # of each way, in turns; the first step of a round is not timed
PATIENCE = timedelta(seconds=15)  # with a process that does not answer
PASSES = ("forward", "backward")  # where memory can run out

Step = Callable[[torch.Tensor, torch.Tensor], None]  # on this process's share: images, labels


def bench_processes(
    *, size_px: int = 48, batch_size: int = 64, steps: int = STEPS, rounds: int = ROUNDS,
    precisions: tuple[str, ...] = ("float32", "bfloat16"),
) -> pd.DataFrame:  # fmt: skip
    """A row per precision and way: medians over `rounds` of the images per second of both processes together.

    Columns: size_px, batch_size (of both), precision, way, images_per_second, ratio (to DistributedDataParallel), and
    ratio_low and ratio_high, its quartiles.
    """
    rows = []
    for precision in precisions:
        rates = pd.DataFrame(_run_team(_time_ways, size_px, batch_size, precision, steps, rounds)[0], columns=WAYS)
        for way in WAYS:  # ratios within a round: a machine's speed changes from minute to minute
            quartiles = (rates[way] / rates[WAYS[1]]).quantile([0.5, 0.25, 0.75])
            rows.append((size_px, batch_size, precision, way, rates[way].median(), *quartiles))
    columns = ["size_px", "batch_size", "precision", "way", "images_per_second", "ratio", "ratio_low", "ratio_high"]
    return pd.DataFrame(rows, columns=columns)


def bench_backoff(*, passes: tuple[str, ...] = PASSES, patience: timedelta = PATIENCE) -> pd.DataFrame:
    """How a step ends in which one of two processes runs out of memory and starts its share again in halves.

    Columns: way, memory_ends_in (the pass), first, second: how each process ends.
    """
    undisturbed = _run_team(_step_once, WAYS[0], "", patience)[0]
    rows = []
    for way in WAYS:
        for where in passes:
            ends = _run_team(_step_once, way, where, patience)
            rows.append((way, where, *(_describe_end(end, undisturbed) for end in ends)))
    return pd.DataFrame(rows, columns=["way", "memory_ends_in", "first", "second"])


# -- two processes ---------------------------------------------------------------------------------


def _run_team(task: Callable[..., Any], *arguments: object) -> list[Any]:
    """The results of `task(*arguments)` in each of two new processes that form a team."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    on_cpu = count_gpus() < PROCESSES
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        calls = [(task, rank, port, on_cpu, arguments) for rank in range(PROCESSES)]
        return pool.starmap(_be_member, calls, chunksize=1)


def _be_member(task: Callable[..., Any], rank: int, port: int, on_cpu: bool, arguments: tuple[object, ...]) -> Any:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} | ({VARIABLE: "cpu"} if on_cpu else {})
    torch.set_num_threads(1)
    return task(*arguments)


def _new_net(size_px: int, team: Team) -> nn.Module:
    net = make_net(plain.MODEL, CLASSES, size_px).to(team.device)
    if team.device.type == "cpu":
        replace_small_convs(net)
    return net


# -- speed -----------------------------------------------------------------------------------------


def _time_ways(size_px: int, batch_size: int, precision: str, steps: int, rounds: int) -> list[list[float]]:
    """Images per second, a row per round, a column per way."""
    with join_team() as team, reuse_freed_memory():
        share = batch_size // PROCESSES
        images = torch.rand(share, 3, size_px, size_px, generator=torch.Generator().manual_seed(team.rank))
        images, labels = images.to(team.device), torch.arange(share, device=team.device) % CLASSES
        low = torch.autocast(team.device.type, torch.bfloat16, enabled=precision == "bfloat16")
        ways = [make(_new_net(size_px, team), team, low) for make in (_summed_once, _distributed_data_parallel)]
        return [[_time(step, images, labels, team, steps) * batch_size for step in ways] for _ in range(rounds)]


def _summed_once(net: nn.Module, team: Team, low: torch.autocast) -> Step:
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        with low:
            logits = net(images)
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        (loss / (len(labels) * PROCESSES)).backward()
        team.sum_step(net, torch.stack([loss.detach(), (logits.argmax(1) == labels).sum()])).tolist()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _distributed_data_parallel(net: nn.Module, team: Team, low: torch.autocast) -> Step:
    """As its documentation shows it; it averages gradients, and broadcasts the norm statistics of the first process.

    The summed loss and correct count are needed here too.
    """
    wrapped = DistributedDataParallel(net, gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)

    def step(images: torch.Tensor, labels: torch.Tensor) -> None:
        with low:
            logits = wrapped(images)
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        (loss / len(labels)).backward()
        team.sum([float(loss.detach()), float((logits.argmax(1) == labels).sum())])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _time(step: Step, images: torch.Tensor, labels: torch.Tensor, team: Team, steps: int) -> float:
    """Steps per second."""
    step(images, labels)
    team.wait()
    synchronise(team.device)
    start = time.perf_counter()
    for _ in range(steps):
        step(images, labels)
    synchronise(team.device)
    return steps / (time.perf_counter() - start)


# -- memory that runs out --------------------------------------------------------------------------


def _step_once(way: str, fails_in: str, patience: timedelta) -> torch.Tensor | str:
    """All weights after a step in which the second process runs out of memory once; or the error that ended it."""
    with join_team(patience) as team:
        torch.manual_seed(0)
        net = _new_net(32, team).eval()  # then a gradient is that of its halves, added up
        wrapped = _wrap_without_buffers(net) if way == WAYS[1] else net
        images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(team.rank)).to(team.device)
        labels = torch.arange(8, device=team.device) % CLASSES
        fault = _Fault(net, fails_in if team.rank == 1 else "")
        try:
            try:
                _add_gradient(wrapped, images, labels)
            except torch.OutOfMemoryError:
                fault.mend()
                net.zero_grad(set_to_none=True)
                with wrapped.no_sync() if way == WAYS[1] else nullcontext():
                    _add_gradient(wrapped, images[:4], labels[:4])
                _add_gradient(wrapped, images[4:], labels[4:])
            if way == WAYS[0]:
                team.sum_step(net, torch.zeros(1, device=team.device))
            torch.optim.SGD(net.parameters(), 0.1 if way == WAYS[0] else 0.1 * PROCESSES).step()  # a sum, or a mean
            team.wait()
        except (RuntimeError, ValueError) as error:
            return f"{type(error).__name__}: {textwrap.shorten(str(error).rpartition('] ')[2] or str(error), 100)}"
        return torch.cat([parameter.detach().flatten().cpu() for parameter in net.parameters()])


def _wrap_without_buffers(net: nn.Module) -> nn.Module:
    """The most robust variant: if norm statistics are broadcast, another forward pass waits for the other process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch 2.14 has a new name, which 2.10 does not know
        return DistributedDataParallel(net, broadcast_buffers=False)


def _add_gradient(net: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    (F.cross_entropy(net(images), labels, reduction="sum") / (8 * PROCESSES)).backward()


class _Fault:
    """Memory that runs out half-way through one of the passes of a ResNet18, until it is mended."""

    def __init__(self, net: nn.Module, where: str) -> None:
        middle = net.depth_groups["layer3"][0]
        if where == "forward":
            self._hook = middle.register_forward_hook(self._run_out)
        elif where == "backward":
            self._hook = middle.register_full_backward_hook(self._run_out)

    def _run_out(self, *_: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    def mend(self) -> None:
        self._hook.remove()


def _describe_end(end: torch.Tensor | str, undisturbed: torch.Tensor) -> str:
    if isinstance(end, str):
        return end
    return "the undisturbed weights" if torch.allclose(end, undisturbed, rtol=1e-3, atol=1e-5) else "other weights"
