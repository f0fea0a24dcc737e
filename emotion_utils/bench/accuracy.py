"""Accuracy on unseen faces over training time: this engine and the plain loop, from random weights."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from emotion_utils.audit.audit import audit_images
from emotion_utils.bench import plain
from emotion_utils.bench.train import make_config, make_dataset, make_net, make_trainer
from emotion_utils.config import RunConfig, resolve_config
from emotion_utils.counter_rng import id_keys
from emotion_utils.devices import pick_device
from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_probs
from emotion_utils.recipe import AugmentConfig
from emotion_utils.sources.source import open_source
from emotion_utils.store.batches import Dataset
from emotion_utils.training.cpu.allocation import reuse_freed_memory
from emotion_utils.training.repeatable import deterministic
from emotion_utils.training.schedule import size_at

PLAIN = {"size_px": 48, "batch_size": 64, "epochs": 8}  # of 80% of the training part
PLAIN_SHARE = 0.8
VAL_SHARE = 0.1  # of the training part, by which the engine chooses its epoch
BATCH_SIZE, GPU_BATCH_SIZE = 64, 256  # the rate of `quick` belongs to the first; it grows with its root
# Planned for a processor with AMX, two cores. In so few epochs, weak augmentation and batches of 64 did better than
# the profile's own, than 32 or 96 images, and than epochs at 32 and 40 px. `thorough` is the profile itself.
RECIPES: dict[str, dict[str, Any]] = {
    "quick": {
        "epochs": 4, "lr": 2.0e-3, "weight_decay": 0.05, "schedule": "one_cycle", "label_smoothing": 0.1,
        "augment_strength": 0.25, "progressive_resizing": [{"epoch": 1, "size_px": 48}],
    },
}  # fmt: skip


def bench_accuracy(
    spec: str, *, classes: tuple[str, ...] | None = None, ways: tuple[str, ...] = ("quick", "plain", "thorough")
) -> Iterator[pd.DataFrame]:
    """The curve of each way, one after the other: a row per epoch.

    The data must bring a split: all ways learn from its training part (the engine sets a tenth of it aside to choose
    by, the plain loop takes 80%), and are judged on the other, which chooses nothing. Columns: way; epoch; size_px;
    seconds of training so far (the engine's own validation included, the judging not); val_acc (of the tenth); unseen,
    unseen_flipped (accuracy on the other part; the latter averaged over image and mirror image).
    """
    with tempfile.TemporaryDirectory() as scratch:
        parts = _open_parts(spec, classes, Path(scratch))
        for way in ways:
            yield parts.plain_curve() if way == "plain" else parts.engine_curve(way)


def compare_curves(curves: list[pd.DataFrame]) -> pd.DataFrame:
    """When each way first reached the plain loop's best accuracy: way, best, accuracy, seconds (NaN: never), ratio.

    `ratio` is the plain loop's time over that of the way; all accuracies are those of unseen faces as they are.
    """
    best = {curve["way"].iloc[0]: curve["unseen"].max() for curve in curves}
    goal = best["plain"]
    seconds = {curve["way"].iloc[0]: curve.loc[curve["unseen"] >= goal, "seconds"].min() for curve in curves}
    rows = [(way, best[way], goal, seconds[way], seconds["plain"] / seconds[way]) for way in best]
    return pd.DataFrame(rows, columns=["way", "best", "accuracy", "seconds", "ratio"])


def _open_parts(spec: str, classes: tuple[str, ...] | None, scratch: Path) -> _Parts:
    source = open_source(spec, classes=classes)
    manifest, _ = audit_images(source)
    manifest = manifest[manifest["status"] == "kept"]
    train, unseen = manifest[manifest["split"] == "train"], manifest[manifest["split"].isin(["val", "test"])]
    if train.empty or unseen.empty:
        raise InputError(f"--data {spec}: the curve needs data with folders train and validation (or test)")
    return _Parts(source, _by_key(train), unseen, scratch)


def _by_key(rows: pd.DataFrame) -> pd.DataFrame:
    """In an order that depends on the ids alone."""
    return rows.iloc[np.argsort(id_keys(rows["id"]), kind="stable")].reset_index(drop=True)


class _Parts:
    """The training part in a reproducible order, and the unseen faces."""

    def __init__(self, source: Any, train: pd.DataFrame, unseen: pd.DataFrame, scratch: Path) -> None:
        self._source, self._train, self._unseen, self._scratch = source, train, unseen, scratch
        self._device = pick_device()
        self._class_names = tuple(sorted(set(train["label"])))

    def plain_curve(self) -> pd.DataFrame:
        """The plain loop, as PLAIN says."""
        size_px, batch_size = PLAIN["size_px"], PLAIN["batch_size"]
        rows = self._train[: round(PLAIN_SHARE * len(self._train))]
        folder = plain.write_folder(self._source, rows, self._scratch / "plain")
        loader = plain.make_loader(folder, size_px, batch_size, augment=AugmentConfig())
        unseen = self._dataset(self._unseen, size_px)
        net = make_net(plain.MODEL, len(self._class_names), size_px).to(self._device)
        optimizer, seconds, curve = plain.make_adam(net), 0.0, []
        for epoch in range(1, PLAIN["epochs"] + 1):
            start = time.perf_counter()
            plain.train_epoch(net, optimizer, loader, self._device, lambda: None)
            seconds += time.perf_counter() - start
            facts = {"way": "plain", "epoch": epoch, "size_px": size_px, "seconds": seconds, "val_acc": np.nan}
            curve.append(facts | judge(net, net.state_dict(), unseen))
        return pd.DataFrame(curve)

    def engine_curve(self, way: str) -> pd.DataFrame:
        """The engine; weights are those that the epoch would leave, averaged ones if there are any."""
        config = self._config(way)
        size_px, recipe = config.image_size_px, config.recipes[plain.MODEL]
        count = round(VAL_SHARE * len(self._train))
        rows = (self._train[count:], self._train[:count], self._unseen)
        train, val, unseen = (self._dataset(part, size_px) for part in rows)
        net = make_net(plain.MODEL, len(self._class_names), size_px, stem=recipe.stem, dropout=recipe.dropout)
        curve = []
        with tempfile.TemporaryDirectory() as folder, deterministic(), reuse_freed_memory():
            trainer = make_trainer(net, train, val, config, self._device, folder)

            def follow(rows: list[dict[str, Any]]) -> None:
                last = rows[-1]
                shown = size_at(trainer.recipe, last["epoch"]) or size_px
                facts = {"way": way, "epoch": last["epoch"], "size_px": shown}
                facts |= {"seconds": sum(row["seconds"] for row in rows), "val_acc": last["val_acc"]}
                curve.append(facts | judge(trainer.learner.net, trainer.learner.weights(), unseen))

            trainer.on_epoch.append(follow)
            trainer.fit(preflight=True)
        return pd.DataFrame(curve)

    def _config(self, way: str) -> RunConfig:
        if way == "thorough":
            return resolve_config("thorough", [f"models=[{plain.MODEL}]"], data=self._source.spec)
        recipe, batch_size = RECIPES[way], BATCH_SIZE if self._device.type == "cpu" else GPU_BATCH_SIZE
        lr = recipe["lr"] * math.sqrt(batch_size / BATCH_SIZE)
        return make_config(recipe["progressive_resizing"][-1]["size_px"], batch_size, **recipe | {"lr": lr})

    def _dataset(self, rows: pd.DataFrame, size_px: int) -> Dataset:
        return make_dataset(self._source, rows, size_px, self._scratch, self._class_names)


def judge(net: nn.Module, weights: dict[str, torch.Tensor], dataset: Dataset) -> dict[str, float]:
    """Accuracy (0-1) on all of `dataset` with these weights: `unseen`, and averaged with mirror images."""
    trained = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.load_state_dict(weights)
    right = {"unseen": 0, "unseen_flipped": 0}
    for start in range(0, len(dataset), BATCH_SIZE):
        batch = dataset.batch(np.arange(start, min(start + BATCH_SIZE, len(dataset))))
        labels = batch.labels.numpy()
        probs = predict_probs(net, batch.images)
        right["unseen"] += int((probs.argmax(1) == labels).sum())
        right["unseen_flipped"] += int(((probs + predict_probs(net, batch.images.flip(3))).argmax(1) == labels).sum())
    net.load_state_dict(trained)
    return {name: count / len(dataset) for name, count in right.items()}
