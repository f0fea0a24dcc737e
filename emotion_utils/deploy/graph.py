"""A trained network as an ONNX graph that takes images as they are: uint8 RGB (N, S, S, 3) to probabilities (N, k)."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from typing import TYPE_CHECKING

import torch
from torch import nn

from emotion_utils.deploy.onnx_file import INPUT, OUTPUT
from emotion_utils.errors import InputError
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.views import make_views
from emotion_utils.store.augment import to_unit

if TYPE_CHECKING:
    import onnx

OPSET = 18  # the oldest that the exporter writes by itself


class Answers(nn.Module):
    """What `evaluation.predict.predict_probs` does, as one network."""

    def __init__(self, net: EmotionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, S, S, 3) to float32 (N, k); the views of all images pass through the network together."""
        inputs = to_unit(images.permute(0, 3, 1, 2))
        views = self.net.views
        if views == 1:
            return torch.softmax(self.net(inputs), dim=1)
        probs = torch.softmax(self.net(torch.cat(list(make_views(inputs, views)))), dim=1)
        return probs.unflatten(0, (views, -1)).mean(0)


def make_graph(net: EmotionNet) -> onnx.ModelProto:
    """The graph of `net`, which is on the CPU and in evaluation mode, for any number of images.

    Raises InputError where the packages of the extra `edge` are missing, or the network cannot be written down.
    """
    require_edge()
    side = net.input_spec.size_px
    examples = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                Answers(net).eval(), (examples,), dynamo=True, opset_version=OPSET, verbose=False,
                input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            )  # fmt: skip
            model = program.model_proto
    except Exception as error:  # the exporter's own, of many kinds
        reason = " ".join(str(error).split())
        raise InputError(f"the network cannot be written as ONNX ({type(error).__name__}: {reason})") from None
    return without_notes(model)


def require_edge() -> None:
    """Raises InputError where a package of the extra `edge` is missing."""
    for name in ("onnx", "onnxruntime", "onnxscript"):
        if importlib.util.find_spec(name) is None:
            raise InputError(f'an export needs {name}: pip install "emotion-utils[edge]"')


def without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` without what the exporter notes of its own work: paths of this machine, lines of code."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return model


@contextlib.contextmanager
def quiet():
    """Exporters and quantizers tell of each step; what goes wrong, they raise."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
