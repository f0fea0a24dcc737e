"""On a GPU, the fastest of the numerics that the recipe leaves open, by the clock.

On a CPU the clock decides nothing (see numerics.py): there the same training is promised to give the same bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from emotion_utils.recipe import Recipe
from emotion_utils.training import schedule, trial_steps
from emotion_utils.training.numerics import Numerics
from emotion_utils.training.trial_steps import Training

GAIN = 0.95  # of the time, at most, for other numerics to be worth it
COMPILE_S = 60.0  # what compiling a network of this size takes; it is measured, but has to be paid first
WORTH_COMPILING = 10  # times as long a training is at least, for the attempt to cost a tenth of it at most


def choose_numerics(training: Training) -> Numerics:
    """The plain numerics unless others are clearly faster; steps are taken, and the learner is left in the last tried.

    What fails in any process of a team is used in none, and logged as an event.
    """
    epoch, best = schedule.step_changes(training.recipe, training.epochs)[-1], training.learner.numerics
    micro_batch = training.learner.micro.size
    seconds = trial_steps.step_seconds(training, epoch)
    for change in _alternatives(training.recipe):
        other = replace(best, **change)
        is_short = seconds * training.steps_per_epoch * training.epochs < WORTH_COMPILING * COMPILE_S
        if other == best or ("compiled" in change and is_short):
            continue
        training.learner.micro.size = micro_batch  # what one kind has no memory for, another may have
        fault = _find_fault(training, other, epoch)
        if fault:
            training.log_event("numerics_refused", tried=", ".join(change), reason=fault)
        if (
            training.team.least(not fault and training.learner.numerics == other)
            and (took := trial_steps.step_seconds(training, epoch)) < GAIN * seconds
        ):
            best, seconds = other, took
    training.learner.micro.size = micro_batch
    return best


def _alternatives(recipe: Recipe) -> list[dict[str, Any]]:
    """What may be changed, from the cheapest attempt to the dearest."""
    found: list[dict[str, Any]] = [{"channels_last": True}]
    if recipe.precision == "auto":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        low = "bfloat16" if has_bfloat16 else "float16"
        found += [{"precision": low, "channels_last": False}, {"precision": low, "channels_last": True}]
    if recipe.compile == "auto":
        found.append({"compiled": True})
    return [*found, {"graphed": True}]


def _find_fault(training: Training, numerics: Numerics, epoch: int) -> str:
    """Why this process cannot compute in `numerics`, which it uses from now on; empty where it can.

    Nothing is exchanged with the other processes, which may be able to.
    """
    learner = training.learner
    learner.enter(schedule.phase_at(training.recipe, epoch))
    images = trial_steps.share_of_batch(training)
    try:
        learner.use(numerics)
        learner.training_pass(trial_steps.first_images(training, images), epoch)(slice(0, images))
    except RuntimeError as error:
        return str(error).strip().partition("\n")[0]
    finally:
        learner.optimizer.zero_grad()
    return ""
