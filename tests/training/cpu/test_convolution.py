"""The quicker convolution computes what the library's does, and steps aside where it would not be quicker."""

import copy

import pytest
import torch
from torch import nn

from emotion_utils.models.zoo import build_model
from emotion_utils.training.cpu import convolution
from emotion_utils.training.cpu.convolution import Axis, SmallConv2d, replace_small_convs


@pytest.fixture(autouse=True)
def few_channels(monkeypatch):
    monkeypatch.setattr(convolution, "MIN_CHANNELS", 4)


def gradients(conv, images):
    """Output, and gradients for the images and each parameter that learns, of a sum with uneven weights."""
    images = images.clone().requires_grad_()
    output = conv(images)
    (output * torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view(output.shape)).sum().backward()
    return [output.detach(), images.grad, *(p.grad for p in conv.parameters() if p.requires_grad)]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (5, 4), (6, 6)])
@pytest.mark.parametrize(
    "kind", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 3, "padding": 1, "stride": 2}, {"kernel_size": 1},
             {"kernel_size": 1, "stride": 2}, {"kernel_size": 5, "padding": 3, "stride": 3},
             {"kernel_size": (1, 3), "padding": (0, 2), "stride": (1, 2), "bias": False}], ids=str,
)  # fmt: skip
def test_outputs_and_gradients_are_those_of_the_library_in_double_precision(kind, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 7, **kind).double()
    quick = copy.deepcopy(plain)
    replace_small_convs(quick)
    assert type(quick) is SmallConv2d
    images = torch.randn(3, 8, *size, dtype=torch.float64)
    for ours, theirs in zip(gradients(quick, images), gradients(plain, images), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_a_cell_meets_the_pixels_that_it_lies_on(padding, stride):
    axis = Axis(pixels=4, kernel=3, stride=stride, padding=padding)
    for cell in range(3):
        pairs = [(place * stride + cell - padding, place) for place in range(axis.outputs)]
        pairs = [(pixel, place) for pixel, place in pairs if 0 <= pixel < 4]
        met, places = (range(10)[part] for part in axis.meeting(cell))
        assert list(zip(met, places, strict=True)) == pairs


@pytest.mark.parametrize(
    ("conv", "size_px"),
    [
        (nn.Conv2d(8, 8, 3, padding=1), 7),  # a larger map
        (nn.Conv2d(8, 8, 3, groups=2), 4),
        (nn.Conv2d(8, 8, 3, padding=2, dilation=2), 4),
        (nn.Conv2d(3, 8, 3), 4),
        (nn.Conv2d(8, 3, 3), 4),
        (nn.Conv2d(8, 8, 3, padding=1).requires_grad_(False), 4),  # frozen
    ],
)
def test_what_does_not_gain_is_left_to_the_library(conv, size_px, monkeypatch):
    def refuse(*args):
        raise AssertionError("the matrix products were used")

    monkeypatch.setattr(convolution, "_meetings", refuse)
    replace_small_convs(conv)
    assert len(gradients(conv, torch.randn(2, conv.in_channels, size_px, size_px))) >= 2


def test_names_stay_and_a_frozen_input_gets_no_gradient():
    net = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    names, images = list(net.state_dict()), torch.randn(2, 8, 4, 4)
    replace_small_convs(net)
    net(images).sum().backward()
    assert list(net.state_dict()) == names
    assert images.grad is None


@pytest.mark.parametrize("model", ["VGG16_emotion", "r18_scratch_emotion"])
def test_every_gradient_is_laid_out_as_its_weight(model):
    """PyTorch's fused AdamW takes both as they lie in memory: laid out otherwise, the wrong weights would learn."""
    net = build_model(model, num_classes=3, image_size_px=48, weights="random")
    replace_small_convs(net)
    net(torch.randn(2, 3, 48, 48)).sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad.stride() == weight.stride() or weight.numel() == max(weight.shape), name


# -- in two bytes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (5, 4), (6, 6)])
@pytest.mark.parametrize(
    "kind", [{"kernel_size": 3, "padding": 1}, {"kernel_size": 3, "padding": 1, "stride": 2}, {"kernel_size": 1},
             {"kernel_size": 5, "padding": 3, "stride": 3},
             {"kernel_size": (1, 3), "padding": (0, 2), "stride": (1, 2), "bias": False}], ids=str,
)  # fmt: skip
def test_in_bfloat16_they_are_those_of_double_precision_up_to_its_rounding(kind, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 7, **kind).double()
    quick = copy.deepcopy(plain).float()
    replace_small_convs(quick)
    images = torch.randn(3, 8, *size)
    with torch.autocast("cpu", torch.bfloat16):
        ours = gradients(quick, images)
    assert ours[0].dtype == torch.bfloat16
    for result, exact in zip(ours, gradients(plain, images.double()), strict=True):
        distance = float((result.double() - exact).norm() / exact.norm())
        assert distance < 0.01  # a bfloat16 has 8 binary digits


def test_in_bfloat16_no_gradient_is_lost_to_a_type_or_layout():
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=48, weights="random")
    replace_small_convs(net)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.randn(2, 3, 48, 48))
    logits.float().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad.dtype == torch.float32, name
        assert weight.grad.shape == weight.shape, name
