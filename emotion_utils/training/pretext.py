"""Proxies: stand-ins for published weights, trained here once and cached. A VGG16 learns to tell synthetic persons
apart, the others to describe them; each takes two minutes on two cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emotion_utils.devices import pick_device, upload
from emotion_utils.locks import lock_file
from emotion_utils.model_table import VGG16
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.network import EmotionNet, make_network
from emotion_utils.models.weights.load import proxy_path, read_proxy_recipe, save_proxy
from emotion_utils.models.weights.registry import get_source
from emotion_utils.progress import Progress
from emotion_utils.recipe import AugmentConfig
from emotion_utils.store.augment import augment
from emotion_utils.synthetic.pretext_images import PRETEXTS, PretextImages
from emotion_utils.training.cpu.allocation import reuse_freed_memory
from emotion_utils.training.cpu.convolution import replace_small_convs
from emotion_utils.training.repeatable import deterministic

# A proxy is made anew when its recipe changes. `version` counts the changes of the code below; changes of the images
# show in a checksum of a few of them.
RECIPES: dict[str, dict[str, Any]] = {
    "proxy_vgg16": {
        "version": 6, "task": "people", "classes": 60, "pictures": 3200, "size_px": 32,
        "steps": 140, "batch_size": 32, "lr": 1e-3, "rotate_deg": 8.0, "flip": 0.5, "seed": 0,
    },
    "proxy_resnet18": {
        "version": 7, "task": "traits", "classes": 900, "pictures": 2600, "size_px": 32,
        "steps": 760, "batch_size": 32, "lr": 1e-3, "rotate_deg": 8.0, "flip": 0.5, "seed": 0,
    },
    "proxy_lite0": {
        "version": 1, "task": "traits", "classes": 900, "pictures": 2600, "size_px": 32,
        "steps": 760, "batch_size": 32, "lr": 1e-3, "rotate_deg": 8.0, "flip": 0.5, "seed": 0,
    },
}  # fmt: skip
SAMPLES = 6  # images of that checksum
QUICK = {"pictures": 160, "steps": 8}  # for tests, which need weights that fit and no more


def ensure_proxies(names: Iterable[str], progress: Progress | None = None, *, quick: bool = False) -> dict[str, Path]:
    """The files of the proxies `names` (such as "proxy_vgg16"); makes those that are missing or outdated.

    With `quick`, barely trained ones will do; without, such ones are replaced. `progress(done, total)` counts images
    that were rendered and trained on. Of two processes that call this at once, one makes them.
    """
    paths = {}
    for name in names:
        wanted = find_recipe(name, quick=quick)
        paths[name] = proxy_path(name)
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        with lock_file(Path(f"{paths[name]}.lock")):
            for left in paths[name].parent.glob(f".{paths[name].name}.*"):  # of processes that were killed
                left.unlink()
            if read_proxy_recipe(name) not in (find_recipe(name), wanted):
                make_proxy(name, wanted, progress)
    return paths


def find_recipe(name: str, *, quick: bool = False) -> dict[str, Any]:
    """All that decides the weights of a proxy, with the SHA-256 of the first few images."""
    recipe = RECIPES[name] | (QUICK if quick else {})
    return recipe | {"drawn": render_images(recipe | {"pictures": SAMPLES}).digest()}


def make_proxy(name: str, recipe: dict[str, Any] | None = None, progress: Progress | None = None) -> Path:
    """Trains the proxy `name` and caches it, in place of any that is there."""
    recipe = recipe or find_recipe(name)
    with deterministic(), reuse_freed_memory():
        return save_proxy(train_proxy(name, recipe, progress), name, recipe=recipe)


def render_images(recipe: dict[str, Any], count: Callable[[int], None] = lambda done: None) -> PretextImages:
    """The images and labels of a recipe; `count(done)` is called with the number of images so far."""
    return PRETEXTS[recipe["task"]](recipe["pictures"], recipe["classes"], recipe["size_px"], recipe["seed"], count)


def train_proxy(name: str, recipe: dict[str, Any], progress: Progress | None = None) -> EmotionNet:
    """Renders the images and trains the network on them, with AdamW and a one-cycle schedule."""
    size_px, steps, batch_size = recipe["size_px"], recipe["steps"], recipe["batch_size"]
    total = recipe["pictures"] + steps * batch_size
    count = (lambda done: progress(done, total)) if progress else lambda done: None
    material = render_images(recipe, count)
    device = pick_device()
    images, labels = (upload(values, device) for values in (material.images, material.labels))
    images = images.permute(0, 3, 1, 2)
    design = {"architecture": get_source(name).architecture, "num_classes": sum(material.classes), "dropout": 0.0}
    net = make_network(design, IMAGENET.at(size_px), {}, seed=recipe["seed"])
    changes = AugmentConfig(rotate_deg=recipe["rotate_deg"], flip=recipe["flip"])
    with temporary_batchnorm(net):
        net.to(device)
        if device.type == "cpu":
            replace_small_convs(net)
        optimizer = torch.optim.AdamW(net.parameters(), lr=recipe["lr"], weight_decay=0.01, fused=True)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe["lr"], total_steps=steps)
        for step, places in enumerate(_batches(len(labels), batch_size, steps, recipe["seed"])):
            chosen = upload(places, device)
            inputs = augment(
                images[chosen], places.astype(str).tolist(), config=changes, seed=recipe["seed"], epoch=step
            )
            logits = net.train()(inputs).split(material.classes, dim=1)
            losses = [F.cross_entropy(*task) for task in zip(logits, labels[chosen].unbind(1), strict=True)]
            torch.stack(losses).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            rates.step()
            count(recipe["pictures"] + (step + 1) * batch_size)
    return net.cpu().eval()


def _batches(count: int, batch_size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Positions int64 (B,): epoch after epoch over all images, each in its own order."""
    rng = np.random.default_rng(seed)
    passes = -(-steps * batch_size // count)
    order = np.concatenate([rng.permutation(count) for _ in range(passes)])
    return (np.sort(order[step * batch_size : (step + 1) * batch_size]) for step in range(steps))


@contextmanager
def temporary_batchnorm(net: EmotionNet) -> Iterator[None]:
    """Puts a BatchNorm behind each convolution of a VGG16, without which it learns nothing in minutes, and removes it.

    At the end its scale and shift are folded into the convolution: the plain VGG16 then gives the same activations
    as the normalised one in eval mode. Other networks have their own BatchNorm and stay as they are.
    """
    network = net.network
    names = [name for name, child in network.named_children() if net.architecture == VGG16 and type(child) is nn.Conv2d]
    for name in names:
        convolution = getattr(network, name)
        setattr(network, name, nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels)))
    yield
    for name in names:
        setattr(network, name, _folded(*getattr(network, name)))


@torch.no_grad()
def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    convolution.weight *= scale[:, None, None, None]
    convolution.bias.copy_(norm.bias + (convolution.bias - norm.running_mean) * scale)
    return convolution
