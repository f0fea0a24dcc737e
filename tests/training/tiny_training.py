"""A small network and images in memory, on which a training takes a fraction of a second.

As a script it is one process of such a training: tiny_training.py FOLDER [--kill-at STEP] [--kill-in-checkpoint NUMBER]
"""

import argparse
import math
import os
import signal
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn

from emotion_utils.config import resolve_config, validate_config
from emotion_utils.run import Run
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset
from emotion_utils.training import checkpoint
from emotion_utils.training.distributed import Team, join_team
from emotion_utils.training.epochs import EpochLoop
from emotion_utils.training.repeatable import deterministic

MODEL = "r18_pre_emotion"
CLASSES = ("angry", "happy", "sad")
ALONE = Team(0, 1, torch.device("cpu"))
WALL_TIMES = ["seconds", "images_per_second"]  # of history.csv: all that may differ between two equal trainings


class TinyNet(nn.Module):
    """Two convolutions and a head, in the shape of the study's networks."""

    provenance = {"kind": "random"}  # noqa: RUF012

    def __init__(self, seed=0, norm=True, dropout=0.3):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4) if norm else nn.Identity())
            self.body = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2), nn.BatchNorm2d(8) if norm else nn.Identity())
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(8, len(CLASSES)))

    @property
    def depth_groups(self):
        return {"stem": [self.stem], "body": [self.body], "head": [self.head]}

    def forward(self, images):
        features = torch.relu(self.body(torch.relu(self.stem(images))))
        return self.head(features.mean((2, 3)))


def make_dataset(count, seed, size_px=16):
    """Noise with a bright third: top, middle or bottom says the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    images = rng.integers(0, 160, (count, size_px, size_px, 3))
    for image, label in zip(images, labels, strict=True):
        image[label * size_px // 3 : (label + 1) * size_px // 3] += 90
    ids = [f"{seed}-{place:04d}" for place in range(count)]
    return Dataset(images.astype(np.uint8), np.arange(count), torch.from_numpy(labels), ids, CLASSES)


def make_trainer(
    folder, *, net=None, train=48, train_set=None, val=15, epochs=3, batch_size=8, team=ALONE, balance="none",
    size_px=16, **recipe,
):  # fmt: skip
    """An EpochLoop whose run folder is `folder`; what is not named here goes into the recipe."""
    phases = recipe.pop("phases", [{"epoch": 1, "train_from": "stem"}])
    recipes = {MODEL: {"lr": 0.01, "precision": "float32", "phases": phases, **recipe}}
    settings = {"models": [MODEL], "epochs": epochs, "batch_size": batch_size, "balance": balance, "recipes": recipes}
    settings |= {"image_size_px": size_px} if "progressive_resizing" in recipe else {}
    config = validate_config(resolve_config("demo").model_dump() | settings)
    run = Run(Path(folder), config)
    train_set = train_set or make_dataset(train, 1, size_px)
    return EpochLoop(
        net or TinyNet(), train_set, make_dataset(val, 2, size_px), config.recipes[MODEL], run, MODEL, team
    )


def same_bits(one, other):
    """Whether two dicts of tensors agree in every bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def spoil(trainer, steps, value=math.nan):
    """The images of these training passes (1-based, counting repeated ones) come out as `value`."""
    net, calls = trainer.learner.net, []

    def forward(images):
        if net.training:
            calls.append(1)
            if len(calls) in steps:
                images = images * value
        return TinyNet.forward(net, images)

    net.forward = forward


def _kill_at(trainer, step):
    steps = iter(range(1, 10**6))
    original = trainer.learner.begin

    def counting(*args, **kwargs):
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    trainer.learner.begin = counting


def _kill_in_checkpoint(number):
    writes = iter(range(1, 10**6))
    original = torch.save

    def cut_short(value, path):
        original(value, path)
        if next(writes) == number:
            os.truncate(path, os.path.getsize(path) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = cut_short


def train(folder, *, kill_at=0, kill_in_checkpoint=0, norm=True, batch_size=8):
    """One process of a training with a checkpoint after each step; leaves best.safetensors, rows.csv, predictions.csv.

    `kill_in_checkpoint` ends the main process of a team half-way through that file, in torchrun's first attempt;
    `kill_at` the last process before that step of the attempt behind, or of the first one if it is alone.
    """
    folder = Path(folder)
    torch.set_num_threads(1)
    checkpoint.INTERVAL_S, checkpoint.COST_SHARE = 0.0, 1e9
    phases = [{"epoch": 1, "train_from": "body"}, {"epoch": 2, "train_from": "stem"}]
    settings = {"phases": phases, "ema_decay": 0.9, "mixup": 0.2, "train": 45, "batch_size": batch_size}
    settings |= {"size_px": 32, "progressive_resizing": [{"epoch": 1, "size_px": 16}, {"epoch": 3, "size_px": 32}]}
    with join_team(timedelta(seconds=15)) as team, deterministic():
        trainer = make_trainer(folder, net=TinyNet(norm=norm), team=team, **settings)
        attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        if kill_in_checkpoint and attempt == 0 and team.is_main_process:
            _kill_in_checkpoint(kill_in_checkpoint)
        if kill_at and attempt == bool(kill_in_checkpoint) and team.rank == team.size - 1:
            _kill_at(trainer, kill_at)
        trainer.fit()
        if team.is_main_process:
            save_file(trainer.best, folder / "best.safetensors")
            pd.DataFrame(trainer.rows).drop(columns=WALL_TIMES).to_csv(folder / "rows.csv", index=False)
            _predict(trainer).to_csv(folder / "predictions.csv")


@torch.no_grad()
def _predict(trainer):
    """The best epoch's probabilities for each validation image."""
    net, data = trainer.learner.net.eval(), trainer.val_set
    net.load_state_dict(trainer.best)
    logits = net(to_unit(torch.from_numpy(data.images).permute(0, 3, 1, 2)))
    return pd.DataFrame(logits.softmax(1).numpy(), index=data.ids, columns=CLASSES)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--kill-in-checkpoint", type=int, default=0)
    train(**vars(parser.parse_args()))
