"""ResNet18 as published (He et al. 2016), its last layer replaced.

The standard stem halves the image twice before the first block. At 48 px that leaves 2 x 2 at the end; a stem for small
images would see more, but the ImageNet weights would no longer fit, and the study compares the standard network.
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
