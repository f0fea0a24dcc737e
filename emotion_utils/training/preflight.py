"""Before a training begins: how long it will take and how much memory, from a few real steps that leave no trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil
import torch

from emotion_utils.progress import format_duration
from emotion_utils.recipe import Recipe
from emotion_utils.training import schedule, trial_steps
from emotion_utils.training.choose_numerics import choose_numerics
from emotion_utils.training.trial_steps import FEW, Training


def run_preflight(training: Training) -> None:
    """Measures time and memory and logs them as an event `preflight`; on a GPU it chooses the numerics first.

    A training that would outlast its budget gets a shorter schedule. Nothing else of its state changes.
    """
    learner, device = training.learner, training.team.device
    before = learner.state()
    was_silent, training.silent = training.silent, True
    try:
        numerics = choose_numerics(training) if trial_steps.is_cuda(device) else learner.numerics
        learner.use(numerics)
        pace = _measure_pace(training)
        memory = _memory_mb(training)
    finally:
        learner.restore(before)
        training.silent = was_silent
    learner.use(numerics)
    seconds, planned = pace.seconds(training.recipe, training.epochs), training.epochs
    if seconds > training.budget_s and planned > 1:
        _shorten(training, pace)
        seconds = pace.seconds(training.recipe, training.epochs)
    free = _free_mb(device)
    training.log_event(
        "preflight", seconds=round(seconds), step_seconds=pace.of_changes(training.recipe, training.epochs),
        memory_mb=round(memory), memory_free_mb=round(free), precision=numerics.precision,
        compiled=numerics.compiled, graphed=numerics.graphed,
        channels_last=numerics.channels_last or device.type == "cpu",
        warnings=_find_shortages(training, seconds, memory, free),
    )  # fmt: skip


# -- time ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pace:
    """Seconds of a step by the layers that learn and the size of the images, and of a validation."""

    by_kind: Mapping[tuple[str, int | None], float]
    validation: float
    steps_per_epoch: int

    def step(self, recipe: Recipe, epoch: int) -> float:
        return self.by_kind[schedule.step_kind(recipe, epoch)]

    def of_changes(self, recipe: Recipe, epochs: int) -> list[float]:
        """Of a step from each epoch on at which steps change."""
        return [round(self.step(recipe, epoch), 4) for epoch in schedule.step_changes(recipe, epochs)]

    def seconds(self, recipe: Recipe, epochs: int) -> float:
        """Of a whole training, with its validations."""
        steps = sum(self.step(recipe, epoch) for epoch in range(1, epochs + 1))
        return steps * self.steps_per_epoch + self.validation * epochs


def _measure_pace(training: Training) -> Pace:
    """Steps of one kind are timed once."""
    by_kind: dict[tuple[str, int | None], float] = {}
    for epoch in schedule.step_changes(training.recipe, training.epochs):
        kind = schedule.step_kind(training.recipe, epoch)
        if kind not in by_kind:
            by_kind[kind] = trial_steps.step_seconds(training, epoch)
    val = training.val_set

    def validate(images: int) -> None:
        training.learner.evaluate(val.take(images))

    batch = min(training.learner.evaluation_batch_size, len(val))
    validation = trial_steps.extrapolate_seconds(training, validate, batch)
    return Pace(by_kind, validation * len(val) / batch, training.steps_per_epoch)


def _shorten(training: Training, pace: Pace) -> None:
    """Gives the training the most epochs that its budget allows, with the whole course of rates, phases and sizes."""
    planned, recipe = training.epochs, training.recipe
    fitting = (
        (epochs, fewer)
        for epochs in range(planned - 1, 0, -1)
        if pace.seconds(fewer := schedule.rescale(recipe, planned, epochs), epochs) <= training.budget_s
    )
    epochs, shorter = next(fitting, (1, schedule.rescale(recipe, planned, 1)))
    training.follow(shorter)
    training.log_event("shortened", epochs=epochs, planned=planned, budget_seconds=round(training.budget_s))


# -- memory ----------------------------------------------------------------------------------------


def _memory_mb(training: Training) -> float:
    """Of this process (on a GPU: of what PyTorch holds there) when the training is at its largest."""
    last = schedule.step_changes(training.recipe, training.epochs)[-1]
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
        found.append(
            f"an epoch takes about {format_duration(seconds / training.epochs)}, and the budget is "
            f"{format_duration(training.budget_s)}: the training ends after the first one"
        )
    if memory_mb > free_mb:
        found.append(
            f"about {memory_mb:,.0f} MB of memory are needed and {free_mb:,.0f} MB are free: batches may be split into "
            "micro-batches; a smaller batch_size or image_size_px needs less"
        )
    return found
