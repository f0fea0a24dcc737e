"""In which numbers a network computes and by which kernels."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from emotion_utils.config import Recipe

LOW = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Numerics:
    """`precision`: of the layers; weights, losses and everything that is summed up stay float32."""

    precision: str = "float32"
    channels_last: bool = False
    compiled: bool = False

    @property
    def autocast(self) -> torch.dtype | None:
        """What the layers compute in, or None for float32."""
        return LOW.get(self.precision)

    @property
    def layout(self) -> torch.memory_format:
        """Of images and kernels in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def asked_for(recipe: Recipe) -> Numerics:
    """What the recipe asks for; what it leaves open is float32, not compiled."""
    precision = "float32" if recipe.precision == "auto" else recipe.precision
    return Numerics(precision, compiled=recipe.compile == "always")
