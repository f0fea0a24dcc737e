"""Saliency by Grad-CAM, its sanity check with randomised weights, and predictions with a region occluded."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from captum.attr import LayerAttribution, LayerGradCam
from scipy.stats import rankdata
from torch import nn

from emotion_utils.artefacts import PROBABILITY_DECIMALS
from emotion_utils.devices import EVALUATION_BATCH_SIZE, evaluation_batch_size
from emotion_utils.errors import InputError
from emotion_utils.evaluation.corruptions import occlude
from emotion_utils.evaluation.predict import device_of, predict_probs
from emotion_utils.evaluation.regions import RegionBox, region_shares
from emotion_utils.models.zoo import EmotionNet
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Batch, Dataset

MIN_CELLS = 6  # per side of the map; a coarser one cannot separate eyes from brows
DRAWS = 3  # randomised networks that each map is compared with
DECIMALS = 6
CELL_DECIMALS = 3  # of a map whose largest cell is 1


class Layer(NamedTuple):
    """Where a network's Grad-CAM is taken: a module's output, or its input."""

    name: str
    module: nn.Module
    at_input: bool


def choose_layer(net: EmotionNet) -> Layer:
    """The deepest layer whose map has MIN_CELLS a side; the shallowest one where none has.

    At 224 px that is the last convolution, as usual; of smaller images the last ones leave only a few cells.
    """
    names, at_input = net.architecture.saliency_layers, net.architecture.saliency_at_input
    names = names or [groups[-1] for groups in list(net.architecture.depth_groups.values())[-2::-1]]
    layers = [Layer(name, net.network.get_submodule(name), at_input) for name in names]
    sides = _measure_sides(net, layers)
    if not any(sides):
        raise InputError(f"{net.architecture.name}: none of {', '.join(names)} gives maps; name one in saliency_layers")
    deep_enough = [layer for layer, side in zip(layers, sides, strict=True) if side >= MIN_CELLS]
    return deep_enough[0] if deep_enough else layers[-1]


@torch.inference_mode()
def _measure_sides(net: EmotionNet, layers: list[Layer]) -> list[int]:
    """How many cells the map of each layer has a side; 0 where it is no map."""
    sides = dict.fromkeys((layer.module for layer in layers), 0)

    def measure(layer: Layer, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        maps = inputs[0] if layer.at_input else output
        sides[module] = maps.shape[-1] if maps.ndim == 4 else 0

    hooks = [layer.module.register_forward_hook(partial(measure, layer)) for layer in layers]
    size_px = net.input_spec.size_px
    net.eval()(torch.zeros(1, 3, size_px, size_px, device=device_of(net)))
    for hook in hooks:
        hook.remove()
    return [sides[layer.module] for layer in layers]


def gradcam(net: EmotionNet, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Grad-CAM (Selvaraju et al. 2017) of uint8 images (B, 3, H, W) for the classes `targets`, int64 (B,).

    Float (B, h, w) in the cells of `choose_layer`; negative where a cell speaks against the class.
    """
    layer, device = choose_layer(net), device_of(net)
    net.eval()
    maps = LayerGradCam(net, layer.module).attribute(
        to_unit(images.to(device)), target=targets.to(device), attribute_to_layer_input=layer.at_input
    )
    return maps.detach().squeeze(1).cpu()


def saliency_maps(net: EmotionNet, images: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """Where Grad-CAM speaks for the class: float64 (B, H, W), not negative, 1 at its highest or 0 all over."""
    cells = gradcam(net, images, targets).clamp(min=0).double().unsqueeze(1)
    largest = cells.amax(dim=(1, 2, 3), keepdim=True)
    # Rounded, as the last bit of a gradient is not the same in every process, and would show in a pixel or two.
    cells = (cells / largest.where(largest > 0, 1.0)).round(decimals=CELL_DECIMALS)
    maps = LayerAttribution.interpolate(cells, tuple(images.shape[2:]), interpolate_mode="bilinear")
    maps = maps.squeeze(1).numpy()
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def explain_faces(nets: Mapping[str, EmotionNet], faces: np.ndarray) -> dict[str, np.ndarray]:
    """Saliency of faces, uint8 (n, H, W, 3), for the class that each model predicts: float64 (n, H, W), 0-1."""
    if not len(faces):
        return {model: np.empty(faces.shape[:3]) for model in nets}
    images = torch.from_numpy(faces).permute(0, 3, 1, 2)
    return {model: saliency_maps(net, images, predict_classes(net, images)) for model, net in nets.items()}


def predict_classes(net: EmotionNet, images: torch.Tensor) -> torch.Tensor:
    """The predicted classes of uint8 images (B, 3, H, W): int64 (B,), equal to those in predictions.csv."""
    return torch.from_numpy(predict_probs(net, images).round(PROBABILITY_DECIMALS).argmax(axis=1))


def choose_images(dataset: Dataset, most: int) -> np.ndarray:
    """Positions, int (n,), of about `most` images, equally many per class: the first by id.

    Ids are checksums, so that is a random sample.
    """
    labels = dataset.labels.numpy()
    share = max(1, most // len(dataset.class_names))
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:share] for label in np.unique(labels)]))


