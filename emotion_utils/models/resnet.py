"""ResNet18 as published (He et al. 2016), its last layer replaced; also with the stem that they gave small images.

The standard stem halves the image twice before the first block, which at 48 px leaves 2 x 2 at the end. The small one
keeps all pixels and leaves 6 x 6, for 16 times the work; ImageNet weights do not fit it.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import ResNet, resnet18


def build_resnet18(num_classes: int, *, dropout: float) -> ResNet:
    """Normalised float images (B, 3, H, W) to logits (B, k); randomly initialised."""
    network = resnet18(weights=None)
    last = nn.Linear(network.fc.in_features, num_classes)
    nn.init.normal_(last.weight, std=0.01)
    nn.init.zeros_(last.bias)
    network.fc = nn.Sequential(nn.Dropout(dropout), last)
    return network


def build_small_stem(num_classes: int, *, dropout: float) -> ResNet:
    """The same with a first convolution of 3 x 3 and stride 1, and without pooling behind it."""
    network = build_resnet18(num_classes, dropout=dropout)
    network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's
    network.maxpool = nn.Identity()
    return network
