"""The three models of the study, in one table, and how each gets its first weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.models.cache import locate_weights, missing_weights
from emotion_utils.models.card import load_model, save_model
from emotion_utils.models.contract import IMAGENET, Normalisation
from emotion_utils.models.network import ARCHITECTURE_TITLES, EmotionNet, make_network
from emotion_utils.models.registry import SOURCES
from emotion_utils.models.vggface import takes_full_head
from emotion_utils.models.weights import LoadedWeights, load_registered, load_weights

__all__ = ["MODELS", "EmotionNet", "ModelSpec", "build_model", "load_model", "needed_weights", "save_model"]


@dataclass(frozen=True)
class ModelSpec:
    """What the study calls a model: an architecture and the weights that it starts from."""

    name: str
    title: str
    architecture: str
    weights: Mapping[str, tuple[str, ...]]  # config.weights -> registered sources by preference; none: random weights


_VGGFACE = ("vggface_keras", "vggface_deepface", "vggface_oxford", "vggface_keras_notop")

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="VGG16_emotion",
            title="VGGFace fine-tuned",
            architecture="vgg16",
            weights=MappingProxyType({"proxy": ("proxy_vgg16",), "official": _VGGFACE}),
        ),
        ModelSpec(
            name="r18_scratch_emotion",
            title="ResNet18 from scratch",
            architecture="resnet18",
            weights=MappingProxyType({"proxy": (), "official": ()}),
        ),
        ModelSpec(
            name="r18_pre_emotion",
            title="ResNet18 pretrained",
            architecture="resnet18",
            weights=MappingProxyType({"proxy": ("proxy_resnet18",), "official": ("resnet18_imagenet",)}),
        ),
    )
}


def build_model(
    name: str,
    *,
    num_classes: int,
    image_size_px: int,
    dropout: float = 0.0,
    weights: str | Path | None,
    seed: int = 0,
) -> EmotionNet:
    """The network of model `name` on the CPU; its head is random from `seed`, the rest comes from `weights`.

    `weights`: "proxy" or "official" (what MODELS says of them: r18_scratch_emotion stays random), the name of a
    registered source, a file of weights, the folder of a model that was trained before, or None for random weights.
    Nothing is fetched. Raises InputError or EmotionError where weights are missing, damaged or of another network.
    """
    spec = _get_spec(name)
    design: dict[str, Any] = {"architecture": spec.architecture, "num_classes": num_classes, "dropout": dropout}
    found = None if weights is None else _find(spec, weights, image_size_px)
    if found is None:
        return make_network(design, IMAGENET.at(image_size_px), _random_provenance(spec, seed), seed=seed)
    loaded, provenance = found
    if loaded.architecture != spec.architecture:
        raise InputError(f"{name} is a {spec.architecture}; {weights} holds weights of a {loaded.architecture}")
    if spec.architecture == "vgg16":
        design["full_head"] = takes_full_head(image_size_px) and "fc6.weight" in loaded.state
    net = make_network(design, loaded.normalisation.at(image_size_px), provenance, seed=seed)
    _copy_body(net, loaded, provenance["source"])
    return net


def needed_weights(name: str, weights: str, image_size_px: int) -> tuple[str, ...]:
    """The registered sources any one of which serves model `name`, by preference; none where it starts from random.

    `weights` is "proxy" or "official". Small images leave fc6 unused, so the small file comes first for them.
    """
    sources = _get_spec(name).weights[weights]
    return tuple(sorted(sources, key=lambda source: SOURCES[source].with_top and not takes_full_head(image_size_px)))


def _get_spec(name: str) -> ModelSpec:
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}: known are {', '.join(MODELS)}")
    return MODELS[name]


def _find(spec: ModelSpec, weights: str | Path, image_size_px: int) -> tuple[LoadedWeights, dict[str, Any]] | None:
    """Loaded weights and their provenance; None where the spec asks for random ones."""
    if weights in spec.weights:
        sources = needed_weights(spec.name, str(weights), image_size_px)
        return _registered(_choose(spec, sources)) if sources else None
    if not any(spec.weights.values()):
        raise InputError(f"{spec.name} starts from random weights: it cannot start from {weights}")
    if weights in SOURCES:
        return _registered(str(weights))
    return _from_path(Path(weights))


def _choose(spec: ModelSpec, sources: tuple[str, ...]) -> str:
    for source in sources:
        if locate_weights(source) is not None:
            return source
    error = missing_weights(SOURCES[sources[0]], f"needed by {spec.name} and not on this machine")
    others = f"; {', '.join(sources[1:])} would do as well" if sources[1:] else ""
    raise type(error)(f"{error}{others}") from None


def _registered(name: str) -> tuple[LoadedWeights, dict[str, Any]]:
    source, loaded = SOURCES[name], load_registered(name)
    return loaded, _provenance(name, "proxy" if source.is_proxy else "official", source.file_name, loaded)


def _from_path(path: Path) -> tuple[LoadedWeights, dict[str, Any]]:
    if not path.is_dir():
        if not path.exists() and os.sep not in str(path) and not path.suffix:
            raise InputError(
                f"unknown weights {str(path)!r}: expected a file, a model's folder, or {', '.join(SOURCES)}"
            )
        loaded = load_weights(path)
        return loaded, _provenance(path.name, "file", str(path), loaded)
    net, card = load_model(path)
    before = card["provenance"].get("sentence", "unknown weights")
    loaded = LoadedWeights(
        architecture=net.design["architecture"],
        state=net.body_state(),
        normalisation=Normalisation(net.contract.mean, net.contract.std),
        title=f"{ARCHITECTURE_TITLES[net.design['architecture']]}, trained before on {', '.join(card['class_names'])} "
        f"from: {before}",
        sha256=card["sha256"],
        licence=card["provenance"].get("licence"),
    )
    return loaded, _provenance(path.name, "file", str(path), loaded)


def _random_provenance(spec: ModelSpec, seed: int) -> dict[str, Any]:
    sentence = f"{ARCHITECTURE_TITLES[spec.architecture]}, random weights from seed {seed}"
    return {
        "name": "random", "kind": "random", "source": f"seed {seed}", "sha256": None, "licence": None,
        "sentence": sentence,
    }  # fmt: skip


def _provenance(name: str, kind: str, source: str, loaded: LoadedWeights) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "source": source, "sha256": loaded.sha256, "licence": loaded.licence,
        "sentence": f"{loaded.title}, sha256 {loaded.sha256[:12]}",
    }  # fmt: skip


def _copy_body(net: EmotionNet, loaded: LoadedWeights, source: str) -> None:
    """Everything but the head; a counter of batches that old files lack stays 0, layers of another head are left."""
    body = net.body_state()
    extra = [key for key in loaded.state if key not in body and not key.startswith("fc")]
    missing = [key for key in body if key not in loaded.state and not key.endswith("num_batches_tracked")]
    if extra or missing:
        found = f"no tensor {missing[0]}" if missing else f"an unknown tensor {extra[0]}"
        raise InputError(
            f"{source}: expected a {loaded.architecture}, found {found}: these are weights of another network"
        )
    for key in [key for key in body if key in loaded.state]:
        value = loaded.state[key]
        if value.shape != body[key].shape:
            raise InputError(f"{source}: {key}: expected shape {tuple(body[key].shape)}, found {tuple(value.shape)}")
        if not value.isfinite().all():
            raise InputError(f"{source}: {key} holds values that are not finite: the file is damaged")
        body[key].copy_(value)
