"""What makes a training repeatable: algorithms that give the same bits each time, and chance that hangs on seed, epoch
and sample id alone, so that batch size, processes and resuming change none of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from scipy.special import betaincinv
from torch import nn

from emotion_utils.data.keys import draw_uniform, id_keys, mix_keys

MIXUP, DROPOUT = 1, 2  # uses: each draws its own numbers


@contextmanager
def deterministic() -> Iterator[None]:
    """Only algorithms that give the same bits each time; without the costly filling of fresh memory."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    mode, fills = torch.get_deterministic_debug_mode(), torch.utils.deterministic.fill_uninitialized_memory
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = fills


def sample_keys(ids: Sequence[str], use: int, seed: int, epoch: int) -> np.ndarray:
    """uint64 (N,): a key for each sample in this epoch."""
    return mix_keys(id_keys(ids), use, seed, epoch)


class KeyedDropout(nn.Module):
    """Dropout with masks that follow from each sample's key; `set_keys` must be called before each training pass.

    An ordinary mask is drawn for the batch as a whole: it would change when memory forces smaller portions.
    """

    def __init__(self, rate: float, layer: int) -> None:
        super().__init__()
        self.rate = rate
        self._layer, self._keys = layer, np.empty(0, np.uint64)

    def set_keys(self, keys: np.ndarray) -> None:
        """keys: uint64 (B,)."""
        self._keys = mix_keys(keys, self._layer)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, F) to the same shape; what is kept is scaled by 1 / (1 - rate)."""
        if not self.training or self.rate == 0:
            return features
        kept = draw_uniform(self._keys, features.shape[1]) >= self.rate
        self._keys = mix_keys(self._keys, 0)  # a network may pass here twice
        return features * torch.from_numpy(kept).to(features) / (1 - self.rate)


def key_dropouts(net: nn.Module) -> list[KeyedDropout]:
    """Replaces every nn.Dropout inside `net`; returns what replaced them, from input to output."""
    places = [
        (parent, name)
        for parent in net.modules()
        for name, child in parent.named_children()
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
    partner = torch.arange(len(keys), device=inputs.device) ^ 1
    partner[partner == len(keys)] = len(keys) - 1
    share = betaincinv(alpha, alpha, draw_uniform(keys, 1)[:, 0])
    own = torch.from_numpy(np.maximum(share, 1 - share)).to(inputs)
    mixed = torch.lerp(inputs[partner], inputs, own[:, None, None, None])
    return mixed, torch.lerp(targets[partner], targets, own[:, None])
