"""What decides the weights that a training ends with, as checksums: two trainings with the same ones are the same."""

from __future__ import annotations

import hashlib
import inspect
import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from emotion_utils.config import RunConfig
from emotion_utils.recipe import TEACHER_SETTINGS, Recipe
from emotion_utils.store.batches import Dataset
from emotion_utils.training.own_code import describe_code, is_installed_class, without_docstrings
from emotion_utils.training.teacher import check_teachers

# Of the settings of a run, those that a training reads beside its recipe.
TRAINING_SETTINGS = (
    "seed", "epochs", "batch_size", "processes", "max_steps_per_epoch", "balance", "augment", "crop", "views",
)  # fmt: skip
SAMPLED_IMAGES = 256  # of each split, whose pixels are compared: an image's id is the checksum of its file


class Fingerprint(NamedTuple):
    """SHA-256 (hex) of each of the three."""

    network: str
    recipe: str
    data: str

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Fingerprint:
        """The one that a model's folder recorded."""
        return cls(*(facts[name] for name in cls._fields))

    @property
    def name(self) -> str:
        """Eight hex digits for a folder's name."""
        return _sha256(self)[:8]


def take_fingerprint(
    net: nn.Module, train_set: Dataset, val_set: Dataset, recipe: Recipe, config: RunConfig
) -> Fingerprint:
    """The fingerprint of a training on `config`; taken before the network learns or moves."""
    return Fingerprint(network_sha256(net), recipe_sha256(recipe, config), data_sha256(train_set, val_set))


def network_sha256(net: nn.Module) -> str:
    """Over the layers with their parameters and buffers, and over the code of all layers that are not PyTorch's own.

    Raises InputError where that code uses what cannot be compared.
    """
    parts: list[str | bytes] = [repr(net)]
    kinds = sorted(filter(is_installed_class, {type(module) for module in net.modules()}), key=_full_name)
    parts += [_installed_code(kind) for kind in kinds]
    parts += describe_code(net)
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        parts += [f"{name} {tensor.dtype} {tuple(tensor.shape)}", _bytes(tensor)]
    return _sha256(parts)


def recipe_sha256(recipe: Recipe, config: RunConfig) -> str:
    """Over the recipe, the settings of the run that a training reads, and the weights of its teachers."""
    settings = config.model_dump(mode="json", include=set(TRAINING_SETTINGS))
    unused = None if recipe.teacher else set(TEACHER_SETTINGS)
    texts = [recipe.model_dump_json(exclude=unused), json.dumps(settings, sort_keys=True)]
    return _sha256([*texts, *check_teachers(recipe)])


def data_sha256(*datasets: Dataset) -> str:
    """Over ids, labels, targets, classes and sizes of all images, and over the pixels of a sample of them."""
    parts: list[str | bytes] = []
    for dataset in datasets:
        sample = np.unique(np.linspace(0, len(dataset) - 1, SAMPLED_IMAGES).round().astype(int))
        facts = [dataset.ids, dataset.labels.tolist(), list(dataset.class_names), dataset.size_px]
        parts += [json.dumps(facts), _bytes(dataset.batch(sample).images)]
        parts += [] if dataset.targets is None else [_bytes(dataset.targets)]
    return _sha256(parts)


def _installed_code(kind: type[nn.Module]) -> str:
    """A class's name; of one that is not PyTorch's own, its code too, comments and docstrings aside."""
    if kind.__module__.startswith(("torch.", "torchvision.")):
        return _full_name(kind)
    return _full_name(kind) + without_docstrings(textwrap.dedent(inspect.getsource(kind)))


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _bytes(tensor: torch.Tensor) -> bytes:
    """The values in the order of their indices, however they lie in memory."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _sha256(parts: Iterable[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(content)}:".encode() + content)
    return digest.hexdigest()
