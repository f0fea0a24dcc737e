"""The network of each model with its initial weights, and the record of where these come from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.model_table import VGG16, Architecture, ModelSpec, get_spec
from emotion_utils.models.card import load_model, save_model
from emotion_utils.models.input_spec import IMAGENET, Normalisation, takes_full_head
from emotion_utils.models.network import EmotionNet, make_network
from emotion_utils.models.weights.choice import BY_MODEL, RANDOM, choose_source
from emotion_utils.models.weights.load import LoadedWeights, load_registered, load_weights
from emotion_utils.models.weights.registry import SOURCES

# What others call the layer that names their classes; it is always made anew.
HEAD_NAMES = ("linear.", "last_linear.", "classifier.", "head.", "logits.", "output.")

__all__ = ["EmotionNet", "build_model", "load_model", "save_model"]


def build_model(
    name: str,
    *,
    num_classes: int,
    auxiliary: int = 0,
    image_size_px: int,
    dropout: float = 0.0,
    weights: str | Path,
    seed: int = 0,
    stem: str = "imagenet",
) -> EmotionNet:
    """The network of model `name` on the CPU; its head is random from `seed`, the rest comes from `weights`.

    It learns `auxiliary` classes beside those that it names.

    `weights`: "proxy" or "official" (what the table of models says of them: r18_scratch_emotion stays random),
    "random", the name of a registered source, a file of weights, or the folder of a model that was trained before.
    Nothing is fetched. Raises InputError or EmotionError where weights are missing, damaged or of another network.
    """
    spec = get_spec(name)
    architecture = spec.architecture_with(stem)
    design: dict[str, Any] = {"architecture": architecture.name, "num_classes": num_classes, "dropout": dropout}
    design |= {"auxiliary": auxiliary} if auxiliary else {}
    found = _find(spec, weights, image_size_px)
    if found is None:
        return make_network(design, IMAGENET.at(image_size_px), _random_provenance(architecture, seed), seed=seed)
    loaded, provenance = found
    if loaded.architecture != architecture.name:
        raise InputError(f"{name} is a {architecture.name}; {weights} holds weights of a {loaded.architecture}")
    if architecture is VGG16:
        design["full_head"] = takes_full_head(image_size_px) and "fc6.weight" in loaded.state
    net = make_network(design, loaded.normalisation.at(image_size_px), provenance, seed=seed)
    _copy_body(net, loaded, provenance["source"])
    return net


def _find(spec: ModelSpec, weights: str | Path, image_size_px: int) -> tuple[LoadedWeights, dict[str, Any]] | None:
    """Loaded weights and their provenance; None for random ones."""
    source = choose_source(spec.name, str(weights), image_size_px)
    if source is not None:
        return _registered(source)
    return None if weights in (RANDOM, *BY_MODEL) else _from_path(Path(weights))


def _registered(name: str) -> tuple[LoadedWeights, dict[str, Any]]:
    source, loaded = SOURCES[name], load_registered(name)
    kind = "proxy" if source.is_proxy else "official"
    return loaded, _provenance(name, kind, source.file_name, source.trained_on, loaded)


def _from_path(path: Path) -> tuple[LoadedWeights, dict[str, Any]]:
    if path.is_dir():
        return _from_earlier_run(path)
    if not path.exists() and os.sep not in str(path) and not path.suffix:
        raise InputError(f"unknown weights {str(path)!r}: expected a file, a model's folder, or {', '.join(SOURCES)}")
    loaded = load_weights(path)
    return loaded, _provenance(path.name, "file", str(path), "not stated in the file", loaded)


def _from_earlier_run(path: Path) -> tuple[LoadedWeights, dict[str, Any]]:
    """The body of a trained model; `path` is usually reports/RUN/models/MODEL."""
    net, card = load_model(path)
    before, classes = card["provenance"], ", ".join(card["class_names"])
    if taught := card.get("auxiliary_classes"):
        classes += f", auxiliary {', '.join(taught)}"
    name = f"{path.parents[1].name}/{path.name}" if path.parent.name == "models" else path.name
    loaded = LoadedWeights(
        architecture=net.architecture.name,
        state=net.body_state(),
        normalisation=Normalisation(net.input_spec.mean, net.input_spec.std),
        title=f"{name}, trained on {classes}; before that: {before.get('sentence', 'unknown weights')}",
        sha256=card["sha256"],
        licence=before.get("licence"),
    )
    trained_on = f"the images of {name} ({classes}); before that: {before.get('trained_on') or 'nothing'}"
    return loaded, _provenance(name, "file", str(path), trained_on, loaded)


def _random_provenance(architecture: Architecture, seed: int) -> dict[str, Any]:
    sentence = f"{architecture.title}, random weights from seed {seed}"
    return {
        "name": RANDOM, "kind": RANDOM, "source": f"seed {seed}", "trained_on": None, "sha256": None, "licence": None,
        "sentence": sentence,
    }  # fmt: skip


def _provenance(name: str, kind: str, source: str, trained_on: str, loaded: LoadedWeights) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "source": source, "trained_on": trained_on, "sha256": loaded.sha256,
        "licence": loaded.licence, "sentence": f"{loaded.title}, sha256 {loaded.sha256[:12]}",
    }  # fmt: skip


def _copy_body(net: EmotionNet, loaded: LoadedWeights, source: str) -> None:
    """Copies all but the head. BatchNorm counters, which old files lack, stay 0; layers of another head are ignored."""
    body = net.body_state()
    extra = [key for key in loaded.state if key not in body and not key.startswith(("fc", *HEAD_NAMES))]
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
