"""Before a training begins: how long it will take and how much memory, from a few real steps that leave no trace."""

from __future__ import annotations

from dataclasses import replace

import psutil
import torch

from emotion_utils.progress import format_duration
from emotion_utils.training import schedule, trial_steps
from emotion_utils.training.choose_numerics import choose_numerics
from emotion_utils.training.trial_steps import FEW, Training


def run_preflight(training: Training) -> None:
    """Measures time and memory and logs them as an event `preflight`; on a GPU it chooses the numerics first.

    Nothing else of the training's state changes.
    """
    learner, device = training.learner, training.team.device
    before = learner.state()
    was_silent, training.silent = training.silent, True
    try:
        numerics = choose_numerics(training) if trial_steps.is_cuda(device) else learner.numerics
        learner.use(numerics)
        steps = _time_steps(training)
        seconds = _training_seconds(training, steps)
        memory = _memory_mb(training)
    finally:
        learner.restore(before)
        training.silent = was_silent
    learner.use(numerics)
    free = _free_mb(device)
    training.log_event(
        "preflight", seconds=round(seconds), step_seconds=[round(step, 4) for step in steps.values()],
        memory_mb=round(memory), memory_free_mb=round(free), precision=numerics.precision,
        compiled=numerics.compiled, graphed=numerics.graphed,
        channels_last=numerics.channels_last or device.type == "cpu",
        warnings=_find_shortages(training, seconds, memory, free),
    )  # fmt: skip


# -- time ------------------------------------------------------------------------------------------


def _time_steps(training: Training) -> dict[int, float]:
    """Seconds of a step from each epoch on at which steps change; steps of one kind are timed once."""
    by_kind: dict[tuple[str, int | None], float] = {}
    by_epoch = {}
    for epoch in trial_steps.step_changes(training):
        recipe = training.recipe
        kind = schedule.phase_at(recipe, epoch).train_from, schedule.size_at(recipe, epoch)
        if kind not in by_kind:
            by_kind[kind] = trial_steps.step_seconds(training, epoch)
        by_epoch[epoch] = by_kind[kind]
    return by_epoch


def _training_seconds(training: Training, steps: dict[int, float]) -> float:
    """Seconds of all epochs, with their validation."""
    val = training.val_set

    def validate(images: int) -> None:
        part = replace(val, rows=val.rows[:images], labels=val.labels[:images], ids=val.ids[:images])
        training.learner.evaluate(part)

    batch = min(training.learner.evaluation_batch_size, len(val))
    validation = trial_steps.extrapolate_seconds(training, validate, batch) * len(val) / batch
    ends = [*list(steps)[1:], training.epochs + 1]
    epochs = sum(seconds * (end - begin) for (begin, seconds), end in zip(steps.items(), ends, strict=True))
    return epochs * training.steps_per_epoch + validation * training.epochs


# -- memory ----------------------------------------------------------------------------------------


def _memory_mb(training: Training) -> float:
    """Of this process (on a GPU: of what PyTorch holds there) when the training is at its largest."""
    last = trial_steps.step_changes(training)[-1]
    training.learner.enter(schedule.phase_at(training.recipe, last))
    parameters = list(training.learner.net.parameters())
    learning = sum(p.nbytes for p in parameters if p.requires_grad)
    gradients, activations = learning, _activation_bytes(training, last) * trial_steps.share_of_batch(training)
    copies = 2 * sum(p.nbytes for p in parameters) + 2 * learning  # the best epoch, and the state to roll back to
    device = training.team.device
    held = torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss
    return (held + gradients + activations + copies) / 2**20


def _activation_bytes(training: Training, epoch: int) -> float:
    """What the network keeps of one image between its forward and its backward pass in `epoch`."""
    saved: dict[int, int] = {}
    parameters = {p.untyped_storage().data_ptr() for p in training.learner.net.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    images = min(FEW, trial_steps.share_of_batch(training))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        trial_steps.take_steps(training, images, epoch)
    return sum(saved.values()) / images


def _free_mb(device: torch.device) -> float:
    """What is free, with what this process holds already."""
    if device.type == "cuda":
        return (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)) / 2**20
    return (psutil.virtual_memory().available + psutil.Process().memory_info().rss) / 2**20


def _find_shortages(training: Training, seconds: float, memory_mb: float, free_mb: float) -> list[str]:
    """A sentence for each of time and memory that will not suffice."""
    found = []
    if seconds > training.budget_s:
        reached = max(1, int(training.epochs * training.budget_s / seconds))
        found.append(
            f"{training.epochs} epochs would take about {format_duration(seconds)}, and the budget of "
            f"{format_duration(training.budget_s)} ends after about {reached}"
        )
    if memory_mb > free_mb:
        found.append(
            f"about {memory_mb:,.0f} MB of memory are needed and {free_mb:,.0f} MB are free: batches may be split into "
            "micro-batches; a smaller batch_size or image_size_px needs less"
        )
    return found
