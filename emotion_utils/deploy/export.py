"""`emotion export --to onnx`: a model folder as one portable file, written only if it answers as the model does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from emotion_utils.audit.face_detectors import OpenCvDetector
from emotion_utils.audit.faces import FRAME
from emotion_utils.deploy.compare import CLOSE, Agreement, compare
from emotion_utils.deploy.export_files import (
    check_output,
    model_name,
    read_card_text,
    refuse_exported,
    write_card_beside,
)
from emotion_utils.deploy.export_images import Images, find_run, test_images
from emotion_utils.deploy.graph import make_graph, require_edge
from emotion_utils.deploy.network import Network
from emotion_utils.deploy.onnx_file import FORMAT, KEY, OnnxNetwork
from emotion_utils.deploy.seal import seal
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.evaluation.predict import predict_probs
from emotion_utils.files import replacing
from emotion_utils.models.card import load_model
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.reference import reference_pixels
from emotion_utils.printable import count_of
from emotion_utils.store.resize import KERNEL
from emotion_utils.terminal.output import note

if TYPE_CHECKING:
    import onnx


# How a face becomes the network's image, for programs that do it without this package. It is not read here.
FACE = {
    "found by": OpenCvDetector.name,
    "square": f"around the face's middle, {FRAME:g} times its longer side; beyond the image its edge is repeated",
    "resized": KERNEL,
    "done inside": "normalisation, the turn to grey where the model needs it, views, softmax",
}


class TorchAnswers:
    """Probabilities of a network of PyTorch for images as an exported file takes them."""

    def __init__(self, net: EmotionNet) -> None:
        self._net = net

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """float64 (n, k) of uint8 RGB (n, S, S, 3)."""
        return predict_probs(self._net, torch.from_numpy(np.ascontiguousarray(faces)).permute(0, 3, 1, 2))


def export_onnx(model_dir: Path, output: Path, views: int | None = None) -> str:
    """Writes `output` and returns a line that says what it was held against; `views` as in `load_to_export`.

    Raises InputError where a package is missing or the network cannot be written as ONNX, EmotionError where the file
    would not answer as the model does: then nothing is written.
    """
    require_edge()
    check_output(output)
    refuse_exported(model_dir)
    text = read_card_text(model_dir, output)
    net, card, changed = load_to_export(model_dir, views)
    images, reason = test_images(model_dir, net.input_spec.size_px)
    with replacing(output) as temporary:
        network = write_graph(net, card, temporary)
        found, probs = hold_against(TorchAnswers(net), network, images)
        right = ""
        if images.labels is not None:
            accuracy = float((probs.argmax(axis=1) == images.labels).mean())
            add_facts(temporary, describe_run(model_dir, images.count, accuracy))
            right = f"; accuracy {accuracy:.1%}"
        size = temporary.stat().st_size
    held = f"{found.same + found.ties:,} of {images.what} are answered as by PyTorch, within {found.largest:.1g}"
    because = f" (no test images: {reason})" if reason else ""
    said = f"{size / 1e6:,.2f} MB; {changed}{held}{right}{because}"
    return f"{output}: {said}{write_card_beside(output, text, said)}"


def load_to_export(model_dir: Path, views: int | None) -> tuple[EmotionNet, dict[str, Any], str]:
    """The model, its model.json, and words that say so where it answers with other `views` than its own (None).

    Raises InputError as `load_model` does, and for mirrored views of a network that takes none.
    """
    net, card = load_model(model_dir)
    if views is None or views == net.views:
        return net, card, ""
    if views > 1 and not net.architecture.mirrors:
        raise InputError(f"--views {views}: {net.architecture.name} takes no mirrored images: leave it out")
    changed = f"{count_of(views, 'view')} of each face in place of {net.views}; "
    net.views = views
    return net, card, changed


def describe_run(model_dir: Path, images: int, accuracy: float) -> dict[str, Any]:
    """What the metadata say of the run of a model: its name, the data, and how the file did on the test split."""
    run = find_run(model_dir)
    known = run.read("audit").get("dataset") or {}
    return {
        "model": model_name(model_dir),
        "data": known.get("name") or run.config.data_name,
        "test": {"images": images, "accuracy": accuracy},
    }


def write_graph(net: EmotionNet, card: dict[str, Any], path: Path) -> OnnxNetwork:
    """The network as a file, opened again."""
    answers = TorchAnswers(net).predict(reference_pixels(net.input_spec.size_px))
    save_graph(make_graph(net), describe(card, net.views, answers, "float32"), path)
    return OnnxNetwork(path)


def describe(card: dict[str, Any], views: int, answers: np.ndarray, numbers: str) -> dict[str, Any]:
    """The metadata of a file: all that is needed to use it, and to tell where it comes from."""
    return {
        "format": FORMAT,
        "numbers": numbers,  # that the layers compute with: float32 or int8
        "class_names": card["class_names"],
        "input": card["input"],
        "crop": card.get("crop", "auto"),
        "face": FACE,
        "views": views,
        "architecture": card.get("architecture", {}).get("title", card["design"]["architecture"]),
        "provenance": card["provenance"],
        "sha256": card["sha256"],  # of the model's weights
        "answers": answers.tolist(),  # probabilities for the two reference images
    }


def save_graph(model: onnx.ModelProto, facts: dict[str, Any], path: Path) -> None:
    """Writes a graph with its metadata, which say that the file is sealed: without its seal it is not whole."""
    import onnx

    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: json.dumps(facts | {"sealed": True})})
    path.write_bytes(seal(model.SerializeToString()))


def add_facts(path: Path, facts: dict[str, Any]) -> None:
    """Adds to the metadata of a file."""
    import onnx

    model = onnx.load(path)
    stored = {entry.key: entry.value for entry in model.metadata_props}
    save_graph(model, json.loads(stored[KEY]) | facts, path)


def answers_of(network: Network | TorchAnswers, images: Images) -> np.ndarray:
    """Probabilities float64 (n, k) of all images."""
    return np.concatenate([network.predict(batch) for batch in images.batches()])


def hold_against(expected: TorchAnswers, network: Network, images: Images) -> tuple[Agreement, np.ndarray]:
    """How far both agree on the images, and the answers of `network`.

    Raises EmotionError where rounding does not explain what differs.
    """
    note(f"comparing with PyTorch on {images.what}")
    answers = answers_of(network, images)
    found = compare(answers_of(expected, images), answers)
    if not found.is_exact:
        others = found.images - found.same - found.ties
        raise EmotionError(
            f"the file would not answer as the model does: of {images.what} {others:,} have another answer, and "
            f"probabilities differ by {found.largest:.2g} (at most {CLOSE:g} is rounding); nothing is written"
        )
    return found, answers
