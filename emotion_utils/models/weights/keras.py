"""VGGFace from files of Keras (HDF5, also inside a .keras), in every layout of its versions, with h5py alone."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from emotion_utils.errors import InputError
from emotion_utils.models.input_spec import FULL_SIDE
from emotion_utils.models.vggface import FC_WIDTH, FEATURES
from emotion_utils.models.weights.conversion import (
    CONV_LAYERS,
    DEEPFACE_INPUT,
    FC_LAYERS,
    MEAN_INPUT,
    SourceNetwork,
    check_shapes,
)
from emotion_utils.models.weights.file_kind import KERAS_WEIGHTS

KNOWN_LAYERS = (*CONV_LAYERS, *FC_LAYERS)
LARGEST_KERNELS = {"fc6": FEATURES * FULL_SIDE**2 * FC_WIDTH, "fc7": FC_WIDTH**2, "fc8": FC_WIDTH**2}
LARGEST_CONVOLUTION = 9 * FEATURES**2
LARGEST_NAME = 1000  # bytes
LARGEST_FILE = 3 << 30  # bytes; VGGFace with an optimizer's state is three times 580 MB
NOT_WEIGHTS = ("optimizer_weights", "optimizer", "training_config")
# Names that Keras gives to layers without one, and the only ones that its `.weights.h5` of 2023 kept.
AUTOMATIC = re.compile(r"(conv2d|convolution2d|dense)(?:_(\d+))?")


def read_keras(path: Path) -> SourceNetwork:
    """The arrays of a VGGFace, axes as Keras has them. Raises InputError where the file holds something else."""
    try:
        with _open(path) as file:
            layers = _collect_layers(_inner_group(file))
            arrays = {name: _read_layer(path, name, datasets) for name, datasets in _name_layers(path, layers).items()}
    except InputError:
        raise
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:  # h5py has no own error
        raise InputError(f"{path}: a damaged HDF5 file ({error}); delete it and fetch it again") from None
    as_convolutions = any(layer in FC_LAYERS and kernel.ndim == 4 for layer, (kernel, _) in arrays.items())
    source = SourceNetwork(
        kernels={name: _to_matrix(name, kernel) for name, (kernel, _) in arrays.items()},
        biases={name: bias for name, (_, bias) in arrays.items()},
        channel_order="BGR",
        flatten_order="HWC",
        layout="Keras, DeepFace" if as_convolutions else "Keras, keras-vggface",
        input_note=DEEPFACE_INPUT if as_convolutions else MEAN_INPUT.format("BGR"),
    )
    check_shapes(source, path)
    return source


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        if archive.getinfo(KERAS_WEIGHTS).file_size > LARGEST_FILE:
            raise ValueError(f"{KERAS_WEIGHTS} in it says that it is larger than any VGGFace")
        with h5py.File(io.BytesIO(archive.read(KERAS_WEIGHTS)), "r") as file:
            yield file


def _inner_group(file: h5py.File) -> h5py.Group:
    """What holds the weights. A link to another file is not followed, and below, h5py's visits follow none."""
    link = file.get("model_weights", getlink=True)
    if link is None:
        return file
    if not isinstance(link, h5py.HardLink):
        raise ValueError("model_weights in it is a link to somewhere else")
    return file["model_weights"]


def _collect_layers(root: h5py.Group) -> dict[str, list[h5py.Dataset]]:
    """The datasets below `root` by the layer that they belong to."""
    layers: dict[str, list[h5py.Dataset]] = {}

    def visit(name: str | bytes, node: h5py.Group | h5py.Dataset) -> None:
        if isinstance(name, bytes):
            raise ValueError(f"the name {name!r} in it is not text")
        parts = name.split("/")
        if isinstance(node, h5py.Dataset) and parts[0] not in NOT_WEIGHTS:
            layers.setdefault(_layer_of(parts, node), []).append(node)

    root.visititems(visit)
    return layers


def _layer_of(parts: list[str], node: h5py.Dataset) -> str:
    """Keras 3 writes .../<class>_<n>/vars/<i> with the name as an attribute; before, a group bore the layer's name."""
    groups = parts[:-1]
    if groups and groups[-1] == "vars":
        attributes = node.parent.attrs
        if "name" in attributes and attributes.get_id("name").get_storage_size() > LARGEST_NAME:
            raise ValueError("a layer's name in it is longer than any")
        return str(attributes.get("name", groups[-2] if len(groups) > 1 else ""))
    known = [part for part in groups if part in KNOWN_LAYERS]
    automatic = [part for part in groups if AUTOMATIC.fullmatch(part)]
    return (known or automatic or groups or [""])[0]


def _name_layers(path: Path, layers: dict[str, list[h5py.Dataset]]) -> dict[str, list[h5py.Dataset]]:
    """Layers under the names of VGGFace: those that they have, or by order where all names are automatic."""
    if any(name in layers for name in CONV_LAYERS):
        return {name: layers[name] for name in KNOWN_LAYERS if name in layers}
    automatic = sorted((name for name in layers if AUTOMATIC.fullmatch(name)), key=_automatic_order)
    if len(automatic) == len(layers) and len(automatic) in (len(CONV_LAYERS), len(KNOWN_LAYERS)):
        return {new: layers[old] for new, old in zip(KNOWN_LAYERS, automatic, strict=False)}
    found = ", ".join(sorted(layers)[:6]) or "no weights at all"
    raise InputError(f"{path}: expected the layers of VGGFace ({', '.join(KNOWN_LAYERS[:2])} ...), found {found}")


def _automatic_order(name: str) -> tuple[str, int]:
    stem, number = AUTOMATIC.fullmatch(name).groups()
    return stem, int(number or 0)


def _read_layer(path: Path, name: str, datasets: list[h5py.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias as float32, distinguished by their number of axes; a fully connected kernel has two."""
    for dataset in datasets:
        _refuse_foreign(path, dataset)
    kernels = [dataset for dataset in datasets if dataset.ndim in (2, 4)]
    biases = [dataset for dataset in datasets if dataset.ndim == 1]
    is_pair = len(kernels) == len(biases) == 1 and len(datasets) == 2
    if not (is_pair and _is_bounded(name, kernels[0]) and biases[0].size <= max(kernels[0].shape)):
        shapes = ", ".join(str(dataset.shape) for dataset in datasets)
        raise InputError(f"{path}: layer {name}: expected one kernel and one bias, found arrays of shape {shapes}")
    return kernels[0][()].astype(np.float32, copy=False), biases[0][()].astype(np.float32, copy=False)


def _refuse_foreign(path: Path, dataset: h5py.Dataset) -> None:
    """Raises InputError for an array whose values are no floats, or lie in other files, which it could name freely."""
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {dataset.name} lies in another file; save the weights in one file")
    if dataset.dtype.kind != "f":
        raise InputError(f"{path}: {dataset.name} holds no floats but {dataset.dtype}")


def _is_bounded(name: str, kernel: h5py.Dataset) -> bool:
    """Whether neither a kernel nor a chunk of it, which is read whole, is larger than in any VGGFace."""
    largest = LARGEST_KERNELS.get(name, LARGEST_CONVOLUTION)
    return kernel.size <= largest and math.prod(kernel.chunks or ()) <= 2 * largest


def _to_matrix(name: str, kernel: np.ndarray) -> np.ndarray:
    """A fully connected layer that was written as a convolution over the whole of pool5."""
    return kernel.reshape(-1, kernel.shape[-1]) if name in FC_LAYERS and kernel.ndim == 4 else kernel
