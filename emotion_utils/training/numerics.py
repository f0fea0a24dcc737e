"""Precision, memory layout and kernels of a network that trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from emotion_utils.recipe import Recipe

LOW = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Numerics:
    """`precision` is that of the layers; weights, losses and sums stay float32 or wider."""

    precision: str = "float32"
    channels_last: bool = False
    compiled: bool = False
    graphed: bool = False  # whole batches go through a CUDA graph

    @property
    def autocast(self) -> torch.dtype | None:
        """What the layers compute in, or None for float32."""
        return LOW.get(self.precision)

    @property
    def layout(self) -> torch.memory_format:
        """Of images and kernels in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def asked_for(recipe: Recipe, device: torch.device) -> Numerics:
    """What the recipe asks for. "auto" is not compiled, and float32 except on a CPU with AMX, where it is bfloat16.

    The processor decides that, not the clock: the same training on the same machine gives the same bits.
    """
    precision = recipe.precision
    if precision == "auto":
        precision = "bfloat16" if device.type == "cpu" and has_amx() else "float32"
    return Numerics(precision, compiled=recipe.compile == "always")


def has_amx() -> bool:
    """Whether this processor has AMX, which multiplies bfloat16 about six times as fast as float32."""
    return torch.cpu._is_amx_tile_supported()  # the public get_capabilities is newer than the oldest torch we support
