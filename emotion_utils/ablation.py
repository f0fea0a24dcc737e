"""Ablations: each model trained once more without one part of its training, all else unchanged. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emotion_utils.config import RunConfig
from emotion_utils.model_table import get_spec
from emotion_utils.recipe import AugmentConfig
from emotion_utils.run import Run

RANDOM = "random"
NO_AUGMENTATION = AugmentConfig().scaled(0).model_copy(update={"flip": 0.0})
# Why a part is left out for a model that it does not apply to.
REASONS = {
    "augmentation": "is trained without augmentation",
    "pretraining": "starts from random weights",
    "unfreezing": "trains the same layers in all epochs",
}


def starts_pretrained(config: RunConfig, model: str) -> bool:
    """Whether the settings have `model` start from other than random weights."""
    weights, registered = config.weights_of(model), get_spec(model).weights
    if weights == "auto":
        return any(registered.values())
    return bool(registered.get(weights)) if weights in ("proxy", "official") else weights != RANDOM


def leave_out(config: RunConfig, model: str, part: str, *, is_pretrained: bool) -> RunConfig | None:
    """`config` with `model` trained without `part`; None where its training does not have it.

    Without unfreezing, the layers that are frozen at first stay frozen. `is_pretrained` says what `model` starts from.
    """
    recipe = config.recipes[model]
    if part == "augmentation":
        ranges = config.augment.scaled(recipe.augment_strength).model_dump(exclude={"flip_order", "erase_area"})
        return config.model_copy(update={"augment": NO_AUGMENTATION}) if any(ranges.values()) else None
    if part == "pretraining":
        change = {"weights": RANDOM} if is_pretrained else {}
    else:
        reached = tuple(phase for phase in recipe.phases if phase.epoch <= (recipe.epochs or config.epochs))
        change = {"phases": reached[:1]} if len(reached) > 1 else {}
    recipes = config.recipes | {model: recipe.model_copy(update=change)}
    return config.model_copy(update={"recipes": recipes}) if change else None


def ablated_runs(run: Run, model: str) -> list[Run]:
    """A run for each part that the settings leave out and the training of `model` has, from its first seed.

    Its models lie below those of `run`, in without-augmentation and so on; its own `replicas` are of the further seeds.
    """
    found = []
    for part in run.config.ablate:
        config = leave_out(run.config, model, part, is_pretrained=starts_pretrained(run.config, model))
        if config is not None:
            found.append(Run(run.root, config, str(Path(run.model_folder) / ablation_folder(part))))
    return found


def ablation_folder(part: str) -> str:
    return f"without-{part}"


def all_trainings(run: Run, model: str) -> list[Run]:
    """The runs of all trainings of `model`: the one that the report shows, further seeds, and ablations likewise."""
    return [each for first in (run, *ablated_runs(run, model)) for each in (first, *first.replicas())]


def ablation_lines(config: RunConfig) -> Iterator[str]:
    """What the settings ask to leave out and a model does not have, a line each."""
    for part in config.ablate:
        for model in config.models:
            if leave_out(config, model, part, is_pretrained=starts_pretrained(config, model)) is None:
                yield f"no ablation of {part} for {model}, which {REASONS[part]}"
