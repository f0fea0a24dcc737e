"""Reads files of weights of any known format into tensors under this project's keys, and writes the project's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import FULL_DISK, FullDisk, file_sha256, refuse_target, replacing, write_json
from emotion_utils.model_table import get_architecture
from emotion_utils.models.input_spec import IMAGENET, LITE, VGGFACE, Normalisation
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.weights.cache import (
    check_checksum,
    find_weights,
    proxy_path,
    read_record,
    record_checksum,
    record_path,
)
from emotion_utils.models.weights.conversion import TOLERANCE, SourceNetwork, compare, to_state
from emotion_utils.models.weights.file_kind import file_kind
from emotion_utils.models.weights.pytorch import (
    find_network,
    read_stored,
    read_vggface,
    rename_lite0,
    rename_torchvision,
    without_third_block,
)
from emotion_utils.models.weights.registry import VGGFACE_LICENCE, WeightSource, get_source

# The one key of the header that the project writes: safetensors puts several in another order each time.
HEADER_KEY = "emotion_utils"
BODY = ("weight", "bias", "running_mean", "running_var")  # no counters, which nothing reads


@dataclass(frozen=True)
class LoadedWeights:
    """Tensors under the keys of `EmotionNet.network`, and what is known of them."""

    architecture: str
    state: dict[str, torch.Tensor]
    normalisation: Normalisation
    title: str  # as in the report
    sha256: str
    licence: str


def load_registered(name: str) -> LoadedWeights:
    """The weights of the registered source `name`, from EMOTION_WEIGHTS_DIR or the cache, their checksum checked."""
    source = get_source(name)
    path = find_weights(name)
    sha256 = check_checksum(path, source)
    loaded = load_weights(path)
    if loaded.architecture != source.architecture:
        raise InputError(f"{path}: expected a {source.architecture}, found a {loaded.architecture}")
    if read_record(source.file_name) is None:
        record_checksum(path, source.file_name, sha256)
    return LoadedWeights(loaded.architecture, loaded.state, loaded.normalisation, source.title, sha256, source.licence)


def load_weights(path: Path) -> LoadedWeights:
    """Reads a file in any known format. Raises InputError that says what was found instead."""
    kind = file_kind(path)
    if kind == "safetensors":
        header, tensors = read_safetensors(path)
        if HEADER_KEY in header:
            return _read_own(header, tensors, path)
        found = find_network(tensors, path)
    elif kind == "torch":
        found = find_network(read_stored(path), path)
    else:
        return _convert(_read_keras(path), path)
    if found.name == "vggface":
        return _convert(read_vggface(found.tensors, path), path)
    normalisation, left_out = IMAGENET, ""
    if found.name == "vgg16":
        state = rename_torchvision(found.tensors)
    elif found.name == "lite0":
        state, normalisation = rename_lite0(found.tensors), LITE
    else:
        state, left_out = without_third_block(found.tensors)
    title = f"{get_architecture(found.name).title}, weights of {path.name}"
    remarks = ", ".join(filter(None, [found.wrapping, left_out]))
    title += f" ({remarks})" if remarks else ""
    return LoadedWeights(found.name, state, normalisation, title, file_sha256(path), "as given with the file")


def convert_weights(source_path: str | Path, target_path: str | Path) -> dict[str, Any]:
    """Writes VGGFace weights of Keras, DeepFace or Oxford as safetensors, and a JSON beside them; returns the JSON.

    The converted network is compared with its source layer by layer before anything is written.
    """
    source_path, target_path = Path(source_path), Path(target_path)
    if target_path.suffix != ".safetensors":
        raise InputError(f"{target_path}: the name of converted weights must end in .safetensors")
    refuse_target(target_path)
    source = _read_source(source_path)
    state = to_state(source)
    differences = compare(source, state)
    title = f"VGG16, VGGFace weights converted from {source_path.name}"
    _write(target_path, state, "vgg16", VGGFACE, title, VGGFACE_LICENCE)
    report = {
        "source": {
            "file": source_path.name,
            "sha256": file_sha256(source_path),
            "layout": source.layout,
            "input": source.input_note,
        },
        "output": {"file": target_path.name, "sha256": file_sha256(target_path)},
        "with_top": source.with_top,
        "layers": list(source.layers),
        "turned": {
            "channel_order": f"{source.channel_order} to RGB in conv1_1",
            "fc6": f"flattened {source.flatten_order} to CHW" if source.with_top else None,
        },
        "input": VGGFACE.at(224).as_dict(),
        "largest_relative_difference": differences,
        "tolerance": TOLERANCE,
        "licence": VGGFACE_LICENCE,
    }
    write_json(target_path.with_suffix(".json"), report)
    return report


def convert_registered(source: WeightSource, path: Path, target: Path) -> None:
    """Writes the body of a file of others as the file of the registered `source`, the same bytes each time."""
    state = load_weights(path).state
    body = {key: state[key].contiguous() for key in state if key.endswith(BODY) and not key.startswith("fc.")}
    _write(target, body, source.architecture, source.normalisation, source.title, source.licence)


# -- proxies ---------------------------------------------------------------------------------------


def save_proxy(net: EmotionNet, name: str, *, recipe: Mapping[str, Any]) -> Path:
    """Caches everything of `net` but its head as the proxy `name`; `recipe` (plain values) is kept in the header."""
    path = proxy_path(name)
    source = get_source(name)
    if net.design["architecture"] != source.architecture:
        raise InputError(f"{name} is a {source.architecture}, not a {net.design['architecture']}")
    state = {key: value.cpu().contiguous() for key, value in net.body_state().items()}
    normalisation = Normalisation(net.input_spec.mean, net.input_spec.std)
    record_path(source.file_name).unlink(missing_ok=True)  # first: a kill in between must not leave a wrong checksum
    _write(path, state, source.architecture, normalisation, source.title, source.licence, recipe=recipe)
    record_checksum(path, source.file_name, file_sha256(path))
    return path


def read_proxy_recipe(name: str) -> dict[str, Any] | None:
    """The recipe of the cached proxy; None if there is no proxy or it is damaged."""
    path = proxy_path(name)
    if not path.exists():
        return None
    try:
        check_checksum(path, get_source(name))
        return json.loads(read_safetensors(path)[0][HEADER_KEY])["recipe"]
    except (InputError, KeyError, ValueError):
        return None


# -- files -----------------------------------------------------------------------------------------


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Header and tensors. Raises InputError where the file is incomplete."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: a damaged safetensors file ({error}); delete it and make it again") from None


def _write(
    path: Path,
    state: dict[str, torch.Tensor],
    architecture: str,
    normalisation: Normalisation,
    title: str,
    licence: str,
    recipe: Mapping[str, Any] | None = None,
) -> None:
    header = {
        "architecture": architecture,
        "mean": normalisation.mean,
        "std": normalisation.std,
        "title": title,
        "licence": licence,
        "recipe": dict(recipe) if recipe else None,
    }
    try:
        with replacing(path) as temporary:
            save_file(state, temporary, metadata={HEADER_KEY: json.dumps(header, sort_keys=True)})
    except (OSError, SafetensorError, FullDisk) as error:
        bad_place = isinstance(error, OSError) and error.errno not in FULL_DISK
        raise (InputError if bad_place else EmotionError)(
            f"{path}: cannot be written ({getattr(error, 'reason', error)}); free some space, or name another place"
        ) from None


def _read_own(header: Mapping[str, str], tensors: dict[str, torch.Tensor], path: Path) -> LoadedWeights:
    try:
        facts = json.loads(header[HEADER_KEY])
        normalisation = Normalisation(tuple(facts["mean"]), tuple(facts["std"]))
        architecture, title, licence = facts["architecture"], facts["title"], facts["licence"]
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: its header is damaged ({error}); make the file again") from None
    return LoadedWeights(architecture, tensors, normalisation, title, file_sha256(path), licence)


def _convert(source: SourceNetwork, path: Path) -> LoadedWeights:
    state = to_state(source)
    compare(source, state)
    title = f"VGG16, VGGFace weights of {path.name} ({source.layout})"
    return LoadedWeights("vgg16", state, VGGFACE, title, file_sha256(path), VGGFACE_LICENCE)


def _read_source(path: Path) -> SourceNetwork:
    kind = file_kind(path)
    if kind in ("hdf5", "keras"):
        return _read_keras(path)
    found = find_network(read_stored(path) if kind == "torch" else read_safetensors(path)[1], path)
    if found.name != "vggface":
        raise InputError(f"{path}: expected VGGFace weights of Keras, DeepFace or Oxford; others need no conversion")
    return read_vggface(found.tensors, path)


def _read_keras(path: Path) -> SourceNetwork:
    from emotion_utils.models.weights.keras import read_keras  # h5py is only needed here

    return read_keras(path)
