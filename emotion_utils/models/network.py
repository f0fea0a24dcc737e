"""EmotionNet: a network of the table of models, with its input and where its weights come from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from emotion_utils.errors import InputError
from emotion_utils.model_table import HEAD, get_architecture
from emotion_utils.models.edits import Layer, apply_edits, find_edits
from emotion_utils.models.input_spec import InputSpec


class EmotionNet(nn.Module):
    """Float RGB images (B, 3, H, W) in 0-1 to logits (B, k); the normalisation happens inside.

    Where auxiliary classes are learned too, k counts them in training mode alone: softmax over the others is what
    renormalising the probabilities of all would give.

    Trained on grey images alone (`input_spec.colour`), it turns colour to grey, and no grey value changes by a bit.

    `depth_groups` maps names to lists of modules from input to output: freezing and layer-wise rates follow it.
    `provenance` says where the weights come from: name, kind (proxy, official, random, file), source,
    trained_on, sha256, licence, sentence.
    """

    def __init__(self, design: Mapping[str, Any], input_spec: InputSpec, provenance: Mapping[str, Any]) -> None:
        super().__init__()
        self.design = dict(design)
        self.input_spec = input_spec
        self.provenance = dict(provenance)
        self.built: str | None = None  # checksum of the network as the settings of a run build it
        self.views = 1  # of each image, over which predictions are averaged; see models.views
        self.fitted: tuple[str, str] | None = None  # its checksums after its training and before
        self.architecture = get_architecture(design["architecture"])
        self.network = _build(**design)
        self.register_buffer("mean", _per_channel(input_spec.mean), persistent=False)
        self.register_buffer("std", _per_channel(input_spec.std), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            return self.all_logits(images)
        if self.input_spec.colour == "grey":
            images = to_grey(images)
        return self.all_logits(images)[:, : self.design["num_classes"]]

    def all_logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (B, k) of all classes that are learned, whatever the mode."""
        return self.network((images - self.mean) / self.std)

    @property
    def depth_groups(self) -> dict[str, list[nn.Module]]:
        """Layers from input to output. Raises InputError where a parameter is in none of them, or in two."""
        layers = dict(self.network.named_modules())
        groups = {
            name: [layers[layer] for layer in names if layer in layers]
            for name, names in self.architecture.depth_groups.items()
        }
        counts = Counter(id(p) for modules in groups.values() for module in modules for p in module.parameters())
        for name, parameter in self.network.named_parameters():
            if counts[id(parameter)] != 1:
                where = "two depth groups" if counts[id(parameter)] else "no depth group"
                raise InputError(f"architecture {self.architecture.name!r}: {name} is in {where}")
        return {name: modules for name, modules in groups.items() if modules}

    def body_state(self) -> dict[str, torch.Tensor]:
        """Parameters and buffers of everything but the head, under the keys of `network`."""
        head = {
            id(tensor) for module in self.depth_groups[HEAD] for tensor in module.state_dict(keep_vars=True).values()
        }
        state = self.network.state_dict(keep_vars=True)
        return {key: tensor.detach() for key, tensor in state.items() if id(tensor) not in head}


def to_grey(images: torch.Tensor) -> torch.Tensor:
    """Luma (ITU-R BT.601) of RGB images (B, 3, H, W) in each channel; exact where the channels are equal."""
    red, green, blue = images.unbind(1)
    luma = green + 0.299 * (red - green) + 0.114 * (blue - green)
    return luma.unsqueeze(1).expand_as(images)


def make_network(
    design: Mapping[str, Any], input_spec: InputSpec, provenance: Mapping[str, Any], *, seed: int
) -> EmotionNet:
    """An EmotionNet with random weights from `seed`; the caller's random state stays as it was.

    `design`: architecture (its name in the table), num_classes, dropout, auxiliary (number of further classes that are
    learned; may be missing), and for vgg16 full_head.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return EmotionNet(design, input_spec, provenance)


def assemble_network(
    design: Mapping[str, Any],
    input_spec: InputSpec,
    provenance: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
) -> EmotionNet:
    """An EmotionNet whose `network` has just these weights.

    Raises ValueError that names the first tensor that is missing, of another shape or format, or too many.
    """
    with torch.device("meta"):  # nothing is drawn that would be overwritten
        net = EmotionNet(design, input_spec, provenance)
    expected = net.network.state_dict()
    for name, tensor in expected.items():
        if name not in state:
            raise ValueError(f"{name} is missing")
        for what in ("dtype", "shape"):
            wanted, found = (getattr(each, what) for each in (tensor, state[name]))
            if found != wanted:
                raise ValueError(f"{name} is {_show(found)}, not {_show(wanted)}")
    if more := sorted(state.keys() - expected.keys()):
        raise ValueError(f"it has no {more[0]}")
    net.network.load_state_dict(dict(state), strict=True, assign=True)
    return net


def _show(value: torch.dtype | torch.Size) -> str:
    return " x ".join(map(str, value)) or "a single number" if isinstance(value, torch.Size) else str(value)


def plan_network(design: Mapping[str, Any], input_spec: InputSpec, provenance: Mapping[str, Any]) -> EmotionNet:
    """An EmotionNet of shapes alone, in evaluation mode: it takes images without numbers and no memory."""
    with torch.device("meta"):
        return EmotionNet(design, input_spec, provenance).eval().to("meta")


def record_edits(net: EmotionNet) -> None:
    """Puts into `net.design` which layers were edited since it was built; see models.edits."""
    design = {key: value for key, value in net.design.items() if key != "edits"}
    with torch.device("meta"):
        edits = find_edits(net.network, _build(**design))
    net.design = design | ({"edits": edits} if edits else {})


def _build(
    architecture: str, num_classes: int, dropout: float, auxiliary: int = 0,
    edits: Mapping[str, Layer] | None = None, **options: Any,
) -> nn.Module:  # fmt: skip
    if num_classes < 2 or not math.isfinite(dropout) or not 0 <= dropout < 1:
        raise InputError(f"a network needs 2 or more classes and dropout in 0-1, not {num_classes} and {dropout}")
    outputs = num_classes + auxiliary
    network = get_architecture(architecture).build_network(num_classes=outputs, dropout=dropout, **options)
    apply_edits(network, edits or {})
    return network


def _per_channel(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values, device="cpu").view(1, 3, 1, 1)
