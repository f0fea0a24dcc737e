"""Which weights a model starts from, and whether they are on this machine. Needs no torch."""

from __future__ import annotations

from emotion_utils.errors import InputError
from emotion_utils.model_table import get_spec
from emotion_utils.models.input_spec import takes_full_head
from emotion_utils.models.weights.cache import locate_weights, missing_weights
from emotion_utils.models.weights.registry import PROXIES, SOURCES

RANDOM, AUTO = "random", "auto"  # auto: published ones that are here, else proxies
BY_MODEL = ("proxy", "official", AUTO)  # what these stand for, the table of models says


def needed_weights(name: str, weights: str, image_size_px: int) -> tuple[str, ...]:
    """The registered sources any one of which serves model `name`, the preferred one first.

    None where it starts from random weights, or from a file or folder that `weights` names. Small images leave fc6
    unused, so the small file comes first for them. Raises InputError where the model takes no pretrained weights.
    """
    spec = get_spec(name)
    if weights == AUTO:
        official = needed_weights(name, "official", image_size_px)
        here = tuple(source for source in official if locate_weights(source) is not None)
        return here or needed_weights(name, "proxy", image_size_px)
    if weights in BY_MODEL:
        trunk_only = not takes_full_head(image_size_px)
        return tuple(sorted(spec.weights.get(weights, ()), key=lambda source: trunk_only and SOURCES[source].with_top))
    if weights == RANDOM:
        return ()
    if spec.from_scratch:
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
