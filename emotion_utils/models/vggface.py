"""The VGG16 of VGGFace, its layers under their published names, with two heads to classify emotions."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from emotion_utils.models.input_spec import FULL_SIDE

# Simonyan and Zisserman 2015, configuration D; Parkhi, Vedaldi and Zisserman 2015 trained the same one on faces.
CONV_BLOCKS = {
    "conv1": (64, 64),
    "conv2": (128, 128),
    "conv3": (256, 256, 256),
    "conv4": (512, 512, 512),
    "conv5": (512, 512, 512),
}
FEATURES = 512  # channels of pool5
FC_WIDTH = 4096


def conv_names(block: str) -> list[str]:
    """conv3 -> conv3_1, conv3_2, conv3_3."""
    return [f"{block}_{index}" for index in range(1, len(CONV_BLOCKS[block]) + 1)]


class VggFace(nn.Module):
    """Normalised float images (B, 3, H, W) to logits (B, k).

    With `full_head` fc6 and fc7 are kept and fc8 is replaced, as in the study; pool5 must be 7 x 7 (224 px), so nothing
    is pooled adaptively: at 224 px that would be the identity, and its CUDA backward is not deterministic.
    Without, pool5 is averaged over the image, which fits any size from 32 px on.
    """

    def __init__(self, num_classes: int, *, dropout: float, full_head: bool = False) -> None:
        super().__init__()
        self.full_head = full_head
        channels = 3
        for block, widths in CONV_BLOCKS.items():
            for name, width in zip(conv_names(block), widths, strict=True):
                self.add_module(name, nn.Conv2d(channels, width, kernel_size=3, padding=1))
                channels = width
            self.add_module(f"pool{block[-1]}", nn.MaxPool2d(2))
        if full_head:
            self.fc6 = nn.Linear(FEATURES * FULL_SIDE**2, FC_WIDTH)
            self.fc7 = nn.Linear(FC_WIDTH, FC_WIDTH)
        else:
            # VGGFace was fed 0-255, so its features count in hundreds: the norm brings any trunk to the head's scale.
            self.norm = nn.LayerNorm(FEATURES)
        self.dropout = nn.Dropout(dropout)
        self.fc8 = nn.Linear(FC_WIDTH if full_head else FEATURES, num_classes)
        self.apply(_initialise)
        nn.init.normal_(self.fc8.weight, std=0.01)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.trunk(images)
        if self.full_head:
            features = functional.relu(self.fc6(features.flatten(1)))
            features = functional.relu(self.fc7(self.dropout(features)))
        else:
            features = self.norm(features.mean(dim=(2, 3)))
        return self.fc8(self.dropout(features))

    def trunk(self, images: torch.Tensor) -> torch.Tensor:
        """pool5: (B, 512, H // 32, W // 32), not negative."""
        for block in CONV_BLOCKS:
            for name in conv_names(block):
                images = functional.relu(getattr(self, name)(images))
            images = getattr(self, f"pool{block[-1]}")(images)
        return images


def _initialise(module: nn.Module) -> None:
    """He et al. 2015, by fan-in: sixteen layers without normalisation between them keep the scale of their input."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)
