"""How fast data are prepared, beside plain torchvision: both in one run, in turns, medians compared."""

from __future__ import annotations

import gc
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.cache import audit_once
from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.splits import assign_splits
from emotion_utils.config import resolve_config
from emotion_utils.recipe import AugmentConfig
from emotion_utils.run import Run
from emotion_utils.sources.archives import is_archive
from emotion_utils.sources.source import Source, open_source
from emotion_utils.store.store import Store, build_store, open_store, store_path

ROUNDS = 3
BATCH_SIZE = 64
BATCH_IMAGES = 8000  # at most, spread over the data
BATCH_SECONDS = 4.0  # per round at least, after a first batch that is not timed


def bench_store(spec: str, *, size_px: int = 48, rounds: int = ROUNDS) -> pd.DataFrame:
    """From the data at `spec` to a store, against one pass of ImageFolder over the same files, unpacked.

    Rows: plain; of an archive also unpack, and plain from archive (both); open (the listing of the data), audit (with
    the search for copies), split, store; then sums of these: files to store (open, store) and first run (all four);
    new run (the same data in another run folder: listing, the audit found again, split, store opened); later run
    (manifest and store of the same run folder opened again, every image looked up). Columns: way, images, seconds,
    images_per_second, images_per_core_second (of processor time, so that parallel work counts as what it costs), ratio,
    ratio_per_core.
    """
    manifest = manifest_of(open_source(spec))
    with _unpacked(open_source(spec), manifest) as folder, tempfile.TemporaryDirectory() as scratch:
        _pass_image_folder(folder, size_px)  # not timed: imports modules and fills the file cache
        measured = []
        for number in range(rounds):
            plain = {"plain": _clock(_pass_image_folder, folder, size_px)[1]}
            if Path(spec).is_file() and is_archive(Path(spec)):
                plain["unpack"] = _clock(shutil.unpack_archive, spec, Path(scratch) / f"unpacked {number}")[1]
                plain["plain from archive"] = plain["plain"] + plain["unpack"]
            measured.append(plain | _time_stages(spec, size_px, Path(scratch) / str(number)))
    rows = []
    for way in measured[0]:
        seconds, core_seconds = np.median([times[way] for times in measured], axis=0)
        rows.append((way, len(manifest), seconds, len(manifest) / seconds, len(manifest) / core_seconds))
    table = pd.DataFrame(rows, columns=["way", "images", "seconds", "images_per_second", "images_per_core_second"])
    return _with_ratios(table, {"images_per_second": "ratio", "images_per_core_second": "ratio_per_core"})


