"""Before training: a few real steps, undone to the last bit, that tell how long it will take and how much memory.

On a GPU they also decide what the recipe leaves open. On a CPU nothing is decided by the clock (see numerics.py), as
there the same training is promised to give the same bits each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch

from emotion_utils.devices import synchronise
from emotion_utils.progress import format_duration
from emotion_utils.store.batches import Batch
from emotion_utils.training import schedule
from emotion_utils.training.numerics import Numerics

if TYPE_CHECKING:
    from emotion_utils.training.epochs import EpochLoop

FEW = 2  # images, to learn how long a whole batch would take
GROWTH = 4  # times as many, to see what each more image costs
PATIENCE_S = 1.0  # what takes longer is not measured again, nor with more images
GPU_STEPS = 10  # that are timed together on a GPU, after as many that find kernels and fill caches
GAIN = 0.95  # of the time, at most, for another kind of numbers to be worth it
COMPILE_S = 60.0  # what compiling a network of this size takes; it is measured, but has to be paid first
WORTH_COMPILING = 10  # times as long a training is at least, for the attempt to cost a tenth of it at most


def run_preflight(trainer: EpochLoop) -> None:
    """Measures, chooses the numerics, and tells it all as an event `preflight`; the training's state stays as it is."""
    kept = trainer.learner.state()
    told, trainer.silent = trainer.silent, True
    try:
        numerics = _choose(trainer) if _has_choice(trainer.team.device) else trainer.learner.numerics
        trainer.learner.use(numerics)
        steps = {epoch: _step_seconds(trainer, epoch) for epoch in _stages(trainer)}
        seconds = _all_seconds(trainer, steps)
        memory = _memory_mb(trainer)
    finally:
        trainer.learner.restore(kept)
        trainer.silent = told
    trainer.learner.use(numerics)
    free = _free_mb(trainer.team.device)
    trainer.log_event(
        "preflight", seconds=round(seconds), step_seconds=[round(step, 4) for step in steps.values()],
        memory_mb=round(memory), memory_free_mb=round(free), precision=numerics.precision,
        compiled=numerics.compiled, graphed=numerics.graphed,
        channels_last=numerics.channels_last or trainer.team.device.type == "cpu",
        warnings=_warnings(trainer, seconds, memory, free),
    )  # fmt: skip


# -- time ------------------------------------------------------------------------------------------


def _stages(trainer: EpochLoop) -> list[int]:
    """The epochs from which on another kind of step is taken."""
    starts = {step.epoch for step in (*trainer.recipe.phases, *trainer.recipe.progressive_resizing)}
    return sorted(epoch for epoch in starts if epoch <= trainer.epochs)


def _step_seconds(trainer: EpochLoop, epoch: int) -> float:
    """Of a whole step of this process in `epoch`."""
    trainer.learner.enter(schedule.phase_at(trainer.recipe, epoch))
    share = _share(trainer)
    if _has_choice(trainer.team.device):  # with fewer images it would be no less busy
        _step(trainer, share, epoch, GPU_STEPS)
        return _timed(trainer, lambda: _step(trainer, share, epoch, GPU_STEPS)) / GPU_STEPS
    return _foretell(trainer, lambda images: _step(trainer, images, epoch), share)


def _all_seconds(trainer: EpochLoop, steps: dict[int, float]) -> float:
    """Of all epochs, with their validation."""
    val = trainer.val_set

    def validate(images: int) -> None:
        part = replace(val, rows=val.rows[:images], labels=val.labels[:images], ids=val.ids[:images])
        trainer.learner.evaluate(part)

    batch = min(trainer.learner.evaluation_batch_size, len(val))
    validation = _foretell(trainer, validate, batch) * len(val) / batch
    ends = [*list(steps)[1:], trainer.epochs + 1]
    epochs = sum(seconds * (end - begin) for (begin, seconds), end in zip(steps.items(), ends, strict=True))
    return epochs * trainer.steps_per_epoch + validation * trainer.epochs


def _foretell(trainer: EpochLoop, work: Callable[[int], None], images: int) -> float:
    """Seconds of work(images): measured, or worked out from fewer images where that would take long.

    From one number of images to the next the time grows in a straight line above what every call costs.
    """
    count = min(FEW, images)
    first = _timed(trainer, lambda: work(count))  # it also chooses kernels and fills caches
    if first > PATIENCE_S:
        return first * images / count
    seconds, per_image = _timed(trainer, lambda: work(count)), 0.0
    while count < images and seconds < PATIENCE_S:
        more = min(GROWTH * count, images)
        work(more)
        longer = _timed(trainer, partial(work, more))
        per_image = max(0.0, longer - seconds) / (more - count)
        count, seconds = more, longer
    return seconds + (per_image or seconds / count) * (images - count)


