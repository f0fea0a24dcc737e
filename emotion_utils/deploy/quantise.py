"""`emotion export --int8`: a network that computes with whole numbers of 8 bits, kept only where it is worth it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emotion_utils.deploy.compare import compare
from emotion_utils.deploy.export import (
    TorchAnswers,
    add_facts,
    answers_of,
    describe,
    describe_run,
    hold_against,
    load_to_export,
    save_graph,
    write_graph,
)
from emotion_utils.deploy.export_files import check_output, read_card_text, refuse_exported, write_card_beside
from emotion_utils.deploy.export_images import Images, find_run, split_images
from emotion_utils.deploy.graph import quiet, require_edge, without_notes
from emotion_utils.deploy.onnx_file import BATCH_FACES, INPUT, OnnxNetwork, run_session, start_session
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import replacing
from emotion_utils.models.reference import reference_pixels
from emotion_utils.terminal.output import note

if TYPE_CHECKING:
    import onnx

METHODS = ("MinMax", "Percentile", "Entropy")  # of finding the range of each layer's values
LEAST_FACES, MOST_FACES = 256, 512  # of the training split, that the ranges are found on
STRIDE = 32  # of them at a time, so that what all layers give of them fits into memory
LEAST_SAME, MOST_LOSS = 0.98, 0.005  # share of equal answers; of accuracy
ENOUGH_IMAGES = 1000  # from which on the share is claimed
MULTIPLIES = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # what stands before the first and behind the last stays float
TIMED_BATCHES, TIMED_TIMES = 4, 7


@dataclass(frozen=True)
class Judged:
    """A network of whole numbers beside the one that it was made from."""

    images: int
    same: float  # share of images with the same answer
    accuracy: float  # of the one of whole numbers
    loss: float  # of accuracy, in place of the other's
    ms: float  # a face, on one thread
    float_ms: float

    @property
    def is_worth_it(self) -> bool:
        """Whether it answers nearly the same, is hardly less accurate, and quicker."""
        return self.same >= LEAST_SAME and self.loss <= MOST_LOSS and self.ms < self.float_ms

    def __str__(self) -> str:
        few = "" if self.images >= ENOUGH_IMAGES else f", too few to claim {LEAST_SAME:.0%}"
        return (
            f"the same answer as float32 on {self.same:.2%} of {self.images:,} test images{few}, accuracy "
            f"{self.accuracy:.1%}, {0 - 100 * self.loss:+.2f} points, {self.ms:.2f} ms a face on one thread in place "
            f"of {self.float_ms:.2f}"
        )


def export_int8(model_dir: Path, output: Path, views: int | None = None) -> str:
    """Writes `output` and returns a line with what was measured; `views` as in `load_to_export`.

    Raises InputError where the run's images are missing or too few, EmotionError with the figures where it is not worth
    it: then nothing is written.
    """
    require_edge()
    check_output(output)
    refuse_exported(model_dir)
    text = read_card_text(model_dir, output)
    net, card, changed = load_to_export(model_dir, views)
    train, val, test = open_splits(model_dir, net.input_spec.size_px)
    require_faces(train)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float32.onnx"
        plain = write_graph(net, card, path)
        hold_against(TorchAnswers(net), plain, test)
        model, method = quantise(path, train, val)
        judged = judge(path, model, test)
    if not judged.is_worth_it:
        raise EmotionError(
            f"INT8 is not worth it here ({method}): {judged}; at least {LEAST_SAME:.0%}, at most {100 * MOST_LOSS:g} "
            "points less and a shorter time are asked for; nothing is written; leave out --int8"
        )
    with replacing(output) as temporary:
        write_int8(model, card, net.views, temporary)
        add_facts(temporary, describe_run(model_dir, judged.images, judged.accuracy))
        OnnxNetwork(temporary)
        size = temporary.stat().st_size
    said = f"{size / 1e6:,.2f} MB; {changed}ranges of values found by {method}; {judged}"
    return f"{output}: {said}{write_card_beside(output, text, said)}"


def require_faces(train: Images) -> None:
    """Raises InputError where training images are too few to calibrate on."""
    if train.count < LEAST_FACES:
        raise InputError(
            f"INT8 is calibrated on {LEAST_FACES} training images or more, not on {train.count}: leave out --int8"
        )


def quantise(path: Path, train: Images, val: Images) -> tuple[onnx.ModelProto, str]:
    """The float32 file with layers of whole numbers, by the method that agrees best on `val`; and its name.

    Static, per channel, with weights of 7 bits: where a processor adds two products in 16 bits, as those without VNNI
    and WebAssembly do, 255 * 64 * 2 does not overflow, so that all machines give the same sums.
    Raises InputError where `train` is too small.
    """
    require_faces(train)
    expected = answers_of(OnnxNetwork(path), val)
    best: tuple[tuple[float, float], Any, str] | None = None
    prepared, faces = prepare(path), train.spread(MOST_FACES)
    for method in METHODS:
        note(f"calibrating on {len(faces):,} training images by {method}, judging on {val.what}")
        model = quantise_by(method, prepared, faces)
        found = answers_of(InMemory(model), val)
        agreement = compare(expected, found)
        rank = (agreement.same / agreement.images, -float(np.abs(expected - found).mean()))
        if best is None or rank > best[0]:
            best = (rank, model, method)
    return best[1], best[2]


def prepare(path: Path) -> Path:
    """A float32 file beside that of `path`, as `quantise_by` takes it: with folded layers and known shapes."""
    prepared = path.with_name("prepared.onnx")
    with quiet():
        from onnxruntime.quantization.shape_inference import quant_pre_process

        quant_pre_process(str(path), str(prepared))
    return prepared


def judge(path: Path, model: onnx.ModelProto, images: Images) -> Judged:
    """The quantised `model` beside the float32 file, on images that neither calibrated it nor chose the method."""
    note(f"comparing with float32 on {images.what}")
    expected, found = answers_of(OnnxNetwork(path), images), answers_of(InMemory(model), images)
    right = [(probs.argmax(axis=1) == images.labels).mean() for probs in (expected, found)]
    float_ms, ms = time_together(OnnxNetwork(path, threads=1), InMemory(model, threads=1), images.spread(BATCH_FACES))
    same = compare(expected, found).same / images.count
    return Judged(images.count, same, float(right[1]), float(right[0] - right[1]), ms, float_ms)


def write_int8(model: onnx.ModelProto, card: dict[str, Any], views: int, path: Path) -> None:
    """The quantised model as a file of ours, which holds its own answers."""
    answers = InMemory(model).predict(reference_pixels(card["input"]["size_px"]))
    save_graph(model, describe(card, views, answers, "int8"), path)


def time_together(one: Any, other: Any, faces: np.ndarray) -> tuple[float, float]:
    """Milliseconds a face of each, the shortest of some turns that they take one after the other."""
    seconds = np.full((2, TIMED_TIMES), np.inf)
    for turn in range(TIMED_TIMES):
        for row, network in zip(seconds, (one, other), strict=True):
            start = time.perf_counter()
            for _ in range(TIMED_BATCHES):
                network.predict(faces)
            row[turn] = time.perf_counter() - start
    return tuple(1000 * seconds.min(axis=1) / (TIMED_BATCHES * len(faces)))


def open_splits(model_dir: Path, size_px: int) -> list[Images]:
    """Train, val and test. Raises InputError where the model lies in no run, or its data are no longer there."""
    run = find_run(model_dir)
    if run is None:
        raise InputError(
            f"{model_dir}: lies in no run, whose training images INT8 is calibrated on: give the folder within its "
            "run, or leave out --int8"
        )
    return [split_images(run, split, size_px) for split in ("train", "val", "test")]


class _Faces:
    """What onnxruntime's calibration reads: one batch of STRIDE faces each time."""

    def __init__(self, faces: np.ndarray) -> None:
        self._faces = faces[: len(faces) // STRIDE * STRIDE]
        self.set_range(0, len(self._faces))

    def __len__(self) -> int:
        return len(self._faces)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._waiting = [self._faces[start_index:end_index]]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {INPUT: self._waiting.pop()} if self._waiting else None


def quantise_by(method: str, prepared: Path, faces: np.ndarray) -> onnx.ModelProto:
    """The file with layers of whole numbers, whose ranges one of METHODS finds on faces (n, S, S, 3), n >= STRIDE."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    output = prepared.with_name(f"{method}.onnx")
    with quiet():
        quantize_static(
            str(prepared), str(output), _Faces(faces), quant_format=QuantFormat.QDQ, per_channel=True,
            reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            nodes_to_exclude=_outside(onnx.load(prepared).graph), calibrate_method=getattr(CalibrationMethod, method),
            extra_options={"CalibStridedMinMax": STRIDE},
        )  # fmt: skip
    return without_notes(onnx.load(output))


def _outside(graph: onnx.GraphProto) -> list[str]:
    """The nodes that no product comes before, or none after: normalisation, grey, softmax, the mean of views."""
    fed, used = set(), set()  # values with a product before them, and behind them
    for node in graph.node:
        if node.op_type in MULTIPLIES or fed & set(node.input):
            fed |= set(node.output)
    for node in reversed(graph.node):
        if node.op_type in MULTIPLIES or used & set(node.output):
            used |= set(node.input)
    return [
        node.name
        for node in graph.node
        if node.op_type not in MULTIPLIES and not (fed & set(node.input) and used & set(node.output))
    ]


class InMemory:
    """A model that is in no file yet."""

    def __init__(self, model: onnx.ModelProto, threads: int | None = None) -> None:
        self._session = start_session(model.SerializeToString(), threads)
        self._classes = self._session.get_outputs()[0].shape[1]

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """float64 (n, k) of uint8 RGB (n, S, S, 3)."""
        return run_session(self._session, faces, self._classes)
