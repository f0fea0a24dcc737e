"""The three models of the study, in one table, and which weights each may start from. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emotion_utils.errors import InputError
from emotion_utils.models.input_spec import takes_full_head
from emotion_utils.models.weights.cache import locate_weights, missing_weights
from emotion_utils.models.weights.registry import PROXIES, SOURCES

RANDOM = "random"


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


def get_spec(name: str) -> ModelSpec:
    """The model called `name`. Raises InputError that names the known ones."""
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}: known are {', '.join(MODELS)}")
    return MODELS[name]


def needed_weights(name: str, weights: str, image_size_px: int) -> tuple[str, ...]:
    """The registered sources any one of which serves model `name`, by preference.

    None where it starts from random weights, or from a file or folder that `weights` names. Small images leave fc6
    unused, so the small file comes first for them. Raises InputError where the model takes no pretrained weights.
    """
    spec = get_spec(name)
    if weights in spec.weights:
        trunk_only = not takes_full_head(image_size_px)
        return tuple(sorted(spec.weights[weights], key=lambda source: trunk_only and SOURCES[source].with_top))
    if weights == RANDOM:
        return ()
    if not any(spec.weights.values()):
        raise InputError(f"{name} starts from random weights: it cannot start from {weights}")
    return (weights,) if weights in SOURCES else ()


def needed_proxies(name: str, weights: str, image_size_px: int) -> list[str]:
    """Which of the weights that model `name` needs this project makes itself."""
    return [source for source in needed_weights(name, weights, image_size_px) if source in PROXIES]


def choose_source(name: str, weights: str, image_size_px: int) -> str | None:
    """The first of `needed_weights` that is on this machine; None where none is needed.

    Raises InputError or EmotionError that says how to get them.
    """
    sources = needed_weights(name, weights, image_size_px)
    found = next((source for source in sources if locate_weights(source) is not None), None)
    if found is None and sources:
        error = missing_weights(SOURCES[sources[0]], f"needed by {name} and not on this machine")
        others = f"; {', '.join(sources[1:])} would do as well" if sources[1:] else ""
        raise type(error)(f"{error}{others}")
    return found
