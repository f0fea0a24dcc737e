"""The subjects of `emotion bench`: each yields its tables as soon as they are measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from emotion_utils.bench.data import bench_batches, bench_store
from emotion_utils.bench.faces import bench_faces
from emotion_utils.bench.scale import bench_scale
from emotion_utils.bench.tables import Measured

SYNTHETIC_IMAGES = 400  # files of synthetic faces, if no data are given
SYNTHETIC_PX = 48  # their side
BRIEF_SIZES_PX = (48, 112)


def measure_data(spec: str, *, scale: bool = False, brief: bool = False) -> Iterator[Measured]:
    """From files to a store and to batches, beside torchvision; `scale` adds a million small images."""
    with _files_of(spec) as files:
        yield Measured(
            f"{spec}: from files to a store; ratio: to one pass of ImageFolder",
            bench_store(files, rounds=1 if brief else 3),
        )
        sizes = {"sizes_px": BRIEF_SIZES_PX, "rounds": 1} if brief else {}
        yield Measured(
            f"{spec}: augmented batches; ratio: to ImageFolder, transforms and DataLoader",
            bench_batches(files, **sizes),
        )
    if scale:
        yield Measured("many small images, generated when read; peak_mb: of the whole process", bench_scale())


def measure_faces(spec: str, *, images: int = 200) -> Iterator[Measured]:
    """How well and how quickly each face detector that works here finds faces."""
    yield Measured(f"{spec}: faces found; cpu_ms: median for one image", bench_faces(spec, images=images))


def measure_video(model_dir: Path, *, persons: int) -> Iterator[Measured]:
    """How well each way of smoothing over time reads synthetic sequences."""
    from emotion_utils.bench.video import bench_video

    yield Measured(f"{model_dir}: synthetic sequences", bench_video(model_dir, persons=persons))


def measure_edge(folders: Sequence[Path]) -> Iterator[Measured]:
    """How quickly networks answer on this processor, in each form that they are used in."""
    from emotion_utils.bench.edge import bench_edge

    yield Measured("ms a face, alone and in batches of 16; ratio: PyTorch's time to it", bench_edge(folders))


def measure_train(
    spec: str, steps: Mapping[str, Any], *, classes: tuple[str, ...] | None = None, curve: bool = False,
    brief: bool = False,
) -> Iterator[Measured]:  # fmt: skip
    """Steps (as bench_steps takes them) beside a plain loop, memory, and beside other programs unless `brief`.

    `curve` adds accuracy over time: an hour.
    """
    from emotion_utils.bench.contention import bench_contention
    from emotion_utils.bench.plain import MODEL
    from emotion_utils.bench.train import bench_memory, bench_steps

    with _files_of(spec) as files:
        yield Measured(f"{spec}: training ({MODEL})", bench_steps(files, **steps))
    yield Measured("memory of a training", bench_memory())
    if not brief:
        yield Measured(f"training beside busy programs ({MODEL}, on the CPU); ratio: to alone", bench_contention())
    if curve:
        from emotion_utils.bench.accuracy import bench_accuracy, compare_curves

        curves = []
        for table in bench_accuracy(spec, classes=classes):
            yield Measured(f"{spec}: accuracy over time ({MODEL})", table)
            curves.append(table)
        yield Measured(f"{spec}: time to an accuracy", compare_curves(curves))


def measure_processes() -> Iterator[Measured]:
    """Two processes on one network, beside DistributedDataParallel: speed, and what happens when memory runs out."""
    from emotion_utils.bench.plain import MODEL
    from emotion_utils.bench.processes import WAYS, bench_backoff, bench_processes

    yield Measured(f"two processes ({MODEL}); ratio: to {WAYS[1]}", bench_processes())
    yield Measured("the second of two processes runs out of memory once; how each process ends", bench_backoff())


def measure_briefly(spec: str) -> Iterator[Measured]:
    """Every subject, in a few minutes."""
    yield from measure_data(spec, brief=True)
    yield from measure_faces(spec, images=50)
    yield from measure_train(spec, {"sizes_px": BRIEF_SIZES_PX[:1], "steps": 4, "rounds": 1}, brief=True)


@contextmanager
def _files_of(spec: str) -> Iterator[str]:
    """`spec` itself; for synthetic faces, which are not files, a folder with some of them."""
    if spec != "synthetic":
        yield spec
        return
    from emotion_utils.sources.source import SYNTHETIC_CLASSES
    from emotion_utils.synthetic.faces import render_path, synthetic_table

    with tempfile.TemporaryDirectory() as folder:
        for path in synthetic_table(SYNTHETIC_IMAGES, SYNTHETIC_CLASSES, 0)["path"]:
            target = Path(folder, path).with_suffix(".jpg")
            target.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(target), render_path(path, 0, SYNTHETIC_PX)[:, :, ::-1])
        yield folder
