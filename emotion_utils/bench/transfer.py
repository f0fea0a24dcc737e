"""What a small set of faces gains from where its training starts: random weights, published ones, an earlier run.

Five folds, each person in one: a fold is judged by trainings on the other four, of which a tenth chooses the epoch.
Images that a start has seen are left out for all of them, so that every start is judged on the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from emotion_utils.audit.cache import audit_once
from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.stratify import share_out
from emotion_utils.audit.ties import join_ties
from emotion_utils.audit.training_images import TrainingImages, find_training_images, set_aside_seen
from emotion_utils.bench.paired import measure_differences, measure_rates, with_units
from emotion_utils.bench.tables import Measured
from emotion_utils.bench.trainings import answer, divide, refuse_decided, refuse_run
from emotion_utils.config import RunConfig, change_config, resolve_config
from emotion_utils.counter_rng import id_keys, mix_keys
from emotion_utils.errors import InputError
from emotion_utils.evaluation.statistics import LEVEL
from emotion_utils.models.weights.choice import RANDOM, needed_proxies
from emotion_utils.models.zoo import build_model
from emotion_utils.progress import progress_bar
from emotion_utils.sources.source import source_of
from emotion_utils.training.pretext import ensure_proxies

MODEL = "r18_pre_emotion"
SIZE_PX = 96
FOLDS = 5
SHOWN = 3  # images left out that the terminal names
NO_MANIFEST = "not known: nothing records which images these weights were trained on"
NOTHING = "nothing"  # the start that is always among them


def base_config(
    spec: str, *, classes: tuple[str, ...] | None = None, epochs: int | None = None, settings: Sequence[str] = ()
) -> RunConfig:
    """The demo profile for one model, at SIZE_PX; epochs are the profile's if None."""
    refuse_decided(settings, MODEL, "weights")
    given = [f"models=[{MODEL}]", f"image_size_px={SIZE_PX}", *settings]
    return resolve_config("demo", given, data=spec, classes=classes, epochs=epochs)


def read_starts(texts: Sequence[str]) -> dict[str, str]:
    """Names and weights from NAME=WEIGHTS, behind random weights. Raises InputError for what is no such pair."""
    starts = {NOTHING: RANDOM}
    for text in texts:
        name, separator, weights = text.partition("=")
        if not separator or not weights or not re.fullmatch(r"\w[\w.-]*", name):
            raise InputError(f"--start {text}: NAME=WEIGHTS is needed, NAME of letters, digits, '-', '_' and '.'")
        if name in starts:
            raise InputError(f"--start {text}: a start is called {name} already")
        starts[name] = weights
    return starts


def bench_transfer(base: RunConfig, starts: Mapping[str, str], folder: Path, *, seeds: int = 1) -> Iterator[Measured]:
    """Tables: what each start has seen of the data; accuracy and macro F1 over all folds; differences of the starts.

    What is trained is kept in `folder`.
    """
    refuse_run(folder)
    configs = {name: change_config(base, recipes={MODEL: {"weights": weights}}) for name, weights in starts.items()}
    seen = {name: find_seen(config) for name, config in configs.items()}
    source = source_of(base)
    manifest, audit = audit_once(source, crop=base.crop, missed=base.missed, progress=progress_bar("reading"))
    manifest = manifest.assign(group=find_groups(manifest, base.group)[0])
    manifest, left_out = leave_out_seen(manifest, seen)
    yield Measured(f"{base.data_name}: what the starts have seen of it", tabulate_seen(configs, seen, left_out))
    if len(left_out):
        yield Measured("images left out, as a start has seen them", left_out, shown=SHOWN)
    folds = draw_folds(manifest, base.seed)
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in configs}
    for seed in range(seeds):
        for fold in range(FOLDS):
            split = np.where(folds == fold, "test", np.where(folds >= 0, "train", ""))
            data = divide(source, manifest.assign(split=split), audit, base)
            for name, config in configs.items():
                place = folder / f"fold-{fold + 1}"
                predictions = answer(place, name, config, data, seed=seed, split="test")
                found[name].append(with_units(predictions, data.manifest, seed))
    answers = {name: pd.concat(tables, ignore_index=True) for name, tables in found.items()}
    images, persons = (answers[NOTHING][column].nunique() for column in ("id", "unit"))
    title = f"{base.data_name}: {MODEL}, {images:,} images in {FOLDS} folds"
    over = f"{LEVEL:.0%} intervals over {persons:,} persons, an image of nobody known counted as one"
    yield Measured(f"{title}; {over}; seconds: of one training", measure_rates(answers, source.classes))
    if len(answers) > 1:
        pairs = combinations(reversed(answers), 2)  # nothing last, so that a start that helps has a positive one
        title = "name minus other, in percentage points; intervals likewise"
        yield Measured(title, measure_differences(answers, source.classes, pairs))


