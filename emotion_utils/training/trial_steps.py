"""Steps at rate 0 on real images, which show what a training will cost.

They move what a step moves (norm statistics, guards): whoever takes them restores the learner's state afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from emotion_utils.devices import synchronise
from emotion_utils.recipe import Recipe
from emotion_utils.store.batches import Batch, Dataset
from emotion_utils.training import schedule
from emotion_utils.training.distributed import Team
from emotion_utils.training.learner import Learner

FEW = 2  # images, to learn how long a whole batch would take
GROWTH = 4  # times as many at least, to see what each more image costs
PATIENCE_S = 1.0  # for one measurement: a step that takes longer is extrapolated from fewer images
GPU_STEPS = 10  # that are timed together on a GPU, after as many that find kernels and fill caches


class Training(Protocol):
    """The training that is about to begin, in this process."""

    learner: Learner
    team: Team
    recipe: Recipe
    train_set: Dataset
    val_set: Dataset
    epochs: int
    budget_s: float
    silent: bool  # no events are logged

    @property
    def usual_batch(self) -> int: ...

    @property
    def steps_per_epoch(self) -> int: ...

    def follow(self, recipe: Recipe) -> None: ...

    def log_event(self, kind: str, **details: Any) -> None: ...


def is_cuda(device: torch.device) -> bool:
    """Whether steps run on a CUDA or ROCm GPU, where timing decides what the recipe leaves open."""
    return device.type == "cuda"


def share_of_batch(training: Training) -> int:
    """Images of a step in this process."""
    return max(1, training.usual_batch // training.team.size)


def first_images(training: Training, images: int) -> Batch:
    """This process's share of a batch; of the usual one if `images` is its share of that."""
    is_share = images == share_of_batch(training)
    total = training.usual_batch if is_share else images * training.team.size
    return training.train_set.batch(np.arange(images))._replace(total=total)


def take_steps(training: Training, images: int, epoch: int, times: int = 1) -> None:
    """Takes steps on the first `images` of the training set, in every process; the last one is waited for."""
    learner = training.learner
    learner.guard.start_epoch(10**6)  # so many steps may be skipped that none leads to a rollback
    batch = first_images(training, images)
    begun = [learner.begin(batch, epoch=epoch, number=1, rate_factor=0.0) for _ in range(times)]
    for step in begun:
        learner.settle(step)


def step_seconds(training: Training, epoch: int) -> float:
    """Seconds of a whole step of this process in `epoch`."""
    training.learner.enter(schedule.phase_at(training.recipe, epoch))
    share = share_of_batch(training)
    if is_cuda(training.team.device):  # fewer images would not be quicker
        take_steps(training, share, epoch, GPU_STEPS)
        return timed(training, lambda: take_steps(training, share, epoch, GPU_STEPS)) / GPU_STEPS
    return extrapolate_seconds(training, lambda images: take_steps(training, images, epoch), share)


def extrapolate_seconds(training: Training, work: Callable[[int], None], images: int) -> float:
    """Seconds of work(images): measured if that is quick, else extrapolated from fewer images.

    A call costs something, and each image costs the same. The first call at a size chooses kernels and fills caches, so
    the second one counts.
    """
    few = min(FEW, images)
    work(few)
    seconds = timed(training, lambda: work(few))
    if few == images or seconds > PATIENCE_S:
        return seconds * images / few
    more = min(images, max(GROWTH * few, int(few * PATIENCE_S / seconds)))
    work(more)
    longer = timed(training, lambda: work(more))
    per_image = max(0.0, longer - seconds) / (more - few)
    return longer + (per_image or longer / more) * (images - more)


def timed(training: Training, work: Callable[[], Any]) -> float:
    """Seconds that `work` takes, the same in all processes of a team."""
    synchronise(training.team.device)
    start = time.perf_counter()
    work()
    synchronise(training.team.device)
    return training.team.sum([time.perf_counter() - start])[0] / training.team.size
