"""What training does when memory runs out or a gradient explodes: smaller portions, skipped steps, a way back."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from emotion_utils.errors import EmotionError

WINDOW = 64  # accepted gradient norms that a new one is compared with
ENOUGH = 16  # norms before the comparison begins
FAR = 20.0  # times the window's median: further out is a spike
SKIPS_PER_EPOCH = 3  # or one step in a hundred, if that is more
MAX_ROLLBACKS = 3
ROLLBACK_RATE = 0.5  # the rate after a rollback, else the same data would lead to the same place

Kept = Sequence[tuple[torch.Tensor, torch.Tensor]]  # pairs of (buffer, copy)


class Rollback(Exception):
    """Too many steps of an epoch were skipped: go back to where it began."""


@dataclass
class SpikeGuard:
    """Judges each step by its loss and gradient norm, and keeps count; its state is part of a checkpoint."""

    norms: list[float] = field(default_factory=list)
    skipped: int = 0  # in this epoch
    allowed: int = SKIPS_PER_EPOCH
    rollbacks: int = 0  # in this run
    rate_factor: float = 1.0

    def complaint(self, loss: float, norm: float) -> str:
        """Why the step must not be taken; empty if it may."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if not math.isfinite(norm):
            return f"the gradient norm is {norm}"
        if len(self.norms) >= ENOUGH and norm > FAR * statistics.median(self.norms):
            return f"the gradient norm {norm:.3g} is over {FAR:g} times the usual {statistics.median(self.norms):.3g}"
        self.norms = [*self.norms[1 - WINDOW :], norm]
        return ""

    def count_skip(self) -> None:
        """Counts a skipped step. Raises Rollback after too many in one epoch."""
        self.skipped += 1
        if self.skipped > self.allowed:
            raise Rollback

    def roll_back(self) -> None:
        """Counts a rollback and slows down. Raises EmotionError after too many in one run."""
        self.rollbacks += 1
        if self.rollbacks > MAX_ROLLBACKS:
            raise EmotionError(
                f"training does not hold: {MAX_ROLLBACKS} times it went back and slowed down, and the loss or gradient "
                "still explodes (events.jsonl names the steps and images); try a lower lr or more warmup_epochs"
            )
        self.rate_factor *= ROLLBACK_RATE

    def start_epoch(self, steps: int) -> None:
        """Forgets what held for the last epoch; other layers may learn now, with other norms."""
        self.norms, self.skipped, self.allowed = [], 0, min(max(SKIPS_PER_EPOCH, steps // 100), steps - 1)

    def state(self) -> dict[str, Any]:
        return asdict(self)


class MicroBatches:
    """Portions of a batch that fit into memory: halved whenever they do not, for the rest of the run.

    The gradient of the whole batch stays what it was, but for one thing: BatchNorm normalises each portion by itself,
    as it does in each process of a team, so such a network learns a little otherwise. The event says so.
    """

    def __init__(self, net: nn.Module, tell: Callable[..., None]) -> None:
        self._net, self._tell = net, tell
        self.size: int | None = None  # images; None: whole batches

    def run(self, num_images: int, portion: Callable[[slice], Any], kept: Kept = ()) -> list[Any]:
        """Calls `portion` with slices that cover `num_images`; on an out-of-memory error all of it, in smaller ones.

        Gradients of a failed attempt are undone, and norm statistics are put back to `kept`, a copy made before. Raises
        EmotionError where one image is too much.
        """
        while True:
            try:
                return [portion(part) for part in even_slices(num_images, self.size or num_images)]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            self._net.zero_grad(set_to_none=True)
            restore_norm_buffers(kept)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._halve(num_images, reason)

    def _halve(self, num_images: int, reason: str) -> None:
        before = min(self.size or num_images, num_images)
        if before == 1:
            raise EmotionError(
                f"out of memory with a single image ({reason}); try a smaller image_size_px, train_from a later depth "
                "group, or a machine with more memory"
            )
        self.size = before // 2
        self._tell(
            "memory_backoff", micro_batch_before=before, micro_batch=self.size, reason=reason,
            batchnorm_by_portion=bool(learning_norm_buffers(self._net)),
        )  # fmt: skip


def even_slices(num_images: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` images whose lengths differ by one at most: BatchNorm cannot train on a lone one."""
    parts = math.ceil(num_images / size)
    bounds = [num_images * part // parts for part in range(parts + 1)]
    return (slice(start, end) for start, end in pairwise(bounds))


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA, the CPU allocator and numpy each have their own way to say it."""
    said = any(words in str(error).lower() for words in ("out of memory", "can't allocate memory"))
    return said or isinstance(error, torch.OutOfMemoryError | MemoryError)


def learning_norm_buffers(net: nn.Module) -> list[torch.Tensor]:
    """Statistics and counters of each BatchNorm that is not frozen."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._NormBase) and m.training]
    return [buffer for norm in norms for buffer in norm.buffers(recurse=False)]


def copy_norm_buffers(net: nn.Module) -> Kept:
    """Pairs of (buffer, copy): a forward pass moves them before anything can be seen to be wrong with it."""
    return [(buffer, buffer.clone()) for buffer in learning_norm_buffers(net)]


def restore_norm_buffers(kept: Kept) -> None:
    """Undoes what moved since `copy_norm_buffers`."""
    for buffer, copy in kept:
        buffer.copy_(copy)
