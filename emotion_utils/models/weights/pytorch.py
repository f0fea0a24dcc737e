"""PyTorch files of others: tensors read without running code, and networks recognised by their keys."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emotion_utils.errors import InputError
from emotion_utils.models.lite0 import STAGES
from emotion_utils.models.weights.conversion import (
    CONV_LAYERS,
    DEEPFACE_INPUT,
    FC_LAYERS,
    MEAN_INPUT,
    SourceNetwork,
    check_shapes,
)
from emotion_utils.models.weights.file_kind import SAVE_TENSORS

# torchvision numbers the modules of its VGG16: `features` counts ReLUs and poolings too.
TORCHVISION_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
TORCHVISION_FEATURES = {f"features.{index}.weight" for index in TORCHVISION_CONVS}
TORCHVISION_FCS = (0, 3, 6)
TORCHVISION_NAMES = {
    **{f"features.{index}": name for index, name in zip(TORCHVISION_CONVS, CONV_LAYERS, strict=True)},
    **{f"classifier.{index}": name for index, name in zip(TORCHVISION_FCS, FC_LAYERS, strict=True)},
}

# One tensor of each known network, by which a prefix before all its names is found.
MARKS = ("layer1.0.conv1.weight", "features.0.weight", "conv1_1.weight", "_blocks.0._depthwise_conv.weight")
# EfficientNet-PyTorch numbers the blocks of all stages in one row, and the norms of a block from its first one.
LITE0_BLOCKS = [
    f"stage{stage}.{block}" for stage, (*_, blocks) in enumerate(STAGES, start=1) for block in range(blocks)
]
LITE0_NAMES = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "top.0", "_bn1": "top.1", "_fc": "fc.1"}
LITE0_LAYERS = {
    "_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1",
    "_project_conv": "project.0", "_bn2": "project.1",
}  # fmt: skip
DEEPEST = 3  # dictionaries within dictionaries that are looked into


def read_stored(path: Path) -> object:
    """What a PyTorch file holds. Raises InputError for a damaged file and for one that would run code."""
    try:
        with torch.serialization.safe_globals(_harmless()), warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(f"{path}: refused: {_explain(str(error))}") from None
    except Exception as error:  # a damaged pickle fails in every way there is
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: a damaged PyTorch file ({reason}); delete it and fetch it again") from None


def _harmless() -> list[Any]:
    """Numbers, arrays and settings that people store beside the weights; reading them runs no code."""
    scalars = [type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"]
    old_names = [
        (getattr(np._core.multiarray, name), f"{package}.multiarray.{name}")
        for name in ("scalar", "_reconstruct")
        for package in ("numpy.core", "numpy._core")
    ]
    return [*old_names, np.ndarray, (_numeric_dtype, "numpy.dtype"), *scalars, argparse.Namespace]


def _numeric_dtype(code: str, *arguments: object) -> np.dtype:
    """np.dtype as pickles call it, but for numbers alone: arrays of objects could hold anything."""
    dtype = np.dtype(code, *arguments)
    if dtype.kind not in "biufc":
        raise ValueError(f"an array of {dtype}")
    return dtype


def _explain(error: str) -> str:
    """torch's message is about its own arguments, and coloured."""
    found = re.search(r"GLOBAL ([\w.]+)", error)
    if found:
        return f"it holds a {found[1]}, not tensors alone, and reading that could run code; save {SAVE_TENSORS}"
    if "Unsupported operand" in error:
        return f"its pickle is of a newer protocol than can be read safely, or damaged; save {SAVE_TENSORS}"
    return "expected tensors alone, found a pickle that would run code or is damaged"


@dataclass(frozen=True)
class FoundNetwork:
    """A known network in a file of others."""

    name: str  # "resnet18", "vgg16" (torchvision's names), "vggface" or "lite0" (EfficientNet-PyTorch's)
    tensors: dict[str, torch.Tensor]
    wrapping: str  # what stood around it, such as "state_dict, prefix module."; empty: nothing


def find_network(stored: object, path: Path) -> FoundNetwork:
    """The one known network in what a file holds: at its top or in a dictionary within, with or without a prefix.

    Raises InputError where there is none, and where there are several: which is meant, is not guessed.
    """
    found, keys = [], []
    for place, tensors in _state_dicts(stored):
        keys = keys or list(tensors)
        for prefix in sorted({key.removesuffix(mark) for key in tensors for mark in MARKS if key.endswith(mark)}):
            inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            if (not prefix or prefix.endswith(".")) and (name := _recognise(inside)):
                wrapping = ", ".join([*place, *([f"prefix {prefix}"] if prefix else [])])
                found.append(FoundNetwork(name, inside, wrapping))
    if not keys:
        raise InputError(f"{path}: expected a state dict of tensors, found {type(stored).__name__} without one")
    if not found:
        raise InputError(
            f"{path}: expected ResNet18, VGG16, VGGFace or EfficientNet-Lite0, found the keys {', '.join(keys[:4])} ..."
        )
    if len(found) > 1:
        places = " and ".join(each.wrapping or "the top" for each in found)
        raise InputError(f"{path}: holds {len(found)} networks ({places}); save the one that is meant alone")
    return found[0]


