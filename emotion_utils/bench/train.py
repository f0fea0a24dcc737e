"""How fast a network trains: this engine, a plain loop, and the bare computation of each; and the memory used.

The engine computes in what a training would choose here: on a GPU that is measured once for each size.
"""

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
from emotion_utils.devices import pick_device, synchronise
from emotion_utils.models.zoo import build_model
from emotion_utils.run import Run
from emotion_utils.sources.source import Source, open_source
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset
from emotion_utils.store.store import build_store
from emotion_utils.training.cpu.allocation import reuse_freed_memory
from emotion_utils.training.distributed import Team
from emotion_utils.training.epochs import EpochLoop
from emotion_utils.training.graph import RecordedWork
from emotion_utils.training.numerics import Numerics
from emotion_utils.training.preflight import run_preflight
from emotion_utils.training.repeatable import deterministic

ROUNDS = 5
STEPS, GPU_STEPS = 12, 40  # of each epoch that is timed; the first is not counted
BATCH_SIZE, GPU_BATCH_SIZE = 64, 256
MEMORY_STEPS = 4


@dataclass(frozen=True)
class Workload:
    """What is the same for every way: images of one size, in one folder and one store, in equal batches."""

    folder: Path
    dataset: Dataset
    size_px: int
    batch_size: int
    workers: int
    device: torch.device
    numerics: Numerics

    @property
    def steps(self) -> int:
        return len(self.dataset) // self.batch_size


