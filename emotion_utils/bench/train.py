"""How quickly a network trains: this engine, a plain loop, and the bare arithmetic of each; and the memory it takes."""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from emotion_utils.bench import plain
from emotion_utils.bench.data import manifest_of
from emotion_utils.config import RunConfig, resolve_config, validate_config
from emotion_utils.data.augment import to_unit
from emotion_utils.data.loader import Dataset
from emotion_utils.data.sources import Source, open_source
from emotion_utils.data.store import build_store
from emotion_utils.devices import pick_device
from emotion_utils.models.zoo import build_model
from emotion_utils.run import Run
from emotion_utils.training.allocation import keeping_freed_memory
from emotion_utils.training.distributed import Team
from emotion_utils.training.fit import Trainer
from emotion_utils.training.repeatable import deterministic

ROUNDS = 5
STEPS = 12  # of each epoch that is timed; the first is not counted
MEMORY_STEPS = 4


@dataclass(frozen=True)
class Setting:
    """What all ways have in common: pictures of one size, in one folder and one store, in equal batches."""

    folder: Path
    dataset: Dataset
    size_px: int
    batch_size: int
    workers: int
    device: torch.device


def bench_steps(
    spec: str, *, sizes_px: tuple[int, ...] = (48, 96), batch_size: int = 64, workers: int = plain.WORKERS,
    steps: int = STEPS, rounds: int = ROUNDS,
) -> pd.DataFrame:  # fmt: skip
    """A row per size and way, over the same number of pictures, in turns; medians over `rounds`. On a GPU if one works.

    Ways: plain; plain, bare (its forward, backward and optimizer steps on tensors in memory); engine; engine, bare.
    Columns: size_px, way, images_per_second, ratio (to plain), overhead (time of an epoch over that of its bare steps).
    """
    source = open_source(spec)
    wanted = batch_size * steps
    manifest = manifest_of(source, max(1, len(source.table) // (2 * wanted)))
    manifest = pd.concat([manifest] * -(-wanted // len(manifest)), ignore_index=True)[:wanted]
    tables = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = plain.write_folder(source, manifest, Path(scratch, "plain"))
        for size_px in sizes_px:
            dataset = make_dataset(source, manifest, size_px, Path(scratch))
            tables.append(_time_ways(Setting(folder, dataset, size_px, batch_size, workers, pick_device()), rounds))
    return pd.concat(tables, ignore_index=True)


def bench_memory(*, size_px: int = 112, batch_size: int = 32) -> pd.DataFrame:
    """Columns: model, size_px, batch_size, peak_mb: the largest resident memory of a process that trains and judges.

    Each is measured in a fresh process, Python and its libraries included, on drawn noise.
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    for model in ("r18_scratch_emotion", "r18_pre_emotion"):
        with context.Pool(1) as pool:
            rows.append(pool.apply(measure_memory, (model, size_px, batch_size)))
    return pd.DataFrame(rows)


def measure_memory(model: str, size_px: int, batch_size: int) -> dict[str, str | float]:
    """One row of `bench_memory`, measured in this process."""
    count = batch_size * MEMORY_STEPS
    images = np.random.default_rng(0).integers(0, 256, (count, size_px, size_px, 3), dtype=np.uint8)
    labels = torch.arange(count) % 3
    dataset = Dataset(images, np.arange(count), labels, [f"{n:06d}" for n in range(count)], ("a", "b", "c"))
    _train_engine(make_net(model, 3, size_px), dataset, dataset, make_config(size_px, batch_size, model), pick_device())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"model": model, "size_px": size_px, "batch_size": batch_size, "peak_mb": peak_mb}


def make_dataset(
    source: Source, manifest: pd.DataFrame, size_px: int, cache: Path, class_names: tuple[str, ...] = ()
) -> Dataset:
    """The pictures of `manifest`, decoded into a store below `cache`; a picture that stands twice comes twice.

    `class_names` are those of the labels, in order of the alphabet, if none are given.
    """
    store = build_store(source, manifest, size_px=size_px, cache=cache)
    names = class_names or tuple(sorted(set(manifest["label"])))
    labels = torch.tensor([names.index(label) for label in manifest["label"]])
    ids = [f"{name}#{number}" for number, name in enumerate(manifest["id"])]
    return Dataset(store.images, store.rows(manifest["id"]), labels, ids, names)


def make_config(size_px: int, batch_size: int, model: str = plain.MODEL, **recipe: object) -> RunConfig:
    """The demo profile's settings for one model, at this size; `recipe` changes that of the model."""
    values = resolve_config("demo").model_dump()
    recipes = {model: values["recipes"][model] | recipe}
    changes = {"image_size_px": size_px, "batch_size": batch_size, "epochs": 1, "models": [model], "recipes": recipes}
    return validate_config(values | changes)


def make_net(model: str, num_classes: int, size_px: int) -> nn.Module:
    return build_model(model, num_classes=num_classes, image_size_px=size_px, weights="random")


# -- four ways -------------------------------------------------------------------------------------


def _time_ways(setting: Setting, rounds: int) -> pd.DataFrame:
    ways: dict[str, Callable[[Setting], float]] = {
        "plain": _time_plain,
        "plain, bare": _time_plain_bare,
        "engine": _time_engine,
        "engine, bare": _time_engine_bare,
    }
    rates = pd.DataFrame([{way: measure(setting) for way, measure in ways.items()} for _ in range(rounds)])
    rows = []
    for way, rate in rates.items():  # ratios within a round: a machine's speed changes from minute to minute
        overhead = (rates[f"{way}, bare"] / rate).median() if f"{way}, bare" in rates else np.nan
        rows.append((setting.size_px, way, rate.median(), (rate / rates["plain"]).median(), overhead))
    return pd.DataFrame(rows, columns=["size_px", "way", "images_per_second", "ratio", "overhead"])


class _Clock:
    """Steps of one batch each; the first ends the warming up."""

    def __init__(self, setting: Setting) -> None:
        self._device, self._batch_size, self._times = setting.device, setting.batch_size, []

    def tick(self, *_: object) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self._times.append(time.perf_counter())

    def images_per_second(self) -> float:
        return self._batch_size * (len(self._times) - 1) / (self._times[-1] - self._times[0])


def _time_plain(setting: Setting) -> float:
    clock, augment = _Clock(setting), make_config(setting.size_px, setting.batch_size).augment
    loader = plain.make_loader(
        setting.folder, setting.size_px, setting.batch_size, augment=augment, workers=setting.workers
    )
    net = make_net(plain.MODEL, len(setting.dataset.class_names), setting.size_px).to(setting.device)
    plain.train_epoch(net, plain.make_adam(net), loader, setting.device, clock.tick)
    return clock.images_per_second()


def _time_plain_bare(setting: Setting) -> float:
    clock = _Clock(setting)
    net = make_net(plain.MODEL, len(setting.dataset.class_names), setting.size_px).to(setting.device)
    plain.train_epoch(net, plain.make_adam(net), _tensors(setting), setting.device, clock.tick)
    return clock.images_per_second()


def _time_engine(setting: Setting) -> float:
    clock, config = _Clock(setting), make_config(setting.size_px, setting.batch_size)
    net = make_net(plain.MODEL, len(setting.dataset.class_names), setting.size_px)
    few = replace(setting.dataset, rows=setting.dataset.rows[:2], labels=setting.dataset.labels[:2],
                  ids=setting.dataset.ids[:2])  # fmt: skip
    _train_engine(net, setting.dataset, few, config, setting.device, clock.tick)
    return clock.images_per_second()


def _time_engine_bare(setting: Setting) -> float:
    """The network, layout, precision and optimizer of the engine, without all that the engine does around them."""
    clock, config = _Clock(setting), make_config(setting.size_px, setting.batch_size)
    net = make_net(plain.MODEL, len(setting.dataset.class_names), setting.size_px)
    with tempfile.TemporaryDirectory() as folder, deterministic(), keeping_freed_memory():
        learner = make_trainer(net, setting.dataset, setting.dataset, config, setting.device, folder).learner
        learner.enter(learner.recipe.phases[0])
        for images, labels in _tensors(setting):
            torch.nn.functional.cross_entropy(learner.forward(images), labels).backward()
            learner.optimizer.step()
            learner.optimizer.zero_grad(set_to_none=True)
            clock.tick()
    return clock.images_per_second()


def _tensors(setting: Setting) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """All batches, on the device; one tensor of images serves for all."""
    batch = setting.dataset.batch(np.arange(setting.batch_size))
    ready = to_unit(batch.images).to(setting.device), batch.labels.to(setting.device)
    return [ready] * (len(setting.dataset) // setting.batch_size)


def make_trainer(
    net: nn.Module, train_set: Dataset, val_set: Dataset, config: RunConfig, device: torch.device, folder: str
) -> Trainer:
    """A Trainer of the only model of `config` that leaves its files in `folder`."""
    return Trainer(net, train_set, val_set, Run(Path(folder), config), config.models[0], Team(0, 1, device))


def _train_engine(
    net: nn.Module, train_set: Dataset, val_set: Dataset, config: RunConfig, device: torch.device,
    tick: Callable[..., None] | None = None,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, deterministic(), keeping_freed_memory():
        make_trainer(net, train_set, val_set, config, device, folder).fit(tick)
