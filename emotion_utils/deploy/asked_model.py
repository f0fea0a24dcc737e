"""Which model a command asks: the first of its arguments, or else the small one that comes along. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_utils.deploy.listing import why_missing
from emotion_utils.deploy.onnx_file import OnnxNetwork
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.models.folders import CARD_FILE, models_below, why_no_model

MODEL_FILES = (CARD_FILE, "model.safetensors")


def take_model(paths: Sequence[Path]) -> tuple[Path | None, list[Path]]:
    """The model among the arguments of a command, None for the small one, and the others.

    Raises InputError where a model stands elsewhere than first, where nothing stands behind it or the first of several
    is not there, and for the folder of a run, of which one model has to be named.
    """
    first, *others = paths
    if is_model(first):
        if not others:
            raise InputError(f"{first}: is a model: name behind it what it is to be asked about")
        return first, others
    for path in others:
        if is_model(path):
            raise InputError(f"{first}: is no model, but {path} is: name the model first, then the images")
    if others and (missing := why_missing(expand(first))):  # it may be a model with a slip in its name
        raise InputError(f"{first}: {missing}")
    if models_below(first):
        raise InputError(why_no_model(first))
    return None, list(paths)


def is_model(path: Path) -> bool:
    """Whether `path` can only be meant as a model; `open_network` says what is wrong with it."""
    path = expand(path)
    return (
        path.suffix.lower() == ".onnx"
        or path.name in MODEL_FILES
        or any((path / name).exists() for name in MODEL_FILES)
    )


def introduce(network: OnnxNetwork) -> str:
    """A line for who named no model: which one answers, what it was taught on, how often it is right."""
    facts = network.about
    name, data, test = facts.get("model", facts["architecture"]), facts.get("data"), facts.get("test")
    taught = f"trained on {data}, " if data else ""
    right = f", accuracy {test['accuracy']:.1%} on {test['images']:,} test images" if test else ""
    return (
        f"no model is named, so the small one answers: {name} ({facts['numbers']}), {taught}"
        f"{len(network.class_names)} classes{right}"
    )
