"""Trainings that are compared on the same images. Each is a run of its own; one that is finished is read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from emotion_utils.audit.auxiliary import separate
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import RunConfig
from emotion_utils.devices import pick_device
from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_split
from emotion_utils.progress import progress_bar
from emotion_utils.run import Run
from emotion_utils.sources.source import Source
from emotion_utils.store.batches import open_split, prepare_images, restore_images
from emotion_utils.training.trainer import Trainer, new_model

NAMED_BY = 8  # hex digits of the settings in the name of a run: other settings are another run


DECIDED = ("models", "profile", "ablate", "seeds")  # by every command that compares trainings
OPTIONS = ("data", "classes", "epochs", "votes")  # of such a command


def refuse_decided(settings: Sequence[str], model: str, *own: str) -> None:
    """Raises InputError for `settings` (key=value) that the command decides, some of them its `own`, or takes as
    options: they would have no effect, or another one than they say."""
    for setting in settings:
        key = setting.partition("=")[0].strip()
        name = key.removeprefix(f"recipes.{model}.")
        if name in OPTIONS:
            raise InputError(f"--set {key}: give it as --{name}")
        if name in (*DECIDED, *own):
            raise InputError(f"--set {key}: this command decides it itself; leave it out")
        if setting.replace(" ", "") == "image_size_px=auto":
            raise InputError(f"--set {setting}: name the size in pixels, so that all trainings have the same")


def refuse_run(folder: Path) -> None:
    """Raises InputError where trainings would be mixed with a run that is no benchmark's."""
    if (folder / "run.json").exists():
        raise InputError(f"{folder} holds a run: name another --output")


class Divided(NamedTuple):
    """Images with their splits: those of the asked classes, and those that only teach."""

    source: Source
    manifest: pd.DataFrame
    auxiliary: pd.DataFrame
    audit: dict[str, Any]


def divide(source: Source, manifest: pd.DataFrame, audit: dict[str, Any], config: RunConfig) -> Divided:
    """As notebook 01 does it, without its doubts about labels."""
    images, division = divide_images(manifest, config, source.auxiliary)
    return Divided(source, *separate(images, source.auxiliary), audit | division)


def answer(folder: Path, name: str, config: RunConfig, data: Divided, *, seed: int, split: str) -> pd.DataFrame:
    """What the only model of `config`, trained from `seed`, answers on the images of `split`: predictions.

    A column `seconds` is added, the time of the training. It is trained now unless `folder` holds a training with this
    network, recipe and data; its weights, of 45 MB, are not kept.
    """
    run, (model,) = _open_run(folder / f"{name}-{config.fingerprint()[:NAMED_BY]}", config, data), config.models
    run = Run(run.root, config.model_copy(update={"seed": seed}), f"seed-{seed}")
    splits = open_split(run, "train"), open_split(run, "val")
    trainer = Trainer(new_model(run, model), *splits, config.recipes[model], run=run, model=model)
    weights = run.model_dir(model) / "model.safetensors"
    if not (trainer.is_trained and run.path("predictions", model).exists()):
        trainer.retrain = not (trainer.is_trained and weights.exists())
        trainer.fit(progress_bar(f"{name}, seed {seed}", unit="step"))
        if split == "test":
            run.note_test_opening("the benchmark")
        run.write("predictions", predict_split(run, trainer.net.to(pick_device()), split), model)
    weights.unlink(missing_ok=True)
    return run.read("predictions", model).assign(seconds=run.read("history", model)["seconds"].sum())


def _open_run(root: Path, config: RunConfig, data: Divided) -> Run:
    """The run at `root`, prepared with `data` unless it is already."""
    run = Run.create(root, config)
    if run.path("manifest").exists() and run.read("audit")["fingerprint"] == data.audit["fingerprint"]:
        restore_images(run)
    else:
        teaches = config.auxiliary_classes
        run.write("audit", {key: value for key, value in data.audit.items() if teaches or key != "auxiliary"})
        if teaches:
            run.write("auxiliary", data.auxiliary)
        prepare_images(run, data.source, data.manifest)
        run.write("manifest", data.manifest)
    return run