def _share(trainer: EpochLoop) -> int:
    """Images of a step in this process."""
    return max(1, trainer.usual_batch // trainer.team.size)


def _step(trainer: EpochLoop, images: int, epoch: int, times: int = 1) -> None:
    """Steps at rate 0 on the first `images` of the training set, in every process; read when all are begun."""
    learner = trainer.learner
    learner.guard.start_epoch(10**6)  # none of it may count
    batch = _first_images(trainer, images)
    begun = [learner.begin(batch, epoch=epoch, number=1, rate_factor=0.0) for _ in range(times)]
    for step in begun:
        learner.settle(step)


def _first_images(trainer: EpochLoop, images: int) -> Batch:
    """This process's share of a batch; of the usual one if `images` is its share of that."""
    total = trainer.usual_batch if images == _share(trainer) else images * trainer.team.size
    return trainer.train_set.batch(np.arange(images))._replace(total=total)


def _timed(trainer: EpochLoop, work: Callable[[], Any]) -> float:
    """Seconds, the same in all processes of a team."""
    synchronise(trainer.team.device)
    start = time.perf_counter()
    work()
    synchronise(trainer.team.device)
    return trainer.team.sum([time.perf_counter() - start])[0] / trainer.team.size


# -- memory ----------------------------------------------------------------------------------------


def _memory_mb(trainer: EpochLoop) -> float:
    """Of this process (on a GPU: of what PyTorch holds there) when the training is at its largest."""
    last = _stages(trainer)[-1]
    trainer.learner.enter(schedule.phase_at(trainer.recipe, last))
    parameters = list(trainer.learner.net.parameters())
    learning = sum(p.nbytes for p in parameters if p.requires_grad)
    gradients, activations = learning, _activation_bytes(trainer, last) * _share(trainer)
    copies = 2 * sum(p.nbytes for p in parameters) + 2 * learning  # the best epoch, and the state to roll back to
    device = trainer.team.device
    held = torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return (held + gradients + activations + copies) / 2**20


def _activation_bytes(trainer: EpochLoop, epoch: int) -> float:
    """What the network keeps of one image between its forward and its backward pass in `epoch`."""
    saved: dict[int, int] = {}
    parameters = {p.untyped_storage().data_ptr() for p in trainer.learner.net.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = min(FEW, _share(trainer))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _step(trainer, images, epoch)
    return sum(saved.values()) / images


def _free_mb(device: torch.device) -> float:
    """What is left beside what this process holds already, plus that."""
    if device.type == "cuda":
        return (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)) / 2**20
    return (psutil.virtual_memory().available + psutil.Process().memory_info().rss) / 2**20


def _warnings(trainer: EpochLoop, seconds: float, memory_mb: float, free_mb: float) -> list[str]:
    """What will not do, each as a sentence."""
    found = []
    if seconds > trainer.budget_s:
        reached = max(1, int(trainer.epochs * trainer.budget_s / seconds))
        found.append(
            f"{trainer.epochs} epochs would take about {format_duration(seconds)}, and the budget of "
            f"{format_duration(trainer.budget_s)} ends after about {reached}"
        )
    if memory_mb > free_mb:
        found.append(
            f"about {memory_mb:,.0f} MB of memory are needed and {free_mb:,.0f} MB are free: batches may be split into "
            "micro-batches; a smaller batch_size or image_size_px needs less"
        )
    return found


# -- numerics, on a GPU ----------------------------------------------------------------------------


def _has_choice(device: torch.device) -> bool:
    """Whether the clock decides what the recipe leaves open."""
    return device.type == "cuda"


def _choose(trainer: EpochLoop) -> Numerics:
    """The fastest of what the recipe allows, by the clock; the plain kind unless another one is clearly faster."""

    epoch, best = _stages(trainer)[-1], trainer.learner.numerics
    portions = trainer.learner.micro.size
    seconds = _step_seconds(trainer, epoch)
    for change in _alternatives(trainer):
        other = replace(best, **change)
        is_short = seconds * trainer.steps_per_epoch * trainer.epochs < WORTH_COMPILING * COMPILE_S
        if other == best or ("compiled" in change and is_short):
            continue
        trainer.learner.micro.size = portions  # what one kind has no memory for, another may have
        fault = _find_fault(trainer, other, epoch)
        if fault:
            trainer.log_event("numerics_refused", tried=", ".join(change), reason=fault)
        if (
            trainer.team.least(not fault and trainer.learner.numerics == other)
            and (took := _step_seconds(trainer, epoch)) < GAIN * seconds
        ):
            best, seconds = other, took
    trainer.learner.micro.size = portions
    return best


def _find_fault(trainer: EpochLoop, numerics: Numerics, epoch: int) -> str:
    """Why this process cannot compute in `numerics`, which it does from now on; found without the others, who may."""
    learner = trainer.learner
    learner.enter(schedule.phase_at(trainer.recipe, epoch))
    images = _share(trainer)
    try:
        learner.use(numerics)
        learner._training_pass(_first_images(trainer, images), epoch)(slice(0, images))
    except RuntimeError as error:
        return str(error).strip().partition("\n")[0]
    finally:
        learner.optimizer.zero_grad()
    return ""


def _alternatives(trainer: EpochLoop) -> list[dict[str, Any]]:
    """What may be changed, from the cheapest attempt to the dearest."""
    found: list[dict[str, Any]] = [{"channels_last": True}]
    if trainer.recipe.precision == "auto":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        low = "bfloat16" if has_bfloat16 else "float16"
        found += [{"precision": low, "channels_last": False}, {"precision": low, "channels_last": True}]
    if trainer.recipe.compile == "auto":
        found.append({"compiled": True})
    return [*found, {"graphed": True}]
