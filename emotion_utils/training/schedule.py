"""Which part of a network is trained when, and at what rate: the recipe's phases and rates as plain functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from torch import nn

from emotion_utils.errors import InputError
from emotion_utils.recipe import Phase, Recipe, ResizingStep, move_steps

DepthGroups = Mapping[str, Sequence[nn.Module]]

ONE_CYCLE_RISE = (
    0.3  # share of the training in which the rate rises; Smith and Topin 2017, in the form that fast.ai uses
)
ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1e-4  # of the full rate
PLATEAU_PATIENCE = 2  # epochs without a lower val_loss before the rate falls
PLATEAU_FACTOR = 0.3
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


# -- phases ----------------------------------------------------------------------------------------


def phase_at(recipe: Recipe, epoch: int) -> Phase:
    """The phase of `epoch` (1-based)."""
    return [phase for phase in recipe.phases if phase.epoch <= epoch][-1]


def size_at(recipe: Recipe, epoch: int) -> int | None:
    """The side of the training images in `epoch` (1-based), in pixels; None without progressive resizing."""
    sizes = [step.size_px for step in recipe.progressive_resizing if step.epoch <= epoch]
    return sizes[-1] if sizes else None


def step_changes(recipe: Recipe, epochs: int) -> list[int]:
    """The epochs (1-based) at which the layers that learn or the size of the images change; the first is 1."""
    starts = {step.epoch for step in (*recipe.phases, *recipe.progressive_resizing)}
    return sorted(epoch for epoch in starts if epoch <= epochs)


def step_kind(recipe: Recipe, epoch: int) -> tuple[str, int | None]:
    """What the time of a step in `epoch` follows from: the first group that learns, and the size of the images."""
    return phase_at(recipe, epoch).train_from, size_at(recipe, epoch)


def rescale(recipe: Recipe, epochs: int, fewer: int) -> Recipe:
    """A copy of `recipe`, planned for so many `epochs`, for `fewer`: phases and sizes begin at the same share of it."""

    update = {
        name: tuple(kind(**step) for step in move_steps(map(dict, getattr(recipe, name)), epochs, fewer))
        for name, kind in (("phases", Phase), ("progressive_resizing", ResizingStep))
    }
    return recipe.model_copy(update=update | {"epochs": fewer})


def phase_name(phase: Phase, groups: DepthGroups) -> str:
    """The depth groups that it trains, such as `conv4-head`."""
    return f"{phase.train_from}-{list(groups)[-1]}"


def trainable_groups(phase: Phase, groups: DepthGroups) -> list[str]:
    """Names of the depth groups from `train_from` to the output. Raises InputError for a name that is not there."""
    names = list(groups)
    if phase.train_from not in names:
        raise InputError(f"phases: no depth group {phase.train_from!r}; choose one of {', '.join(names)}")
    return names[names.index(phase.train_from) :]


def apply_phase(net: nn.Module, groups: DepthGroups, phase: Phase) -> None:
    """Puts `net` in training mode, but for the frozen groups: no gradient, and in eval mode as a whole.

    Their BatchNorm therefore normalises with its stored statistics, and these do not move.
    """
    net.train()
    trainable = trainable_groups(phase, groups)
    for name, modules in groups.items():
        for module in modules:
            module.requires_grad_(name in trainable).train(name in trainable)


def phase_table(groups: DepthGroups, recipe: Recipe, epochs: int, history: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per phase: `phase, first_epoch, last_epoch, trainable_parameters, frozen_parameters`, and `lr_<group>`,
    the full rate of each group, 0 where it is frozen. With a history, `seconds` too: the time that its epochs took."""
    phases = [phase for phase in recipe.phases if phase.epoch <= epochs]
    ends = [phase.epoch - 1 for phase in phases[1:]] + [epochs]
    sizes = {name: sum(p.numel() for m in modules for p in m.parameters()) for name, modules in groups.items()}
    rows = []
    for phase, end in zip(phases, ends, strict=True):
        trainable = trainable_groups(phase, groups)
        count = sum(sizes[name] for name in trainable)
        rates = {f"lr_{n}": group_rate(recipe, n, groups) if n in trainable else 0.0 for n in groups}
        row = {"phase": phase_name(phase, groups), "first_epoch": phase.epoch, "last_epoch": end}
        rows.append(row | {"trainable_parameters": count, "frozen_parameters": sum(sizes.values()) - count} | rates)
    table = pd.DataFrame(rows)
    if history is not None:
        spans = zip(table["first_epoch"], table["last_epoch"], strict=True)
        table["seconds"] = [history.loc[history["epoch"].between(*span), "seconds"].sum() for span in spans]
    return table


# -- rates -----------------------------------------------------------------------------------------


def group_rate(recipe: Recipe, name: str, groups: DepthGroups) -> float:
    """The full rate of a depth group: the head's, times `layer_decay` for each step away from the head."""
    names = list(groups)
    return recipe.lr * recipe.layer_decay ** (len(names) - 1 - names.index(name))


def rate_factor(recipe: Recipe, step: int, total_steps: int, steps_per_epoch: int) -> float:
    """The part (0-1) of the full rate at `step` (0-based) of `total_steps`.

    Warm-up rises in a straight line to 1 at its last step; cosine falls from there to 0 behind the last step.
    """
    if recipe.schedule == "one_cycle":
        return _one_cycle(step, total_steps)
    warmup_steps = min(round(recipe.warmup_epochs * steps_per_epoch), total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if recipe.schedule == "cosine":
        return _cosine(1.0, 0.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return 1.0


def plateau_factor(val_losses: Sequence[float]) -> float:
    """The factor of the rate after these epochs: lowered each time val_loss has not improved for PLATEAU_PATIENCE."""
    factor, lowest, waited = 1.0, math.inf, 0
    for loss in val_losses:
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited > PLATEAU_PATIENCE:
            factor, waited = factor * PLATEAU_FACTOR, 0
    return factor


def parameter_groups(groups: DepthGroups, recipe: Recipe) -> list[dict]:
    """Two groups for the optimizer per depth group, with and without weight decay; `rate` is its full rate.

    Biases and norms are not decayed. They cover every phase: what is frozen has no gradient and is left alone.
    """
    result, seen = [], set()
    for name, modules in groups.items():
        decayed, plain = _split_decay(modules, seen)
        rate = group_rate(recipe, name, groups)
        result += [{"params": decayed, "weight_decay": recipe.weight_decay, "rate": rate, "name": name}]
        result += [{"params": plain, "weight_decay": 0.0, "rate": rate, "name": name}]
    return [group for group in result if group["params"]]


def _split_decay(modules: Sequence[nn.Module], seen: set[int]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """A parameter that several layers share is listed once, where it comes first; `seen` holds the earlier ones."""
    decayed, plain = [], []
    for module in (inner for outer in modules for inner in outer.modules()):
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                (plain if name == "bias" or isinstance(module, NORMS) else decayed).append(parameter)
    return decayed, plain


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _one_cycle(step: int, total_steps: int) -> float:
    rise = ONE_CYCLE_RISE * total_steps
    if step < rise:
        return _cosine(ONE_CYCLE_START, 1.0, step / rise)
    return _cosine(1.0, ONE_CYCLE_END, (step - rise) / (total_steps - rise))
