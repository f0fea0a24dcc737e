"""Convolutions on a processor: a layout that suits it, and the gradient of small maps as a matrix product.

Measured on two cores with AVX2 (ResNet18, batch of 32): the library's gradient for the weights of a 3 x 3 convolution
runs at 8 to 28 GFLOP/s per core where the map is 2 or 3 pixels wide, the same numbers as one matrix product at 77.
Small faces spend most of a step there. Forward pass and gradient for the input stay the library's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

SMALL_PX = 6  # output maps up to this side; above it the library is as quick
MIN_CHANNELS = 64  # with fewer there is little to gain


def quicken_convolutions(net: nn.Module) -> None:
    """Lets the convolutions of `net`, which trains on a processor, take the quicker way; same weights, same names.

    Weights are laid out channels last. What the network computes stays the same up to rounding.
    """
    net.to(memory_format=torch.channels_last)
    for module in net.modules():
        if type(module) is nn.Conv2d and _is_plain(module):
            module.__class__ = QuickConv2d  # it has no state of its own: weights, hooks and names stay where they are


def _is_plain(conv: nn.Conv2d) -> bool:
    simple = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    return simple and not isinstance(conv.padding, str) and conv.in_channels >= MIN_CHANNELS


class QuickConv2d(nn.Conv2d):
    """A plain convolution whose weights learn by a matrix product where the map is small."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float (B, C, H, W) to (B, D, H', W')."""
        learns = self.weight.requires_grad and torch.is_grad_enabled()
        special = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or images.device.type != "cpu"
        if not learns or special or -(-images.shape[-1] // self.stride[-1]) > SMALL_PX:
            return super().forward(images)
        result = _SmallMapConvolution.apply(images, self.weight, self.stride, self.padding)
        return result if self.bias is None else result + self.bias[:, None, None]


class _SmallMapConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, weight, stride, padding):
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, stride=stride, padding=padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        images, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        by_pixel = gradient.permute(0, 2, 3, 1).flatten(0, 2)  # (B H' W', D)
        patches = unfold_patches(images, weight.shape[2:], ctx.stride, ctx.padding)
        for_weight = (by_pixel.t() @ patches).view(len(weight), *weight.shape[2:], -1).permute(0, 3, 1, 2)
        for_images = None
        if ctx.needs_input_grad[0]:
            for_images = torch.ops.aten.convolution_backward(
                gradient, images, weight, None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1, (True, False, False)
            )[0]
        return for_images, for_weight, None, None


def unfold_patches(
    images: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> torch.Tensor:
    """What the kernel sees at each place: (B, C, H, W) to (B H' W', kh kw C), by rows."""
    rows = F.pad(images.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0])).contiguous()
    (count, height, width, channels), (by_image, by_row, by_column, _) = rows.shape, rows.stride()
    places = [(side - size) // step + 1 for side, size, step in zip((height, width), kernel, stride, strict=True)]
    shape = (count, *places, *kernel, channels)
    windows = rows.as_strided(shape, (by_image, by_row * stride[0], by_column * stride[1], by_row, by_column, 1))
    return windows.reshape(count * places[0] * places[1], -1)
