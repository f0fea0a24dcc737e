"""EfficientNet-Lite0: inverted residual blocks without squeeze-and-excitation, ReLU6 in place of swish.

Tan and Le 2019 for the blocks (EfficientNet-B0), Google's "lite" variant of 2020 for what a small processor is spared.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from emotion_utils.models.initial import initialise

# Of each stage: side of the depthwise kernel, stride of its first block, expansion, output channels, blocks.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
STEM_CHANNELS, TOP_CHANNELS = 32, 1280
NORM_EPS = 1e-3  # as the published weights were trained


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: with stride 2, an even side gets more zeros behind than before."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float (B, C, H, W) to (B, D, ceil(H / stride), ceil(W / stride))."""
        rows, columns = (_zeros(*axis) for axis in zip(images.shape[2:], self.kernel_size, self.stride, strict=True))
        if rows[0] == rows[1] and columns[0] == columns[1]:  # the library pads without a copy
            return F.conv2d(images, self.weight, self.bias, self.stride, (rows[0], columns[0]), groups=self.groups)
        return F.conv2d(F.pad(images, (*columns, *rows)), self.weight, self.bias, self.stride, groups=self.groups)


def _zeros(pixels: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros TensorFlow puts before and behind the pixels of an axis."""
    total = max((-(-pixels // stride) - 1) * stride + kernel - pixels, 0)
    return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """Pointwise to more channels, depthwise, pointwise back; the input is added where shapes allow."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = convolution(inputs, wide, 1) if expansion > 1 else nn.Sequential()
        self.depthwise = convolution(wide, wide, kernel, stride=stride, groups=wide)
        self.project = convolution(wide, outputs, 1, activation=False)
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float (B, inputs, H, W) to (B, outputs, H', W')."""
        changes = self.project(self.depthwise(self.expand(images)))
        return images + changes if self.is_residual else changes


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, activation: bool = True
) -> nn.Sequential:
    """A convolution without bias, its BatchNorm, and ReLU6 if `activation`."""
    conv = nn.Conv2d if stride == 1 else SameConv2d
    padding = kernel // 2 if stride == 1 else 0
    layers = [
        conv(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=NORM_EPS),
    ]
    return nn.Sequential(*layers, *([nn.ReLU6(inplace=True)] if activation else []))


def build_lite0(num_classes: int, *, dropout: float) -> nn.Sequential:
    """Normalised float images (B, 3, H, W) to logits (B, k); randomly initialised."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(stem=convolution(3, STEM_CHANNELS, 3, stride=2))
    inputs = STEM_CHANNELS
    for number, (kernel, stride, expansion, outputs, blocks) in enumerate(STAGES, start=1):
        shape = {"kernel": kernel, "expansion": expansion}
        first = InvertedResidual(inputs, outputs, stride=stride, **shape)
        others = (InvertedResidual(outputs, outputs, stride=1, **shape) for _ in range(blocks - 1))
        layers[f"stage{number}"] = nn.Sequential(first, *others)
        inputs = outputs
    layers["top"] = convolution(inputs, TOP_CHANNELS, 1)
    layers["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    layers["fc"] = nn.Sequential(nn.Dropout(dropout), nn.Linear(TOP_CHANNELS, num_classes))
    network = nn.Sequential(layers)
    initialise(network)
    return network
