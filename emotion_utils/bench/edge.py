"""How quickly networks answer on this processor: in PyTorch, as an ONNX file, and of whole numbers of 8 bits.

The three of a network take turns, and of all calls the shortest counts. On one thread it is measured in time of the
processor: what else the machine does hardly lengthens that. On all threads it is the time that passes, and on a busy
machine far longer.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emotion_utils.deploy.export import TorchAnswers, answers_of, write_graph
from emotion_utils.deploy.export_files import model_name
from emotion_utils.deploy.export_images import Images
from emotion_utils.deploy.graph import make_graph, require_edge
from emotion_utils.deploy.onnx_file import INPUT, OUTPUT, start_session
from emotion_utils.deploy.quantise import METHODS, InMemory, open_splits, prepare, quantise, quantise_by
from emotion_utils.errors import InputError
from emotion_utils.models.card import load_model
from emotion_utils.models.folders import CARD_FILE
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.zoo import build_model
from emotion_utils.parallel import count_workers
from emotion_utils.run import Run

NETWORKS = (  # name and image size in px, with random weights, where no model is given
    ("r18_scratch_emotion", 224), ("r18_scratch_emotion", 112), ("r18_scratch_emotion", 48),
    ("lite0_pre_emotion", 224), ("lite0_pre_emotion", 112), ("tiny_emotion", 48),
)  # fmt: skip
CLASSES = 7
BATCHES = (1, 16)
ROUNDS = 10
TURN_S = 0.1
NOISE_FACES = 32  # that ranges are found on where no model is given: they change no time
WAYS = TORCH, ONNX, INT8 = ("PyTorch", "ONNX", "INT8")

Predict = Callable[[np.ndarray], object]  # uint8 faces (n, S, S, 3) to probabilities


@dataclass(frozen=True)
class Candidate:
    """A network in the ways of WAYS."""

    name: str
    size_px: int
    start: Mapping[str, Callable[[int], Predict]]  # way -> threads -> what answers with so many
    megabytes: Mapping[str, float]
    accuracy: Mapping[str, float]  # on the test split; empty where no model was given


def bench_edge(folders: Sequence[Path] = (), *, rounds: int = ROUNDS) -> pd.DataFrame:
    """A row for each network, way and number of threads: those of NETWORKS, or the models in `folders`.

    A folder is that of a model within its run, or of a run, all of whose models are measured. Columns: model; size_px;
    way; threads; mb (its file, for PyTorch the weights); ms_1 and ms_16 (a face, in batches of so many);
    ratio_1 and ratio_16 (of PyTorch's time to this one); accuracy (0-1, on the test split; NaN with random weights).
    Raises InputError for a folder that is neither.
    """
    require_edge()
    models = [model for folder in folders for model in list_models(folder)]
    before, rows = torch.get_num_threads(), []
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "float32.onnx"
            for candidate in (_trained(model, path) for model in models) if models else _untrained(path):
                rows += measure(candidate, rounds)
    finally:
        torch.set_num_threads(before)
    return pd.DataFrame(rows)


def list_models(folder: Path) -> list[Path]:
    """The folders of the finished models of a run, or `folder` itself. Raises InputError where it is neither."""
    if (folder / CARD_FILE).exists():
        return [folder]
    if (folder / "run.json").exists():
        run = Run.open(folder)
        if models := [run.model_dir(name) for name in run.finished_models()]:
            return models
    raise InputError(f"{folder}: is neither the folder of a trained model nor a run that has one")


def measure(candidate: Candidate, rounds: int) -> Iterator[dict[str, object]]:
    """The rows of a network."""
    faces = np.random.default_rng(0).integers(0, 256, (max(BATCHES), *[candidate.size_px] * 2, 3)).astype(np.uint8)
    for threads in sorted({1, count_workers()}):
        torch.set_num_threads(threads)
        ways = {way: start(threads) for way, start in candidate.start.items()}
        clock = time.process_time if threads == 1 else time.perf_counter
        times = {batch: take_turns(ways, faces[:batch], rounds, clock) for batch in BATCHES}
        for way in ways:
            yield {
                "model": candidate.name, "size_px": candidate.size_px, "way": way, "threads": threads,
                "mb": candidate.megabytes[way],
                **{f"ms_{batch}": 1000 * times[batch][way] / batch for batch in BATCHES},
                **{f"ratio_{batch}": times[batch][TORCH] / times[batch][way] for batch in BATCHES},
                "accuracy": candidate.accuracy.get(way, np.nan),
            }  # fmt: skip


def take_turns(
    ways: Mapping[str, Predict], faces: np.ndarray, rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of the shortest call of each way; in each round every way has a turn of TURN_S, and two calls or more."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _, (way, predict) in product(range(rounds), ways.items()):
        end, calls = time.perf_counter() + TURN_S, 0
        while calls < 2 or time.perf_counter() < end:
            start = clock()
            predict(faces)
            times[way].append(clock() - start)
            calls += 1
    return {way: min(found) for way, found in times.items()}


def _untrained(path: Path) -> Iterator[Candidate]:
    """Each network of NETWORKS."""
    for name, size_px in NETWORKS:
        net = build_model(name, num_classes=CLASSES, image_size_px=size_px, weights="random").eval()
        path.write_bytes(make_graph(net).SerializeToString())
        noise = np.random.default_rng(1).integers(0, 256, (NOISE_FACES, size_px, size_px, 3)).astype(np.uint8)
        int8 = quantise_by(METHODS[0], prepare(path), noise).SerializeToString()
        yield _make(name, net, path.read_bytes(), int8, {})


def _trained(model_dir: Path, path: Path) -> Candidate:
    """A model within its run. Raises InputError as the export of whole numbers does."""
    net, card = load_model(model_dir)
    train, val, test = open_splits(model_dir, net.input_spec.size_px)
    onnx = write_graph(net, card, path)
    int8, _ = quantise(path, train, val)
    answering = dict(zip(WAYS, (TorchAnswers(net), onnx, InMemory(int8)), strict=True))
    accuracy = {way: _accuracy(network, test) for way, network in answering.items()}
    return _make(model_name(model_dir), net, path.read_bytes(), int8.SerializeToString(), accuracy)


def _make(name: str, net: EmotionNet, onnx: bytes, int8: bytes, accuracy: Mapping[str, float]) -> Candidate:
    weights = sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())
    return Candidate(
        name, net.input_spec.size_px,
        {TORCH: lambda threads: TorchAnswers(net).predict,
         ONNX: lambda threads: _session(onnx, threads), INT8: lambda threads: _session(int8, threads)},
        dict(zip(WAYS, (size / 1e6 for size in (weights, len(onnx), len(int8))), strict=True)), accuracy,
    )  # fmt: skip


def _session(model: bytes, threads: int) -> Predict:
    session = start_session(model, threads)
    return lambda faces: session.run([OUTPUT], {INPUT: faces})


def _accuracy(network: object, test: Images) -> float:
    return float((answers_of(network, test).argmax(axis=1) == test.labels).mean())
