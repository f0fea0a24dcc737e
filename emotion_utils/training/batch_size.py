"""The batch size, where the settings leave it to the machine."""

from __future__ import annotations

import copy
from itertools import takewhile

import torch
from torch import nn

from emotion_utils.config import RunConfig
from emotion_utils.store.batches import Dataset
from emotion_utils.training.distributed import Team

REFERENCE = 32  # images; the recipes' rates belong to it, and a CPU uses it
CHOICES = (32, 64, 128, 256)  # larger ones train no faster on the GPUs of today, and learn less in few epochs
MIN_STEPS = 40  # in an epoch: with fewer steps a training of few epochs is too short
COPIES = 9  # of the weights: they, gradients, two moments, averages, the best epoch, and the state to roll back to
MEMORY_SHARE = 0.6  # of what is free: libraries need memory, too


def choose_batch_size(config: RunConfig, net: nn.Module, train_set: Dataset, team: Team) -> int:
    """The size of the global batch: the setting, or for "auto" what keeps a GPU busy and fits its memory.

    "auto" on a CPU is REFERENCE. Each process of a team takes its share of the global batch.
    """
    if config.batch_size != "auto":
        return config.batch_size
    if team.device.type != "cuda":
        return REFERENCE
    each = activation_bytes(net, config.image_size_px)
    weights = COPIES * sum(parameter.nbytes for parameter in net.parameters())
    free = team.least(torch.cuda.mem_get_info(team.device)[0]) * MEMORY_SHARE - weights  # one size for all
    return fit_batch_size(len(train_set), each, free * team.size)


def fit_batch_size(images: int, bytes_each: float, free_bytes: float) -> int:
    """The largest of CHOICES with MIN_STEPS steps in an epoch of `images` that fits the memory; at least REFERENCE."""
    fitting = takewhile(lambda size: size * MIN_STEPS <= images and size * bytes_each <= free_bytes, CHOICES)
    return max(fitting, default=REFERENCE)


def activation_bytes(net: nn.Module, size_px: int) -> float:
    """Bytes that `net` keeps of one image between forward and backward pass, in float32. Computes nothing.

    The preflight counts again, in real steps: it knows the batch, the numerics and the layers that learn, and finds
    equal storages by their address, which what computes nothing does not have.
    """
    twin = copy.deepcopy(net).to("meta").train()
    parameters = {id(parameter) for parameter in twin.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in parameters:
            kept[id(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        twin(torch.empty(2, 3, size_px, size_px, device="meta"))
    return sum(tensor.nbytes for tensor in kept.values()) / 2
