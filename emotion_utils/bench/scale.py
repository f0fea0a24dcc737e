"""Does the time to prepare data grow linearly with the images, and is memory bounded? Up to a million images."""

from __future__ import annotations

import hashlib
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.leaks import find_leaks
from emotion_utils.audit.splits import assign_splits
from emotion_utils.config import resolve_config
from emotion_utils.run import Run
from emotion_utils.store.store import build_store, open_store, store_path

COUNTS = (100_000, 300_000, 1_000_000)
SIZE_PX = 8
CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
IMAGES_PER_PERSON = 5


class GeneratedSource:
    """Small images, generated from their path on each read."""

    def read(self, path: str) -> bytes:
        noise = hashlib.shake_128(path.encode()).digest(SIZE_PX * SIZE_PX)
        return cv2.imencode(".jpg", np.frombuffer(noise, dtype=np.uint8).reshape(SIZE_PX, SIZE_PX))[1].tobytes()


def bench_scale(counts: tuple[int, ...] = COUNTS) -> pd.DataFrame:
    """A row per number of images, each measured in a fresh process.

    Columns: images; manifest_s, groups_s, split_s, store_s, reopen_s; total_s; us_per_image; peak_mb (the largest
    resident memory of the whole process, Python and its libraries included).
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    for count in counts:
        with context.Pool(1) as pool:
            rows.append(pool.apply(measure_scale, (count,)))
    return pd.DataFrame(rows)


def measure_scale(count: int) -> dict[str, float]:
    """One row of `bench_scale`, measured in this process."""
    marks = [time.perf_counter()]
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", resolve_config("smoke"))
        source = GeneratedSource()
        run.write("manifest", _make_manifest(source, count))
        manifest = run.read("manifest")
        marks.append(time.perf_counter())
        manifest["group"], _ = find_groups(manifest)
        marks.append(time.perf_counter())
        manifest = assign_splits(manifest, val_fraction=0.1, test_fraction=0.1, seed=0)
        marks.append(time.perf_counter())
        build_store(source, manifest, size_px=SIZE_PX, cache=Path(folder))
        marks.append(time.perf_counter())
        store = open_store(store_path(manifest["id"], SIZE_PX, Path(folder)))
        store.rows(manifest["id"].iloc[:1000])
        marks.append(time.perf_counter())
        assert find_leaks(manifest)["images"].sum() == 0
        assert len(store.images) == count
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    stages = dict(zip(("manifest_s", "groups_s", "split_s", "store_s", "reopen_s"), np.diff(marks), strict=True))
    total_s = marks[-1] - marks[0]
    return {"images": count, **stages, "total_s": total_s, "us_per_image": 1e6 * total_s / count, "peak_mb": peak_mb}


def _make_manifest(source: GeneratedSource, count: int) -> pd.DataFrame:
    labels = [CLASSES[number % len(CLASSES)] for number in range(count)]
    paths = [f"{label}/Name{number // IMAGES_PER_PERSON:06d}x_{number:07d}.jpg" for number, label in enumerate(labels)]
    ids = [hashlib.sha256(source.read(path)).hexdigest() for path in paths]
    columns = {"id": ids, "path": paths, "label": labels, "group": "", "split": "", "status": "kept", "reason": ""}
    return pd.DataFrame(columns | {"width": SIZE_PX, "height": SIZE_PX})
