"""A network for small devices and small images: 286 thousand parameters, 37 million multiplications at 48 px.

The first blocks keep all pixels of a small face. They have few channels, where an ordinary convolution costs a
processor less than a depthwise one; the later blocks are depthwise separable (Chollet 2017, Xception).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from emotion_utils.models.initial import initialise

STEM_CHANNELS = 16
# Of each stage: whether its convolutions are separable, its channels, its blocks. The first block halves the side.
STAGES = ((False, 32, 2), (True, 96, 4), (True, 160, 3))


class Block(nn.Module):
    """Two convolutions of 3 x 3, each with its BatchNorm; their input is added."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, separable: bool) -> None:
        super().__init__()
        kind = separable_convolution if separable else convolution
        self.first = nn.Sequential(*kind(inputs, outputs, stride=stride), nn.ReLU(inplace=True))
        self.second = nn.Sequential(*kind(outputs, outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Sequential(*([] if same else convolution(inputs, outputs, stride=stride, kernel=1)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float (B, inputs, H, W) to (B, outputs, H', W')."""
        return torch.relu(self.shortcut(images) + self.second(self.first(images)))


def convolution(
    inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3, groups: int = 1
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """A convolution without bias, padded to keep the side where its stride is 1, and its BatchNorm."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(outputs)


def separable_convolution(inputs: int, outputs: int, *, stride: int = 1) -> tuple[nn.Module, ...]:
    """One filter of 3 x 3 for each channel, then a mixture of the channels; no activation in between."""
    return *convolution(inputs, inputs, stride=stride, groups=inputs), *convolution(inputs, outputs, kernel=1)


def build_tiny(num_classes: int, *, dropout: float) -> nn.Sequential:
    """Normalised float images (B, 3, H, W) to logits (B, k); randomly initialised."""
    stem = nn.Sequential(*convolution(3, STEM_CHANNELS), nn.ReLU(inplace=True))
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
    inputs = STEM_CHANNELS
    for number, (separable, channels, blocks) in enumerate(STAGES, start=1):
        first = Block(inputs, channels, stride=2, separable=separable)
        others = (Block(channels, channels, stride=1, separable=separable) for _ in range(blocks - 1))
        layers[f"stage{number}"] = nn.Sequential(first, *others)
        inputs = channels
    layers["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    layers["fc"] = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, num_classes))
    network = nn.Sequential(layers)
    initialise(network)
    return network
