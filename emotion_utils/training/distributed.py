"""Several processes that train one network together, started by torchrun; a single process is a team of one.

Each process takes its share of every global batch, and the gradients are summed once per step, after the backward pass.
DistributedDataParallel sums them during it, which is no faster, and it cannot repeat a backward pass that ran out of
memory half-way (`emotion bench processes`, docs/gpus.md).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

from emotion_utils.devices import CPU, pick_device
from emotion_utils.training.recovery import learning_norm_buffers

PATIENCE = timedelta(minutes=5)  # with a process that hangs; torchrun then restarts all of them


@dataclass(frozen=True)
class Team:
    """This process among all that train together."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main_process(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def sum_step(self, net: nn.Module, sums: torch.Tensor) -> torch.Tensor:
        """Adds up gradients and `sums`, float (N,), over all processes, and averages the norm statistics.

        Returns the sums, which may still be being computed.
        """
        if self.size == 1:
            return sums
        learning = [p for p in net.parameters() if p.requires_grad]
        statistics = [b for b in learning_norm_buffers(net) if b.is_floating_point()]
        orders = [_order_in_memory(p) for p in learning]  # of the weights, which lie alike in all processes
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]  # a share can be empty
        parts = [g.permute(order) for g, order in zip(gradients, orders, strict=True)]
        flat = torch.cat([part.flatten() for part in [*parts, *(b / self.size for b in statistics), sums.float()]])
        dist.all_reduce(flat)
        summed = _unpack(flat, [*parts, *statistics])
        for parameter, order in zip(learning, orders, strict=True):
            parameter.grad = next(summed).permute([order.index(dim) for dim in range(len(order))])
        for buffer in statistics:
            buffer.copy_(next(summed))
        return flat[-len(sums) :]

    def sum(self, values: Sequence[float]) -> list[float]:
        """The sum over all processes, element by element, in double precision."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return total.tolist()

    def least(self, value: float) -> float:
        """The smallest of all processes' values."""
        if self.size == 1:
            return value
        values = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(values, dist.ReduceOp.MIN)
        return values.item()

    def wait(self) -> None:
        """Waits until all processes have called this."""
        if self.size > 1:
            dist.barrier()

    def gather(self, names: list[str]) -> list[str]:
        """The names of all processes, in the order of their ranks."""
        if self.size == 1:
            return names
        lists: list[list[str]] = [[] for _ in range(self.size)]
        dist.all_gather_object(lists, names)
        return [name for part in lists for name in part]


ALONE = Team(0, 1, CPU)  # a process that trains by itself, on the CPU


@contextmanager
def join_team(patience: timedelta = PATIENCE) -> Iterator[Team]:
    """Joins the processes that torchrun started (gloo on CPU, nccl on GPUs), or makes a team of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield Team(0, 1, device)
        return
    joins = not dist.is_initialized()
    if joins:
        store, rank, size = next(dist.rendezvous("env://", timeout=patience))
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", store=_attempt_store(store), rank=rank, world_size=size,
            timeout=patience, device_id=device if device.type == "cuda" else None,
        )  # fmt: skip
    try:
        yield Team(dist.get_rank(), size, device)
    finally:
        if joins:
            dist.destroy_process_group()


def _attempt_store(store: dist.Store) -> dist.Store:
    """The part of the store that belongs to this attempt. On one machine torchrun keeps its store across restarts, and
    the addresses of dead processes in it would be read. Several machines count their attempts differently."""
    if os.environ.get("LOCAL_WORLD_SIZE") != os.environ["WORLD_SIZE"]:
        return store
    return dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def is_main_process() -> bool:
    """Whether this process is the one that writes, also before or after it is in a team."""
    return os.environ.get("RANK", "0") == "0"


def _order_in_memory(tensor: torch.Tensor) -> list[int]:
    """Dimensions from the outermost to the innermost: flattened in that order, a dense tensor is not reordered."""
    return sorted(range(tensor.dim()), key=lambda dim: (-tensor.stride(dim), dim))


def _unpack(flat: torch.Tensor, like: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    start = 0
    for tensor in like:
        yield flat[start : start + tensor.numel()].view_as(tensor)
        start += tensor.numel()