def find_seen(config: RunConfig) -> TrainingImages:
    """What the start of `config` has seen. Raises InputError or EmotionError where it is not to be had or not fit."""
    weights, size_px = config.weights_of(MODEL), config.image_size_px
    ensure_proxies(needed_proxies(MODEL, weights, size_px))
    stem = config.recipes[MODEL].stem
    found = build_model(MODEL, num_classes=2, image_size_px=size_px, weights=weights, stem=stem).provenance
    if found["kind"] == RANDOM:
        return TrainingImages()
    if Path(found["source"]).is_dir():
        return find_training_images(Path(found["source"]))
    return TrainingImages(unknown=NO_MANIFEST)


def leave_out_seen(manifest: pd.DataFrame, seen: Mapping[str, TrainingImages]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`manifest` with what any start has seen quarantined; and a row for each such image: start, path, reason."""
    left_out = []
    after = manifest
    for name, training in seen.items():
        mine = set_aside_seen(manifest, training)
        lost = mine["status"].ne(manifest["status"])
        left_out.append(mine.loc[lost, ["path", "reason"]].assign(start=name))
        after = set_aside_seen(after, training)
    return after, pd.concat(left_out, ignore_index=True)[["start", "path", "reason"]]


def tabulate_seen(
    configs: Mapping[str, RunConfig], seen: Mapping[str, TrainingImages], left_out: pd.DataFrame
) -> pd.DataFrame:
    """A row for each start: start, weights, left_out (images, NaN where that is not known), note."""
    counts = left_out["start"].value_counts()
    rows = [
        (name, config.weights_of(MODEL), np.nan if seen[name].unknown else counts.get(name, 0), seen[name].unknown)
        for name, config in configs.items()
    ]
    return pd.DataFrame(rows, columns=["start", "weights", "left_out", "note"])


def draw_folds(manifest: pd.DataFrame, seed: int) -> np.ndarray:
    """int (N,): the fold of each image, -1 of one that is not kept; ties stay together, classes are shared out evenly.

    Raises InputError where a class is missing from a fold.
    """
    kept = (manifest["status"] == "kept").to_numpy()
    rows = manifest[kept]
    labels = pd.factorize(rows["label"], sort=True)[0]
    folds = np.full(len(manifest), -1)
    if kept.any():
        keys = mix_keys(id_keys(rows["id"]), seed)
        folds[kept] = share_out(labels, join_ties(rows), keys, np.full(FOLDS, 1 / FOLDS))
    counts = pd.crosstab(rows["label"], folds[kept]).reindex(columns=range(FOLDS), fill_value=0)
    if (counts == 0).any(axis=None) or counts.empty:
        scarce = counts.index[(counts == 0).any(axis=1)]
        what = f"class {scarce[0]!r}" if len(scarce) else "the data"
        raise InputError(f"{what}: {FOLDS} folds need images of {FOLDS} persons, or {FOLDS} images that are not tied")
    return folds
