"""Both networks start from each kind of weights, and learn: one step forward and backward of every layer."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision

from emotion_utils.config import resolve_config
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.network import make_network
from emotion_utils.models.reference import reference_images
from emotion_utils.models.weights.load import convert_weights, save_proxy
from emotion_utils.models.weights.registry import SOURCES
from emotion_utils.models.zoo import build_model, save_model
from emotion_utils.run import Run
from emotion_utils.training.schedule import phase_table
from emotion_utils.training.trainer import new_model

CLASSES = ("angry", "happy", "sad")
FC_SHAPES = {"fc6": (4096, 512, 7, 7), "fc7": (4096, 4096, 1, 1), "fc8": (11, 4096, 1, 1)}


@pytest.fixture
def weights_dir(tmp_path, monkeypatch):
    """The folder for machines without network."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("EMOTION_WEIGHTS_DIR", str(folder))
    return folder


def write_keras(path, arrays):
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in arrays.items():
            file[f"{name}/{name}/kernel:0"], file[f"{name}/{name}/bias:0"] = kernel, bias


def write_torch(path, arrays, fc_as_convolutions):
    tensors = {}
    for name, (kernel, bias) in arrays.items():
        turned = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        tensor = torch.from_numpy(np.ascontiguousarray(turned))
        tensors[f"{name}.weight"] = tensor.reshape(FC_SHAPES.get(name, tensor.shape)) if fc_as_convolutions else tensor
        tensors[f"{name}.bias"] = torch.from_numpy(bias)
    torch.save(tensors, path)


def write_torchvision(path, network, monkeypatch, name):
    """Random weights under the official name; they cannot have the published checksum, so it is not asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        torch.save(network().state_dict(), path / SOURCES[name].file_name)
    monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], sha256_prefix=None))


def assert_learns(net, size_px):
    """Logits and the gradient of every parameter are finite, and none of the gradients is nothing but zeros."""
    net.train()
    logits = net(reference_images(size_px))
    assert logits.shape == (2, 3)
    F.cross_entropy(logits, logits.argmin(dim=1)).backward()  # of a sure and right answer nothing is learned
    for name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def start(model, weights, size_px=64):
    return build_model(model, num_classes=3, image_size_px=size_px, weights=weights, dropout=0.2)


@pytest.mark.parametrize("model", ["VGG16_emotion", "r18_pre_emotion"])
def test_random_weights_proxies_and_earlier_runs(model, tmp_path):
    proxy = {"VGG16_emotion": "proxy_vgg16", "r18_pre_emotion": "proxy_resnet18"}[model]
    design = {"architecture": SOURCES[proxy].architecture, "num_classes": 5, "dropout": 0.0}
    save_proxy(make_network(design, IMAGENET.at(64), {}, seed=9), proxy, recipe={})
    for weights, kind in (("random", "random"), ("proxy", "proxy"), (proxy, "proxy")):
        net = start(model, weights)
        assert net.provenance["kind"] == kind
        assert_learns(net, 64)
    save_model(net, tmp_path / "fer" / "models" / model, CLASSES)
    again = start(model, tmp_path / "fer" / "models" / model)
    assert again.provenance["name"] == f"fer/{model}"
    assert "before that" in again.provenance["trained_on"]
    assert_learns(again, 64)


def test_imagenet_weights_of_torchvision(weights_dir, monkeypatch):
    write_torchvision(weights_dir, torchvision.models.resnet18, monkeypatch, "resnet18_imagenet")
    net = start("r18_pre_emotion", "official")
    assert net.provenance["sentence"].startswith("ResNet18, ImageNet-1k weights IMAGENET1K_V1, sha256 ")
    assert_learns(net, 64)


def test_vggface_of_keras_without_top_official_and_converted(weights_dir, trunk_arrays, tmp_path):
    path = weights_dir / "rcmalli_vggface_tf_notop_vgg16.h5"
    write_keras(path, trunk_arrays)
    official = start("VGG16_emotion", "official")
    assert official.provenance["name"] == "vggface_keras_notop"
    convert_weights(path, tmp_path / "vggface.safetensors")
    converted = start("VGG16_emotion", tmp_path / "vggface.safetensors")
    assert converted.provenance["kind"] == "file"
    for net in (official, converted):
        assert torch.equal(net.network.conv5_3.bias.detach(), torch.from_numpy(trunk_arrays["conv5_3"][1]))
        assert_learns(net, 64)


@pytest.mark.slow
@pytest.mark.parametrize("publisher", ["vggface_deepface", "vggface_oxford"])
def test_vggface_in_pytorch_gives_the_full_head_at_224_px(weights_dir, full_arrays, publisher):
    path = weights_dir / SOURCES[publisher].file_name
    write_torch(path, full_arrays, fc_as_convolutions=publisher == "vggface_deepface")
    net = start("VGG16_emotion", "official", size_px=224)
    path.unlink()  # half a gigabyte
    assert net.provenance["name"] == publisher
    assert list(net.depth_groups)[-3:] == ["fc6", "fc7", "head"]
    assert_learns(net, 224)


@pytest.mark.slow
def test_paper_profile_starts_from_the_files_in_the_folder(weights_dir, full_arrays, monkeypatch, tmp_path):
    """What notebooks 02 and 04 do first: the study's networks at 224 px, their weights and their phases."""
    write_keras(weights_dir / "rcmalli_vggface_tf_vgg16.h5", full_arrays)
    write_torchvision(weights_dir, torchvision.models.resnet18, monkeypatch, "resnet18_imagenet")
    run = Run.create(tmp_path / "run", resolve_config("paper", data=str(tmp_path)))
    run.write("audit", {"classes": list(CLASSES)})
    for model, source in (("VGG16_emotion", "vggface_keras"), ("r18_pre_emotion", "resnet18_imagenet")):
        net = new_model(run, model)
        assert net.provenance["name"] == source
        assert net.input_spec.as_dict()["size_px"] == 224
        assert len(phase_table(net.depth_groups, run.config.recipes[model], run.config.epochs))
        assert_learns(net, 224)
    (weights_dir / "rcmalli_vggface_tf_vgg16.h5").unlink()


def test_recipe_starts_one_model_elsewhere_than_the_run(tmp_path):
    """A ResNet18 that an earlier run trained, by one setting; the run's other models keep their weights."""
    earlier = tmp_path / "fer" / "models" / "r18_scratch_emotion"
    save_model(start("r18_scratch_emotion", "random", 32), earlier, CLASSES)
    config = resolve_config("smoke", [f"recipes.r18_pre_emotion.weights={earlier}"])
    assert config.weights_of("r18_pre_emotion") == str(earlier)
    assert config.weights_of("VGG16_emotion") == "proxy"
    run = Run.create(tmp_path / "run", config)
    run.write("audit", {"classes": list(CLASSES)})
    net = new_model(run, "r18_pre_emotion")
    assert net.provenance["name"] == "fer/r18_scratch_emotion"
    first = start("r18_scratch_emotion", "random", 32)
    assert torch.equal(net.network.layer4[1].conv2.weight, first.network.layer4[1].conv2.weight)
    assert "fer/r18_scratch_emotion, trained on angry, happy, sad" in net.provenance["sentence"]