def _state_dicts(stored: object, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every dictionary in `stored` that holds tensors, with the names that lead to it."""
    if not isinstance(stored, Mapping) or len(place) > DEEPEST:
        return
    arrays = {key: torch.from_numpy(value) for key, value in stored.items() if _is_numeric(value)}
    tensors = {key: value for key, value in {**stored, **arrays}.items() if isinstance(value, torch.Tensor)}
    if tensors and all(isinstance(key, str) for key in tensors):
        yield place, tensors
    for key, value in stored.items():
        yield from _state_dicts(value, (*place, str(key)))


def _is_numeric(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiu"


def _recognise(tensors: Mapping[str, torch.Tensor]) -> str | None:
    if {"layer1.0.conv1.weight", "layer2.1.conv2.weight", "conv1.weight"} <= set(tensors):
        return "resnet18"
    if {key for key in tensors if key.startswith("features.") and key.endswith(".weight")} == TORCHVISION_FEATURES:
        return "vgg16"
    if "_blocks.15._project_conv.weight" in tensors and not any(".16._" in key or "._se_" in key for key in tensors):
        return "lite0"  # others of this family have more blocks, or squeeze-and-excitation
    return "vggface" if "conv1_1.weight" in tensors else None


def rename_torchvision(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """torchvision's VGG16 under the names of VGGFace; both take RGB and flatten C, H, W."""
    state = {}
    for key, tensor in tensors.items():
        module, _, kind = key.rpartition(".")
        state[f"{TORCHVISION_NAMES.get(module, module)}.{kind}"] = tensor
    return state


def rename_lite0(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """EfficientNet-PyTorch's Lite0 under this project's names; a name that it does not have stays as it is."""
    state = {}
    for key, tensor in tensors.items():
        module, _, kind = key.rpartition(".")
        parts = module.split(".")
        if parts[0] == "_blocks" and len(parts) == 3 and parts[2] in LITE0_LAYERS:
            module = f"{LITE0_BLOCKS[int(parts[1])]}.{LITE0_LAYERS[parts[2]]}"
        state[f"{LITE0_NAMES.get(module, module)}.{kind}"] = tensor
    return state


def without_third_block(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], str]:
    """A ResNet18's tensors, and what was left out: a third block of the last stage, which CNTK's ResNet18 has.

    A file with any other block more is not touched: it is of another network.
    """
    blocks = {tuple(key.split(".")[:2]) for key in tensors if key.startswith("layer")}
    if blocks - {(f"layer{stage}", place) for stage in range(1, 5) for place in "01"} != {("layer4", "2")}:
        return dict(tensors), ""
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith("layer4.2.")}
    return kept, "without its third block of layer4"


def read_vggface(tensors: Mapping[str, torch.Tensor], path: Path) -> SourceNetwork:
    """The arrays of DeepFace's file, whose fc layers are convolutions, or of Oxford's, whose fc layers are matrices.

    Channels are in the order that each publisher documents: BGR for DeepFace, RGB for Oxford's vgg_face_dag.
    Raises InputError where a layer is missing or has another shape.
    """
    if "fc6.weight" not in tensors:
        raise InputError(f"{path}: layer fc6 is missing; found {', '.join(tensors)}")
    as_convolutions = tensors["fc6.weight"].ndim == 4
    kernels, biases = {}, {}
    for name in (*CONV_LAYERS, *FC_LAYERS):
        if f"{name}.weight" in tensors and f"{name}.bias" in tensors:
            kernels[name] = _to_source_axes(name, tensors[f"{name}.weight"].to(torch.float32).numpy())
            biases[name] = tensors[f"{name}.bias"].to(torch.float32).numpy()
    source = SourceNetwork(
        kernels=kernels,
        biases=biases,
        channel_order="BGR" if as_convolutions else "RGB",
        flatten_order="HWC" if as_convolutions else "CHW",
        layout="PyTorch, DeepFace" if as_convolutions else "PyTorch, Oxford",
        input_note=DEEPFACE_INPUT if as_convolutions else MEAN_INPUT.format("RGB"),
    )
    check_shapes(source, path)
    return source


def _to_source_axes(name: str, weight: np.ndarray) -> np.ndarray:
    """(out, in, height, width) to (height, width, in, out), or (out, in) to (in, out)."""
    if weight.ndim != 4:
        return weight.T
    turned = weight.transpose(2, 3, 1, 0)
    return turned.reshape(-1, weight.shape[0]) if name in FC_LAYERS else turned