def bench_batches(spec: str, *, sizes_px: tuple[int, ...] = (48, 112, 224), rounds: int = ROUNDS) -> pd.DataFrame:
    """Augmented batches from the store, against ImageFolder, torchvision's transforms and a DataLoader.

    A row per size and way. Columns: size_px, way, images_per_second, ratio.
    """
    source = open_source(spec)
    step = -(-len(source.table) // BATCH_IMAGES)
    manifest = manifest_of(source, step)
    tables = []
    with _unpacked(source, manifest) as folder, tempfile.TemporaryDirectory() as scratch:
        for size_px in sizes_px:
            store = build_store(source, manifest, size_px=size_px, cache=Path(scratch))
            rates: dict[str, list[float]] = {"plain": [], "store": []}
            for number in range(rounds):
                rates["plain"].append(_rate(_plain_batches(folder, size_px)))
                rates["store"].append(_rate(_store_batches(store, manifest, number)))
            rows = [(size_px, way, median(values)) for way, values in rates.items()]
            table = pd.DataFrame(rows, columns=["size_px", "way", "images_per_second"])
            tables.append(_with_ratios(table, {"images_per_second": "ratio"}))
    return pd.concat(tables, ignore_index=True)


def manifest_of(source: Source, step: int = 1) -> pd.DataFrame:
    """The images of `source`, or of every `step`-th file, that an audit keeps, as a manifest."""
    part = replace(source, table=source.table[::step].reset_index(drop=True))
    manifest, _ = audit_images(part)
    return manifest[manifest["status"] == "kept"].assign(split="train").reset_index(drop=True)


# -- the plain way ---------------------------------------------------------------------------------


@contextmanager
def _unpacked(source: Source, manifest: pd.DataFrame) -> Iterator[Path]:
    """A folder class/*.jpg of the same files."""
    from emotion_utils.bench.plain import write_folder

    with tempfile.TemporaryDirectory() as folder:
        yield write_folder(source, manifest, Path(folder))


def _pass_image_folder(folder: Path, size_px: int) -> None:
    from torchvision.datasets import ImageFolder

    for image, _ in ImageFolder(str(folder)):
        if image.size != (size_px, size_px):
            image.resize((size_px, size_px))


def _plain_batches(folder: Path, size_px: int) -> Iterator[int]:
    from emotion_utils.bench.plain import make_loader

    loader = make_loader(folder, size_px, BATCH_SIZE, augment=AugmentConfig())
    while True:
        for images, _ in loader:
            yield len(images)


# -- our way ---------------------------------------------------------------------------------------


def _time_stages(spec: str, size_px: int, folder: Path) -> dict[str, np.ndarray]:
    """The stages of a first run and of a later one, in `folder`, and their sums."""
    run = Run.create(folder, resolve_config("smoke"))
    source, opened = _clock(open_source, spec)
    (manifest, _), audited = _clock(audit_once, source, cache=folder)
    _, found_again = _clock(audit_once, source, cache=folder)
    manifest, split = _clock(_split, run, manifest)
    _, stored = _clock(build_store, source, manifest, size_px=size_px, cache=folder)
    _, again = _clock(_reopen, run, size_px, folder)
    return {
        "open": opened,
        "audit": audited,
        "split": split,
        "store": stored,
        "files to store": opened + stored,
        "first run": opened + audited + split + stored,
        "new run": opened + found_again + split + again,
        "later run": again,
    }


def _split(run: Run, manifest: pd.DataFrame) -> pd.DataFrame:
    manifest["group"], _ = find_groups(manifest)
    manifest = assign_splits(manifest, val_fraction=0.1, test_fraction=0.1, seed=0)
    run.write("manifest", manifest)
    return manifest


def _reopen(run: Run, size_px: int, cache: Path) -> None:
    manifest = run.read("manifest")
    ids = manifest.loc[manifest["status"] == "kept", "id"]
    open_store(store_path(ids, size_px, cache)).rows(ids)


def _store_batches(store: Store, manifest: pd.DataFrame, seed: int) -> Iterator[int]:
    import torch

    from emotion_utils.store.augment import augment
    from emotion_utils.store.batches import Dataset, iterate_batches

    ids = sorted(manifest["id"])
    dataset = Dataset(store.images, store.rows(ids), torch.zeros(len(ids), dtype=torch.int64), ids, ("any",))
    epoch = 0
    while True:
        epoch += 1
        for batch in iterate_batches(dataset, batch_size=BATCH_SIZE, seed=seed, epoch=epoch, shuffle=True):
            yield len(augment(batch.images, batch.ids, config=AugmentConfig(), seed=seed, epoch=epoch))


# -- clocks ----------------------------------------------------------------------------------------


def _clock(work: Callable[..., Any], *arguments: Any, **settings: Any) -> tuple[Any, np.ndarray]:
    """What `work` returns, and its wall time and processor time of all threads, float64 (2,) seconds."""
    gc.collect()  # garbage of earlier work must not count here
    start = np.array([time.perf_counter(), time.process_time()])
    result = work(*arguments, **settings)
    return result, np.array([time.perf_counter(), time.process_time()]) - start


def _rate(batches: Iterator[int]) -> float:
    """Images per second, from the end of the first batch on."""
    next(batches)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < BATCH_SECONDS:
        count += next(batches)
    return count / (time.perf_counter() - start)


def _with_ratios(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Adds the ratio of each rate to that of the plain way."""
    plain = table[table["way"] == "plain"].iloc[0]
    return table.assign(**{name: table[rate] / plain[rate] for rate, name in columns.items()})
