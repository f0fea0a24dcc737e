"""Random weights to start from."""

from __future__ import annotations

from torch import nn


def initialise(network: nn.Module) -> None:
    """Random weights: each convolution keeps the variance of what it is given, and the last layer begins near zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.out_channels * layer.kernel_size[0] * layer.kernel_size[1] / layer.groups
            nn.init.normal_(layer.weight, std=(2 / fan_out) ** 0.5)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
