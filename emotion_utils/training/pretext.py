"""Stand-ins for published weights, made here once and cached: a VGG16 that tells rendered people apart, and a ResNet18
that names rendered shapes. Training takes a minute or two on two cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import nn

from emotion_utils.data.augment import to_unit
from emotion_utils.data.pretext_images import render_people, render_shapes
from emotion_utils.models.contract import IMAGENET
from emotion_utils.models.network import EmotionNet, make_network
from emotion_utils.models.weights import proxy_path, read_proxy_recipe, save_proxy

Progress = Callable[[int, int], None]

# Everything that decides the weights; `version` counts the changes of the code below and of the pictures.
RECIPES: dict[str, dict[str, Any]] = {
    "proxy_vgg16": {
        "version": 1, "task": "people", "people": 120, "pictures_per_person": 16, "size_px": 32,
        "epochs": 8, "batch_size": 32, "lr": 1e-3, "seed": 0,
    },
    "proxy_resnet18": {
        "version": 1, "task": "shapes", "pictures": 4000, "size_px": 48,
        "epochs": 6, "batch_size": 32, "lr": 1e-3, "seed": 0,
    },
}  # fmt: skip


def ensure_proxies(names: Iterable[str], progress: Progress | None = None) -> dict[str, Path]:
    """The files of the proxies `names` ("proxy_vgg16", "proxy_resnet18"); makes those that are missing or outdated.

    `progress(done, total)` counts pictures drawn and looked at. Two processes that ask at once make each of them once.
    """
    paths = {}
    for name in names:
        path = proxy_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if read_proxy_recipe(name) != RECIPES[name]:
                make_proxy(name, RECIPES[name], progress)
        paths[name] = path
    return paths


def make_proxy(name: str, recipe: dict[str, Any], progress: Progress | None = None) -> Path:
    """Draws the pictures, trains the network and caches it without its head."""
    images, labels = draw_pictures(recipe, progress)
    architecture = "vgg16" if recipe["task"] == "people" else "resnet18"
    design = {"architecture": architecture, "num_classes": int(labels.max()) + 1, "dropout": 0.0}
    net = make_network(design, IMAGENET.at(recipe["size_px"]), {}, seed=recipe["seed"])
    with batchnorm_inside(net):
        train_pretext(net, images, labels, recipe, progress)
    return save_proxy(net, name, recipe=recipe)


def draw_pictures(recipe: dict[str, Any], progress: Progress | None) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, H, W, 3) and labels int64 (N,) of the recipe's task."""
    if recipe["task"] == "people":
        return render_people(recipe["people"], recipe["pictures_per_person"], recipe["size_px"], progress)
    return render_shapes(recipe["pictures"], recipe["size_px"], recipe["seed"], progress)


def train_pretext(
    net: nn.Module, images: np.ndarray, labels: np.ndarray, recipe: dict[str, Any], progress: Progress | None
) -> float:
    """One-cycle AdamW over the pictures in an order from the seed; returns the last epoch's accuracy."""
    pictures, targets = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe["lr"], weight_decay=0.01, fused=True)
    steps = recipe["epochs"] * (len(labels) // recipe["batch_size"])
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe["lr"], total_steps=steps)
    net.train()
    done = correct = 0
    for epoch in range(recipe["epochs"]):
        order = np.random.default_rng([recipe["seed"], epoch]).permutation(len(labels))
        correct = 0
        for batch in order[: len(labels) // recipe["batch_size"] * recipe["batch_size"]].reshape(
            -1, recipe["batch_size"]
        ):
            index = torch.from_numpy(np.sort(batch))
            logits = net(to_unit(pictures[index]))
            F.cross_entropy(logits, targets[index]).backward()
            optimizer.step()
            optimizer.zero_grad()
            rates.step()
            done += 1
            correct += int((logits.argmax(1) == targets[index]).sum())
            if progress:
                progress(done, steps)
    return correct / len(labels)


@contextmanager
def batchnorm_inside(net: EmotionNet) -> Iterator[None]:
    """Puts a BatchNorm behind each convolution of a VGG16, which learns nothing in minutes without, and takes it out.

    At the end its scale and shift are folded into the convolution: the plain VGG16 then gives the same activations
    as the normalised one in eval mode. A network that has its own BatchNorm stays as it is.
    """
    if net.design["architecture"] != "vgg16":
        yield
        return
    network = net.network
    names = [name for name, child in network.named_children() if isinstance(child, nn.Conv2d)]
    for name in names:
        convolution = getattr(network, name)
        setattr(network, name, nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels)))
    yield
    for name in names:
        setattr(network, name, _folded(*getattr(network, name)))


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        convolution.weight *= scale[:, None, None, None]
        convolution.bias.copy_(norm.bias + (convolution.bias - norm.running_mean) * scale)
    return convolution
