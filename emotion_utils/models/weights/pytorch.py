"""PyTorch files of others: tensors read without running code, and networks recognised by their keys."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from emotion_utils.errors import InputError
from emotion_utils.models.weights.conversion import CONV_LAYERS, FC_LAYERS, SourceNetwork, check_shapes

# torchvision numbers the modules of its VGG16: `features` counts ReLUs and poolings too.
TORCHVISION_CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
TORCHVISION_FEATURES = {f"features.{index}.weight" for index in TORCHVISION_CONVS}
TORCHVISION_FCS = (0, 3, 6)
TORCHVISION_NAMES = {
    **{f"features.{index}": name for index, name in zip(TORCHVISION_CONVS, CONV_LAYERS, strict=True)},
    **{f"classifier.{index}": name for index, name in zip(TORCHVISION_FCS, FC_LAYERS, strict=True)},
}


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict. Raises InputError for a damaged file and for one that would run code."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path}: refused: expected tensors alone, found a pickle that would run code or is damaged ({reason})"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: a damaged PyTorch file ({reason}); delete it and fetch it again") from None
    tensors = isinstance(stored, Mapping) and all(isinstance(value, torch.Tensor) for value in stored.values())
    if not tensors or not stored:
        raise InputError(f"{path}: expected a state dict of tensors, found {type(stored).__name__}")
    return {str(key): value for key, value in stored.items()}


def recognise_network(tensors: Mapping[str, torch.Tensor], path: Path) -> str:
    """One of "resnet18", "vgg16" (torchvision's names) or "vggface". Raises InputError for another network."""
    if "layer1.0.conv1.weight" in tensors and "layer2.1.conv2.weight" in tensors and "conv1.weight" in tensors:
        return "resnet18"
    if {key for key in tensors if key.startswith("features.") and key.endswith(".weight")} == TORCHVISION_FEATURES:
        return "vgg16"
    if "conv1_1.weight" in tensors:
        return "vggface"
    raise InputError(f"{path}: expected ResNet18, VGG16 or VGGFace, found the keys {', '.join(list(tensors)[:4])} ...")


def rename_torchvision(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """torchvision's VGG16 under the names of VGGFace; both take RGB and flatten C, H, W."""
    state = {}
    for key, tensor in tensors.items():
        module, _, kind = key.rpartition(".")
        state[f"{TORCHVISION_NAMES.get(module, module)}.{kind}"] = tensor
    return state


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
    )
    check_shapes(source, path)
    return source


def _to_source_axes(name: str, weight: np.ndarray) -> np.ndarray:
    """(out, in, height, width) to (height, width, in, out), or (out, in) to (in, out)."""
    if weight.ndim != 4:
        return weight.T
    turned = weight.transpose(2, 3, 1, 0)
    return turned.reshape(-1, weight.shape[0]) if name in FC_LAYERS else turned