def bench_steps(
    spec: str, *, sizes_px: tuple[int, ...] = (48, 96), batch_size: int | None = None, workers: int = plain.WORKERS,
    steps: int | None = None, rounds: int = ROUNDS,
) -> pd.DataFrame:  # fmt: skip
    """A row per size and way, each over the same images, in turns; medians over `rounds`. On a GPU if there is one.

    Ways: plain; plain, bare (its forward, backward and optimizer steps on tensors in memory); engine; engine, bare; on
    a GPU also bare: the step as one would write it there by hand, with autocast, channels last and a fused AdamW.
    Columns: size_px, way, numbers (in which the layers compute), images_per_second, ratio (to plain), overhead (time of
    an epoch over that of its bare steps), of_bare (rate over that of bare; NaN on a CPU). `batch_size` and `steps` are
    BATCH_SIZE and STEPS if None, more on a GPU.
    """
    source, device = open_source(spec), pick_device()
    batch_size = batch_size or (BATCH_SIZE if device.type == "cpu" else GPU_BATCH_SIZE)
    steps = steps or (STEPS if device.type == "cpu" else GPU_STEPS)
    wanted = batch_size * steps
    manifest = manifest_of(source, max(1, len(source.table) // (2 * wanted)))
    manifest = pd.concat([manifest] * -(-wanted // len(manifest)), ignore_index=True)[:wanted]
    tables = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = plain.write_folder(source, manifest, Path(scratch, "plain"))
        for size_px in sizes_px:
            dataset = make_dataset(source, manifest, size_px, Path(scratch))
            numerics = choose_numerics(dataset, size_px, batch_size, device)
            tables.append(_time_ways(Workload(folder, dataset, size_px, batch_size, workers, device, numerics), rounds))
    return pd.concat(tables, ignore_index=True)


def bench_memory(*, size_px: int = 112, batch_size: int = 32) -> pd.DataFrame:
    """Columns: model, size_px, batch_size, peak_mb: the peak resident memory of a process that trains and validates.

    Each is measured in a fresh process, including Python and its libraries, on noise.
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
    """The images of `manifest`, decoded into a store below `cache`; an image listed twice comes twice.

    `class_names` are by default the labels in alphabetical order.
    """
    store = build_store(source, manifest, size_px=size_px, cache=cache)
    names = class_names or tuple(sorted(set(manifest["label"])))
    labels = torch.tensor([names.index(label) for label in manifest["label"]])
    ids = [f"{name}#{number}" for number, name in enumerate(manifest["id"])]
    return Dataset(store.images, store.rows(manifest["id"]), labels, ids, names)


def make_config(size_px: int, batch_size: int, model: str = plain.MODEL, **recipe: object) -> RunConfig:
    """The demo profile's workloads for one model, at this size; `recipe` changes that of the model."""
    values = resolve_config("demo").model_dump()
    recipes = {model: values["recipes"][model] | recipe}
    changes = {"image_size_px": size_px, "batch_size": batch_size, "epochs": 1, "models": [model], "recipes": recipes}
    return validate_config(values | changes)


def make_net(model: str, num_classes: int, size_px: int, **design: object) -> nn.Module:
    """With random weights; `design` is what build_model takes beside."""
    return build_model(model, num_classes=num_classes, image_size_px=size_px, weights="random", **design)


def choose_numerics(dataset: Dataset, size_px: int, batch_size: int, device: torch.device) -> Numerics:
    """The numerics that a training of this size would choose."""
    net, config = make_net(plain.MODEL, len(dataset.class_names), size_px), make_config(size_px, batch_size)
    with tempfile.TemporaryDirectory() as folder, deterministic(), reuse_freed_memory():
        trainer = make_trainer(net, dataset, dataset, config, device, folder)
        if device.type != "cpu":  # on a CPU nothing is timed to decide
            run_preflight(trainer)
        return trainer.learner.numerics


# -- the ways --------------------------------------------------------------------------------------


def _time_ways(workload: Workload, rounds: int) -> pd.DataFrame:
    ways: dict[str, Callable[[Workload], float]] = {
        "plain": _time_plain,
        "plain, bare": _time_plain_bare,
        "engine": _time_engine,
        "engine, bare": _time_engine_bare,
    }
    if workload.device.type != "cpu":
        ways["bare"] = _time_bare
    rates = pd.DataFrame([{way: measure(workload) for way, measure in ways.items()} for _ in range(rounds)])
    rows = []
    for way, rate in rates.items():  # ratios within a round: a machine's speed changes from minute to minute
        overhead = (rates[f"{way}, bare"] / rate).median() if f"{way}, bare" in rates else np.nan
        of_bare = (rate / rates["bare"]).median() if "bare" in rates else np.nan
        row = (rate.median(), (rate / rates["plain"]).median(), overhead, of_bare)
        rows.append((workload.size_px, way, _numbers_of(way, workload), *row))
    return pd.DataFrame(
        rows, columns=["size_px", "way", "numbers", "images_per_second", "ratio", "overhead", "of_bare"]
    )


def _numbers_of(way: str, workload: Workload) -> str:
    if way.startswith("plain"):
        return "float32"
    if way == "bare":
        return f"{_low_precision()}, channels_last"
    flags = ("channels_last", "compiled", "graphed")
    return ", ".join([workload.numerics.precision, *(flag for flag in flags if getattr(workload.numerics, flag))])


class _Clock:
    """Times steps of one batch each; the first one is the warm-up.

    `waits`: a GPU computes on after a call returns, so the first and the last step are waited for.
    """

    def __init__(self, workload: Workload, *, waits: bool = True) -> None:
        self._workload, self._waits, self._times = workload, waits, []

    def tick(self, *_: object) -> None:
        if self._waits and len(self._times) in (0, self._workload.steps - 1):
            synchronise(self._workload.device)
        self._times.append(time.perf_counter())

    def images_per_second(self) -> float:
        return self._workload.batch_size * (len(self._times) - 1) / (self._times[-1] - self._times[0])


def _time_plain(workload: Workload) -> float:
    clock, augment = _Clock(workload), make_config(workload.size_px, workload.batch_size).augment
    loader = plain.make_loader(
        workload.folder, workload.size_px, workload.batch_size, augment=augment, workers=workload.workers
    )
    net = make_net(plain.MODEL, len(workload.dataset.class_names), workload.size_px).to(workload.device)
    plain.train_epoch(net, plain.make_adam(net), loader, workload.device, clock.tick)
    return clock.images_per_second()


def _time_plain_bare(workload: Workload) -> float:
    clock = _Clock(workload)
    net = make_net(plain.MODEL, len(workload.dataset.class_names), workload.size_px).to(workload.device)
    plain.train_epoch(net, plain.make_adam(net), _tensors(workload), workload.device, clock.tick)
    return clock.images_per_second()


def _time_engine(workload: Workload) -> float:
    clock = _Clock(workload, waits=False)  # the engine reports a step once it has read the result
    config = make_config(workload.size_px, workload.batch_size)
    net = make_net(plain.MODEL, len(workload.dataset.class_names), workload.size_px)
    few = replace(workload.dataset, rows=workload.dataset.rows[:2], labels=workload.dataset.labels[:2],
                  ids=workload.dataset.ids[:2])  # fmt: skip
    _train_engine(net, workload.dataset, few, config, workload.device, clock.tick, workload.numerics)
    return clock.images_per_second()


def _time_engine_bare(workload: Workload) -> float:
    """The network, numerics and optimizer of the engine, without the rest of the engine."""
    clock, config = _Clock(workload), make_config(workload.size_px, workload.batch_size)
    net = make_net(plain.MODEL, len(workload.dataset.class_names), workload.size_px)
    with tempfile.TemporaryDirectory() as folder, deterministic(), reuse_freed_memory():
        learner = make_trainer(net, workload.dataset, workload.dataset, config, workload.device, folder).learner
        learner.use(replace(workload.numerics, graphed=False))
        learner.enter(learner.recipe.phases[0])

        def work(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor]:
            loss = torch.nn.functional.cross_entropy(learner.forward(images, learner.compiled), labels)
            loss.backward()
            return (loss.detach(),)

        batches = _tensors(workload)
        if workload.numerics.graphed:
            recorded = RecordedWork(learner.net, work, batches[0])
            step = lambda *batch: recorded(batch)  # noqa: E731
        else:
            step = work
        for batch in batches:
            step(*batch)
            learner.optimizer.step()
            learner.optimizer.zero_grad()
            clock.tick()
    return clock.images_per_second()


def _time_bare(workload: Workload) -> float:
    """A step as one would write it for a GPU: autocast, channels last, a fused AdamW; nothing compiled or recorded."""
    clock, low = _Clock(workload), getattr(torch, _low_precision())
    net = make_net(plain.MODEL, len(workload.dataset.class_names), workload.size_px).to(workload.device)
    net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    for images, labels in _tensors(workload):
        with torch.autocast(workload.device.type, low):
            loss = torch.nn.functional.cross_entropy(net(images.to(memory_format=torch.channels_last)), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        clock.tick()
    return clock.images_per_second()


def _low_precision() -> str:
    """The fastest precision of this GPU."""
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def _tensors(workload: Workload) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """All batches, on the device; they share one tensor of images."""
    batch = workload.dataset.batch(np.arange(workload.batch_size))
    ready = to_unit(batch.images).to(workload.device), batch.labels.to(workload.device)
    return [ready] * workload.steps


def make_trainer(
    net: nn.Module, train_set: Dataset, val_set: Dataset, config: RunConfig, device: torch.device, folder: str
) -> EpochLoop:
    """The training of the only model of `config` that leaves its files in `folder`."""
    model = config.models[0]
    run, team = Run(Path(folder), config), Team(0, 1, device)
    return EpochLoop(net, train_set, val_set, config.recipes[model], run, model, team)


def _train_engine(
    net: nn.Module, train_set: Dataset, val_set: Dataset, config: RunConfig, device: torch.device,
    tick: Callable[..., None] | None = None, numerics: Numerics | None = None,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, deterministic(), reuse_freed_memory():
        trainer = make_trainer(net, train_set, val_set, config, device, folder)
        if numerics:
            trainer.learner.use(numerics)
        trainer.fit(tick)
