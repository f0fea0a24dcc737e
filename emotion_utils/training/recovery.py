"""What training does when memory runs out or a gradient explodes: micro-batches, skipped steps, rollbacks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import nn

from emotion_utils.devices import CPU, wide_float
from emotion_utils.errors import EmotionError

WINDOW = 64  # accepted gradient norms that a new one is compared with
ENOUGH = 16  # norms before the comparison begins
FAR = 20.0  # times the window's median: further out is a spike
SKIPS_PER_EPOCH = 3  # or one step in a hundred, if that is more
MAX_ROLLBACKS = 3
ROLLBACK_RATE = 0.5  # the rate after a rollback, else the same data would lead to the same place


class Rollback(Exception):
    """Too many steps of an epoch were skipped: restore the state at its start."""


class StepFigures(NamedTuple):
    """The numbers of one step: tensors while they are on the device, floats once they have been read."""

    loss: float  # summed over the images as the network saw them
    correct: float
    norm: float  # of the gradient
    usual_norm: float  # median of the norms before it; NaN while there are too few
    skipped: float  # 1 or 0
    scale: float  # of the gradients before the step; 1 unless they are float16
    scale_after: float
    pause: float  # above 0: one of the processes has something to do before the next step

    @property
    def overflowed(self) -> bool:
        """Whether scaling alone made the gradients too large for float16, which is normal now and then."""
        return self.scale > 1 and math.isfinite(self.loss) and not math.isfinite(self.norm)

    @property
    def reason(self) -> str:
        """Why the step was skipped."""
        if not math.isfinite(self.loss):
            return f"the loss is {self.loss}"
        if not math.isfinite(self.norm):
            return f"the gradient norm is {self.norm}"
        return f"the gradient norm {self.norm:.3g} is over {FAR:g} times the usual {self.usual_norm:.3g}"


class SpikeGuard:
    """Skips steps whose loss or gradient explodes, and counts them; its state is part of a checkpoint."""

    def __init__(self, device: torch.device = CPU) -> None:
        self.norms = torch.full((WINDOW,), torch.nan, dtype=wide_float(device), device=device)  # the newest is last
        self.skipped, self.allowed = 0, SKIPS_PER_EPOCH  # steps of this epoch
        self.rollbacks, self.rate_factor = 0, 1.0  # of this training

    def judge(self, loss: torch.Tensor, norm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Whether to skip the step, bool (), and the usual norm that it was compared with, float ().

        Both stay on the device. The norm of a step that is taken joins the window.
        """
        loss, norm = loss.to(self.norms.dtype), norm.to(self.norms.dtype)
        usual = torch.where(self.norms[-ENOUGH].isnan(), torch.nan, self.norms.nanquantile(0.5))
        skip = ~loss.isfinite() | ~norm.isfinite() | (norm > FAR * usual)  # a comparison with NaN is false
        self.norms = torch.where(skip, self.norms, torch.cat([self.norms[1:], norm[None]]))
        return skip, usual

    def count_skip(self) -> None:
        """Counts a skipped step. Raises Rollback after too many in one epoch."""
        self.skipped += 1
        if self.skipped > self.allowed:
            raise Rollback

    def roll_back(self) -> None:
        """Counts a rollback and lowers the rate. Raises EmotionError after too many in one training."""
        self.rollbacks += 1
        if self.rollbacks > MAX_ROLLBACKS:
            raise EmotionError(
                f"training diverges: after {MAX_ROLLBACKS} rollbacks, each to a lower rate, the loss or gradient still "
                "explodes (events.jsonl names the steps and images); try a lower lr or more warmup_epochs"
            )
        self.rate_factor *= ROLLBACK_RATE

    def start_epoch(self, steps: int) -> None:
        """Forgets the norms of the last epoch: other layers may be trained now, with other norms."""
        self.norms = torch.full_like(self.norms, torch.nan)
        self.skipped, self.allowed = 0, min(max(SKIPS_PER_EPOCH, steps // 100), steps - 1)

    def state(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("skipped", "allowed", "rollbacks", "rate_factor")}
        return {**counts, "norms": self.norms.clone()}

    def restore(self, state: dict[str, Any]) -> None:
        """Back to what `state()` returned."""
        for name, value in state.items():
            setattr(self, name, value.to(self.norms) if isinstance(value, torch.Tensor) else value)


class MicroBatches:
    """Splits batches into micro-batches that fit into memory: halved whenever they do not, for the rest of the run.

    Gradient accumulation keeps the gradient of the whole batch, except where the network has BatchNorm, which
    normalises each micro-batch by itself, as it does in each process of a team. The event says so.
    """

    def __init__(self, net: nn.Module, log_event: Callable[..., None], release: Callable[[], bool] = bool) -> None:
        self._net, self._log_event = net, log_event
        self._release = release  # frees memory that training can do without, and returns whether there was any
        self.size: int | None = None  # images; None: whole batches

    def run(self, num_images: int, work: Callable[[slice], Any], before: BufferSnapshot | None = None) -> list[Any]:
        """The results of `work` on slices that cover `num_images`; out of memory, all of it again in smaller slices.

        A failed attempt leaves no gradients, and norm statistics are restored to those `before`. Raises EmotionError
        where a single image is too much.
        """
        while True:
            try:
                return [work(part) for part in even_slices(num_images, self.size or num_images)]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).partition("\n")[0]
            self._net.zero_grad(set_to_none=True)
            if before:
                before.restore()
            released = self._release()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if not released:
                self._halve(num_images, reason)

    def _halve(self, num_images: int, reason: str) -> None:
        before = min(self.size or num_images, num_images)
        if before == 1:
            raise EmotionError(
                f"out of memory with a single image ({reason}); try a smaller image_size_px, train_from a later depth "
                "group, or a machine with more memory"
            )
        self.size = before // 2
        self._log_event(
            "memory_backoff", micro_batch_before=before, micro_batch=self.size, reason=reason,
            batchnorm_by_portion=bool(learning_norm_buffers(self._net)),
        )  # fmt: skip


def even_slices(num_images: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` images, equally long up to one image: BatchNorm cannot train on a single one."""
    parts = math.ceil(num_images / size)
    bounds = [num_images * part // parts for part in range(parts + 1)]
    return (slice(start, end) for start, end in pairwise(bounds))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out: CUDA, the CPU allocator and numpy each report it in their own way."""
    said = any(words in str(error).lower() for words in ("out of memory", "can't allocate memory"))
    if said or isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return error.__context__ is not None and is_out_of_memory(error.__context__)  # as in a CUDA graph's capture


def learning_norm_buffers(net: nn.Module) -> list[torch.Tensor]:
    """Statistics and counters of each BatchNorm that is not frozen."""
    norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._NormBase) and m.training]
    return [buffer for norm in norms for buffer in norm.buffers(recurse=False)]


class BufferSnapshot:
    """A copy of the statistics of each BatchNorm that is not frozen.

    A forward pass updates them before its loss can be judged.
    """

    def __init__(self, net: nn.Module) -> None:
        by_type = defaultdict(list)
        for buffer in learning_norm_buffers(net):
            by_type[buffer.dtype].append(buffer)
        self._buffers = list(by_type.values())
        self._copies = [_join(buffers) for buffers in self._buffers]  # one tensor per type: few launches on a GPU

    def restore(self, where: bool | torch.Tensor = True) -> None:
        """Restores the statistics if `where`, which may be a bool tensor that the device is still computing."""
        if where is False:
            return
        for buffers, joined in zip(self._buffers, self._copies, strict=True):
            values = joined if where is True else torch.where(where, joined, _join(buffers))
            parts = values.split([buffer.numel() for buffer in buffers])
            torch._foreach_copy_(buffers, [part.view_as(buffer) for part, buffer in zip(parts, buffers, strict=True)])


def _join(tensors: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
