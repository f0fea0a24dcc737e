"""What proxy weights gain: each pretrained network beside the same network from scratch, over several seeds.

A seed decides the faces, the split, the head and the order of the images. Both networks of a pair see the same
batches for as many epochs, and are tested on their run's test split and on faces of people who are in no run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from statsmodels.stats.weightstats import DescrStatsW

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.splits import assign_splits
from emotion_utils.bench.tables import Measured
from emotion_utils.config import RunConfig, resolve_config
from emotion_utils.evaluation.predict import predict_probs
from emotion_utils.evaluation.statistics import LEVEL
from emotion_utils.files import file_sha256, write_json
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.weights.cache import proxy_path
from emotion_utils.models.weights.choice import RANDOM
from emotion_utils.models.weights.load import read_proxy_recipe
from emotion_utils.models.weights.registry import PROXIES
from emotion_utils.models.zoo import load_model
from emotion_utils.recipe import Phase, Recipe
from emotion_utils.run import Run
from emotion_utils.sources.source import SYNTHETIC_CLASSES, SYNTHETIC_SIZE_PX, source_of
from emotion_utils.store.batches import open_split, prepare_images
from emotion_utils.store.resize import resize_square
from emotion_utils.synthetic.faces import render_path, synthetic_table
from emotion_utils.training.pretext import find_recipe, make_proxy
from emotion_utils.training.trainer import new_model, train_model

HELD_OUT_SEED = 1_000_000  # of the people to test on; seeds of runs are smaller
BATCH_SIZE = 64
NETWORKS = {"vgg16": ("VGG16_emotion", "VGG16_emotion"), "resnet18": ("r18_scratch_emotion", "r18_pre_emotion")}
STARTS = ("scratch", "proxy")
# A plain VGG16 that starts from random weights has nothing that is worth freezing, and is trained more gently.
VGG16_SCRATCH = {"weights": RANDOM, "lr": 2.0e-4, "layer_decay": 1.0, "phases": (Phase(epoch=1, train_from="conv1"),)}


class LabelledImages(NamedTuple):
    """images uint8 (N, 3, S, S), labels int64 (N,)."""

    images: torch.Tensor
    labels: np.ndarray


def bench_proxies(folder: Path, seeds: Iterable[int], *, held_out: int = 600) -> Iterator[Measured]:
    """Tables: seconds to make each proxy; accuracies of each pair; their mean differences with intervals.

    Trained networks are kept in `folder`: the same command resumes where it was stopped.
    """
    yield Measured("seconds to make the proxies", pd.DataFrame([time_proxy(name, folder) for name in PROXIES]))
    images = draw_held_out(held_out, resolve_config("demo").image_size_px)
    pairs = [compare_pair(network, folder, seed, images) for seed in seeds for network in NETWORKS]
    table = pd.DataFrame(pairs).sort_values(["network", "seed"], ignore_index=True)
    yield Measured(f"accuracy on {held_out} faces of new people, and on the test split", table)
    yield Measured(f"proxy - scratch, mean over seeds, {LEVEL:.0%} t interval", summarise(table))


def compare_pair(network: str, folder: Path, seed: int, images: LabelledImages) -> dict[str, object]:
    """A row: network, seed, `scratch` and `proxy` (accuracies on `images`), `difference`, and the same for the
    test split, with `test_` before the name."""
    nets = {start: train(open_run(folder, network, start, seed), network, start) for start in STARTS}
    run = open_run(folder, network, "proxy", seed)
    run.note_test_opening("the benchmark")
    test = open_split(run, "test")
    batch = test.batch(np.arange(len(test)))
    row: dict[str, object] = {"network": network, "seed": seed}
    for prefix, judged_on in (("", images), ("test_", LabelledImages(batch.images, batch.labels.numpy()))):
        rates = {start: share_correct(net, judged_on) for start, net in nets.items()}
        row |= {f"{prefix}{start}": rate for start, rate in rates.items()}
        row[f"{prefix}difference"] = rates["proxy"] - rates["scratch"]
    return row


def summarise(pairs: pd.DataFrame) -> pd.DataFrame:
    """A row per network and set of images: the mean of the paired differences and its t interval over the seeds."""
    rows = []
    for network, table in pairs.groupby("network"):
        for judged_on, column in (("new people", "difference"), ("test split", "test_difference")):
            values = table[column].to_numpy()
            low, high = DescrStatsW(values).tconfint_mean(1 - LEVEL)
            row = {"network": network, "judged_on": judged_on, "seeds": len(values), "mean_difference": values.mean()}
            rows.append(row | {"low": low, "high": high})
    return pd.DataFrame(rows)


def make_config(network: str, start: str, seed: int) -> RunConfig:
    """The demo profile; a VGG16 from scratch gets a recipe that suits it."""
    config = resolve_config("demo", seed=seed)
    if (network, start) != ("vgg16", "scratch"):
        return config
    recipe = Recipe.model_validate(config.recipes["VGG16_emotion"].model_dump() | VGG16_SCRATCH)
    return config.model_copy(update={"recipes": {**config.recipes, "VGG16_emotion": recipe}})


def open_run(folder: Path, network: str, start: str, seed: int) -> Run:
    """The run of one network, on the images and the split that all networks of its seed share."""
    config = make_config(network, start, seed)
    prepared = prepare_run(folder / f"seed-{seed}", config.model_copy(update={"recipes": resolve_config().recipes}))
    run = Run.create(prepared.root / f"{network}-{start}", config)
    run.write("audit", prepared.read("audit"))
    run.write("manifest", prepared.read("manifest"))
    return run


def prepare_run(root: Path, config: RunConfig) -> Run:
    """A run with its images audited, split and decoded, as notebook 01 does it."""
    run = Run.create(root, config)
    if run.path("manifest").exists():
        return run
    source = source_of(config)
    manifest, audit = audit_images(source)
    manifest["group"], _ = find_groups(manifest, config.group)
    fractions = {"val_fraction": config.val_fraction, "test_fraction": config.test_fraction}
    least = config.min_images_per_class
    manifest = assign_splits(manifest, **fractions, seed=config.seed, min_images_per_class=least)
    run.write("audit", audit)
    prepare_images(run, source, manifest)
    run.write("manifest", manifest)
    return run


def train(run: Run, network: str, start: str) -> EmotionNet:
    """The trained network of a run; trained now if it is missing or started from other weights."""
    model = NETWORKS[network][STARTS.index(start)]
    folder = run.model_dir(model)
    provenance = new_model(run, model).provenance
    if not (folder / "model.json").exists() or run.read("model_card", model)["provenance"] != provenance:
        train_model(run, model)
    return load_model(folder)[0]


def draw_held_out(count: int, size_px: int) -> LabelledImages:
    """`count` synthetic faces of people who are in no run."""
    table = synthetic_table(count, SYNTHETIC_CLASSES, HELD_OUT_SEED)
    faces = (render_path(path, HELD_OUT_SEED, SYNTHETIC_SIZE_PX) for path in table["path"])
    images = np.stack([resize_square(face, size_px) for face in faces])
    labels = table["label"].map(SYNTHETIC_CLASSES.index).to_numpy()
    return LabelledImages(torch.from_numpy(images).permute(0, 3, 1, 2), labels)


def share_correct(net: EmotionNet, images: LabelledImages) -> float:
    """Accuracy, 0-1."""
    parts = [predict_probs(net, part).argmax(1) for part in images.images.split(BATCH_SIZE)]
    return float((np.concatenate(parts) == images.labels).mean())


def time_proxy(name: str, folder: Path) -> dict[str, object]:
    """Makes a proxy and records the time it took; reads it from `folder` if the proxy in the cache is that one."""
    record, path = folder / f"{name}.json", proxy_path(name)
    if record.exists() and path.exists():
        made = json.loads(record.read_text(encoding="utf-8"))
        if made["sha256"] == file_sha256(path) and read_proxy_recipe(name) == find_recipe(name):
            return made
    start = time.perf_counter()
    make_proxy(name)
    made = {"proxy": name, "seconds": time.perf_counter() - start, "sha256": file_sha256(path)}
    write_json(record, made)
    return made