def measure_saliency(
    nets: Mapping[str, EmotionNet], dataset: Dataset, positions: np.ndarray, regions: dict[str, RegionBox]
) -> pd.DataFrame:
    """How the saliency for each model's prediction is distributed over `regions`.

    Rows `model, id, label, predicted`, then a share (0-1) per region and `elsewhere`; 0 in all of them where nothing in
    the image speaks for the answer.
    """
    rows = []
    for model, net in nets.items():
        for batch in _batches(dataset, positions, EVALUATION_BATCH_SIZE):  # Grad-CAM keeps activations: no larger
            predicted = predict_classes(net, batch.images)
            shares = region_shares(saliency_maps(net, batch.images, predicted), regions)
            columns = {name: np.round(share, DECIMALS) for name, share in shares.items()}
            rows.append(_table(model, dataset, batch, predicted).assign(**columns))
    return pd.concat(rows, ignore_index=True)


def predict_occluded(
    nets: Mapping[str, EmotionNet], dataset: Dataset, positions: np.ndarray, regions: dict[str, RegionBox]
) -> pd.DataFrame:
    """Each model's predictions with one region occluded: rows `model, id, label, predicted, region`."""
    rows = []
    for model, net in nets.items():
        answers: dict[str, list[pd.DataFrame]] = {name: [] for name in regions}
        for batch in _batches(dataset, positions, evaluation_batch_size(device_of(net), dataset.size_px)):
            images = batch.images.to(device_of(net))  # once, for all regions
            for name, box in regions.items():
                predicted = predict_classes(net, occlude(images, *box.pixels(*images.shape[2:])))
                answers[name].append(_table(model, dataset, batch, predicted).assign(region=name))
        rows += [table for name in regions for table in answers[name]]
    return pd.concat(rows, ignore_index=True)


def compare_randomised(
    nets: Mapping[str, EmotionNet], dataset: Dataset, positions: np.ndarray, seed: int
) -> pd.DataFrame:
    """How much each model's saliency resembles that of networks whose weights are random, from the output downwards.

    Rows `model, step, group, id, correlation`: at each step one more depth group has been made random; `correlation`
    is Spearman's, of the cells of both maps before clipping, averaged over DRAWS networks. If a map did not
    change with the weights, it would tell nothing about them (Adebayo et al. 2018, cascading randomisation).
    """
    rows = []
    for model, net in nets.items():
        batch = dataset.batch(positions)
        predicted = predict_classes(net, batch.images)
        own = gradcam(net, batch.images, predicted)
        draws = [_cascade(net, seed + draw, batch.images, predicted, own) for draw in range(DRAWS)]
        for step, group in enumerate(reversed(net.depth_groups), start=1):
            mean = np.mean([draw[step - 1] for draw in draws], axis=0)
            values = {"model": model, "step": step, "group": group, "id": batch.ids}
            rows.append(pd.DataFrame({**values, "correlation": np.round(mean, DECIMALS)}))
    return pd.concat(rows, ignore_index=True)


def rank_correlations(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each pair of maps, (B, h, w) each: float64 (B,); 0 where one of them is constant."""
    ranks, theirs = (rankdata(each.reshape(len(each), -1), axis=1) for each in (maps, others))
    ranks, theirs = (each - each.mean(axis=1, keepdims=True) for each in (ranks, theirs))
    scale = np.sqrt((ranks**2).sum(axis=1) * (theirs**2).sum(axis=1))
    return np.divide((ranks * theirs).sum(axis=1), scale, out=np.zeros(len(ranks)), where=scale > 0)


def randomise(modules: list[nn.Module], seed: int) -> None:
    """Draws the weights of `modules` anew, as torch draws them for a new layer; the caller's random state stays.

    They are drawn on the CPU: another device would draw other ones from the same seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in modules:
            for part in module.modules():
                if hasattr(part, "reset_parameters"):
                    drawn = copy.deepcopy(part).cpu()
                    drawn.reset_parameters()
                    part.load_state_dict(drawn.state_dict())


def _cascade(
    net: EmotionNet, seed: int, images: torch.Tensor, targets: torch.Tensor, own: torch.Tensor
) -> list[np.ndarray]:
    """The correlations of each step, the first being the output alone."""
    other = copy.deepcopy(net)
    found = []
    for number, modules in enumerate(reversed(other.depth_groups.values())):
        randomise(modules, seed=1000 * seed + number)
        found.append(rank_correlations(own.numpy(), gradcam(other, images, targets).numpy()))
    return found


def _batches(dataset: Dataset, positions: np.ndarray, size: int) -> Iterator[Batch]:
    """The images at `positions` in equal batches of at most `size`."""
    return map(dataset.batch, np.array_split(positions, math.ceil(len(positions) / size)))


def _table(model: str, dataset: Dataset, batch: Batch, predicted: torch.Tensor) -> pd.DataFrame:
    names = np.asarray(dataset.class_names, dtype=object)
    said = {"label": names[batch.labels.numpy()], "predicted": names[predicted.numpy()]}
    return pd.DataFrame({"model": model, "id": batch.ids, **said})
