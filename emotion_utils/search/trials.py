"""What a search tries: points on a lattice around a model's recipe, and the configuration that belongs to each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import optuna
from optuna.distributions import FloatDistribution

from emotion_utils.config import RunConfig, validate_config
from emotion_utils.run import Run

# Steps, not a continuum: what is proposed twice is the same to the bit, and is not run twice.
SPACE = {
    "lr_doublings": FloatDistribution(-4, 4, step=0.5),  # times 2 ** this is the recipe's lr
    "weight_decay_log10": FloatDistribution(-4, -1, step=0.5),
    "augment_strength": FloatDistribution(0, 2, step=0.25),
}
GRID = {
    "lr_doublings": (-2.0, -1.0, 0.0, 1.0, 2.0),
    "weight_decay_log10": (-3.0, -2.0, -1.0),
    "augment_strength": (0.5, 1.0, 1.5),
}
MIDDLE = {"lr_doublings": 0.0, "weight_decay_log10": -2.0, "augment_strength": 1.0}
# May differ between machines without changing a result.
ELSEWHERE = {"data", "show_faces", "tracking", "models", "ablate", "rubric"}


def propose(trial: optuna.Trial) -> dict[str, float]:
    """A point of SPACE, from the sampler or from what was enqueued."""
    return {name: trial.suggest_float(name, space.low, space.high, step=space.step) for name, space in SPACE.items()}


def grid_points(seed: int) -> Iterator[dict[str, float]]:
    """All points of GRID, shuffled, so that a search that ends early has covered it evenly."""
    points = list(product(*GRID.values()))
    for place in np.random.default_rng(seed).permutation(len(points)):
        yield dict(zip(GRID, points[place], strict=True))


def trial_config(config: RunConfig, model: str, point: dict[str, float], epochs: int) -> RunConfig:
    """The run's configuration with the recipe of `model`, its only one, moved to `point`."""
    recipe = config.recipes[model].model_dump() | {"epochs": epochs, **changes(config, model, point)}
    return validate_config(config.model_dump() | {"models": (model,), "recipes": {model: recipe}})


def changes(config: RunConfig, model: str, point: dict[str, float]) -> dict[str, float]:
    """The recipe's lr, weight_decay and augment_strength at `point`; rounded, so that they can be typed."""
    return {
        "lr": float(f"{config.recipes[model].lr * 2 ** point['lr_doublings']:.3g}"),
        "weight_decay": float(f"{10 ** point['weight_decay_log10']:.2g}"),
        "augment_strength": point["augment_strength"],
    }


def config_key(config: RunConfig, *more: Any) -> str:
    """SHA-256 (hex) of all settings that decide a training's result, and of `more`."""
    parts = [config.model_dump(mode="json", exclude=ELSEWHERE), *more]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def settings_of_best(run: Run, model: str) -> list[str]:
    """The result of a search in words, and the command that uses it."""
    trials, summary = run.read_search(model)
    best = trials.set_index("trial").loc[summary["best"]]
    names = ("lr", "weight_decay", "augment_strength")
    return [
        f"best of {summary['trials']} trials in {summary['seconds']:,.0f} s: val accuracy {summary['val_acc']:.3f}, "
        f"{summary['corrected_val_acc']:.3f} without selection bias",
        "emotion run " + " ".join(f"--set recipes.{model}.{name}={best[name]:g}" for name in names),
    ]
