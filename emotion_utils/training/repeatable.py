"""What makes a training repeatable: deterministic algorithms, and random numbers that depend on seed, epoch and sample
id alone, so that batch size, number of processes and resuming do not change them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from scipy.special import betaincinv
from torch import nn

from emotion_utils.counter_rng import FIRST, GOLDEN, SECOND, draw_uniform, scramble
from emotion_utils.devices import REPEATABLE_CUBLAS, upload

MIXUP, DROPOUT = 1, 2  # uses of a sample's key: each draws its own numbers


@contextmanager
def deterministic() -> Iterator[None]:
    """Only algorithms that give the same bits each time; PyTorch's costly filling of fresh memory stays off."""
    os.environ.setdefault(*REPEATABLE_CUBLAS)
    mode, fills = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fills


class KeyedDropout(nn.Module):
    """Dropout with masks that follow from each sample's key; `set_keys` must be called before each training pass.

    An ordinary mask is drawn for the batch as a whole: it would change when memory forces micro-batches. The numbers
    are those of counter_rng.
    """

    def __init__(self, rate: float, layer: int) -> None:
        super().__init__()
        self.rate = rate
        self._layer, self._keys = layer, torch.empty(0, dtype=torch.int64)
        self._least = math.ceil(rate * 2**53)  # of 53 random bits, for a feature to be kept

    def set_keys(self, keys: torch.Tensor) -> None:
        """keys: int64 (B,), the bits of uint64 ones; the mask is drawn on their device."""
        self._keys = _mix(keys, self._layer)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, ...) to the same shape; what is kept is scaled by 1 / (1 - rate)."""
        if not self.training or self.rate == 0:
            return features
        steps = torch.arange(1, features[0].numel() + 1, device=self._keys.device) * _signed(GOLDEN)
        kept = _shift(_scramble(self._keys[:, None] + steps), 11) >= self._least
        self._keys = _mix(self._keys, 0)  # for a second call in the same pass
        return features * kept.view_as(features).to(features) / (1 - self.rate)


def _mix(keys: torch.Tensor, number: int) -> torch.Tensor:
    """The same as counter_rng.mix_keys, in int64, as torch hardly supports uint64."""
    return _scramble(keys ^ _signed(scramble(np.atleast_1d(np.uint64(number)))[0]))


def _scramble(x: torch.Tensor) -> torch.Tensor:
    """The same bits as counter_rng.scramble."""
    x = x + _signed(GOLDEN)
    x = (x ^ _shift(x, 30)) * _signed(FIRST)
    x = (x ^ _shift(x, 27)) * _signed(SECOND)
    return x ^ _shift(x, 31)


def _shift(x: torch.Tensor, places: int) -> torch.Tensor:
    """A logical shift to the right: torch's own repeats the sign bit."""
    return (x >> places) & ((1 << (64 - places)) - 1)


def _signed(number: np.uint64) -> int:
    """The number of type int64 that has the same bits."""
    return int(number.astype(np.int64))


def key_dropouts(net: nn.Module) -> list[KeyedDropout]:
    """Replaces every nn.Dropout inside `net`; returns what replaced them, from input to output."""
    places = [
        (parent, name)
        for parent in net.modules()
        for name, child in parent._modules.items()  # named_children leaves out a second name of one layer
        if isinstance(child, nn.Dropout)
    ]
    for layer, (parent, name) in enumerate(places):
        setattr(parent, name, KeyedDropout(getattr(parent, name).p, layer))
    return [getattr(parent, name) for parent, name in places]


def mix_pairs(
    inputs: torch.Tensor, targets: torch.Tensor, keys: np.ndarray, alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixup (Zhang et al. 2018) of neighbours 2j and 2j + 1: inputs (B, 3, H, W) and targets (B, k), both float.

    Each keeps the larger part of itself; a last one without a neighbour stays as it is.
    """
    partner = upload(np.minimum(np.arange(len(keys)) ^ 1, len(keys) - 1), inputs.device)
    share = betaincinv(alpha, alpha, draw_uniform(keys, 1)[:, 0])
    own = upload(np.maximum(share, 1 - share).astype(np.float32), inputs.device).to(inputs.dtype)
    mixed = torch.lerp(inputs[partner], inputs, own[:, None, None, None])
    return mixed, torch.lerp(targets[partner], targets, own[:, None])
