"""The quicker convolution computes what the library's does, and steps aside where it would not be quicker."""

import copy

import pytest
import torch
from torch import nn

from emotion_utils.training import convolution
from emotion_utils.training.convolution import QuickConv2d, quicken_convolutions, unfold_patches


def gradients(conv, images):
    """Output, and gradients for the images and each parameter that learns, of a sum with uneven weights."""
    images = images.clone().requires_grad_()
    output = conv(images)
    (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)).sum().backward()
    return [output.detach(), images.grad, *(p.grad for p in conv.parameters() if p.requires_grad)]


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (5, 4), (6, 6)])
@pytest.mark.parametrize(
    "kind", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 3, "padding": 1, "stride": 2}, {"kernel_size": 1},
             {"kernel_size": (1, 3), "padding": (0, 2), "stride": (1, 2), "bias": False}], ids=str,
)  # fmt: skip
def test_outputs_and_gradients_are_those_of_the_library_in_double_precision(kind, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(64, 7, **kind).double()
    quick = copy.deepcopy(plain)
    quicken_convolutions(quick)
    assert type(quick) is QuickConv2d
    images = torch.randn(3, 64, *size, dtype=torch.float64)
    for ours, theirs in zip(gradients(quick, images), gradients(plain, images), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


def test_patches_are_what_the_kernel_sees():
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).view(2, 3, 4, 5)
    ours = unfold_patches(images, (3, 3), (2, 1), (1, 1)).view(2, 2 * 5, 9, 3)
    theirs = torch.nn.functional.unfold(images, 3, padding=1, stride=(2, 1)).view(2, 3, 9, 2 * 5)
    assert torch.equal(ours, theirs.permute(0, 3, 2, 1))


@pytest.mark.parametrize(
    ("conv", "size_px"),
    [
        (nn.Conv2d(64, 8, 3, padding=1), 7),  # a larger map
        (nn.Conv2d(64, 8, 3, groups=2), 4),
        (nn.Conv2d(64, 8, 3, padding=2, dilation=2), 4),
        (nn.Conv2d(3, 8, 3), 4),
        (nn.Conv2d(64, 8, 3, padding=1).requires_grad_(False), 4),  # frozen
    ],
)
def test_what_does_not_gain_is_left_to_the_library(conv, size_px, monkeypatch):
    def refuse(*args):
        raise AssertionError("the matrix product was used")

    monkeypatch.setattr(convolution, "unfold_patches", refuse)
    quicken_convolutions(conv)
    assert len(gradients(conv, torch.randn(2, conv.in_channels, size_px, size_px))) >= 2


def test_a_frozen_input_gets_no_gradient_and_names_stay():
    net = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())
    names = list(net.state_dict())
    quicken_convolutions(net)
    net(torch.randn(2, 64, 4, 4)).sum().backward()
    assert list(net.state_dict()) == names
    assert net[0].weight.grad.is_contiguous(memory_format=torch.channels_last)
