"""PyTorch files of others are recognised, turned rightly, and never run."""

import argparse
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

from emotion_utils.errors import InputError
from emotion_utils.models.reference import reference_images
from emotion_utils.models.weights.conversion import CHECKED_LAYERS, TOLERANCE, compare, network_activations, to_state
from emotion_utils.models.weights.load import load_weights
from emotion_utils.models.weights.pytorch import find_network, read_stored, read_vggface, rename_torchvision
from emotion_utils.models.zoo import build_model

MEAN_RGB = torch.tensor([129.1863, 104.7624, 93.5940]).view(1, 3, 1, 1)
POOLED_AFTER = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")


class RunsCode:
    """A pickle of this makes a folder when it is loaded without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def as_tensors(arrays):
    """Convolutions (out, in, height, width), fully connected layers (out, in), as PyTorch stores them."""
    tensors = {}
    for name, (kernel, bias) in arrays.items():
        turned = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
        tensors[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(turned))
        tensors[f"{name}.bias"] = torch.from_numpy(bias)
    return tensors


def answer_fc6(tensors, images):
    """fc6 of a VGGFace straight from its tensors and the functional operators; images 0-255 minus the mean."""
    for name in (key.removesuffix(".weight") for key in tensors if key.startswith("conv") and key.endswith("weight")):
        images = F.relu(F.conv2d(images, tensors[f"{name}.weight"], tensors[f"{name}.bias"], padding=1))
        images = F.max_pool2d(images, 2) if name in POOLED_AFTER else images
    if tensors["fc6.weight"].ndim == 4:
        return F.relu(F.conv2d(images, tensors["fc6.weight"], tensors["fc6.bias"])).flatten()
    return F.relu(F.linear(images.flatten(1), tensors["fc6.weight"], tensors["fc6.bias"])).flatten()


@pytest.mark.slow
@pytest.mark.parametrize("publisher", ["deepface", "oxford"])
def test_vggface_in_pytorch_answers_as_its_publisher_documents(full_arrays, tmp_path, publisher):
    tensors, image = as_tensors(full_arrays), reference_images(224)[1:]
    fed = image * 255 - MEAN_RGB
    if publisher == "deepface":  # fc layers are convolutions; the input is BGR
        for name, shape in {"fc6": (4096, 512, 7, 7), "fc7": (4096, 4096, 1, 1), "fc8": (11, 4096, 1, 1)}.items():
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"].reshape(shape)
        fed = fed.flip(1)
    expected = answer_fc6(tensors, fed).numpy()
    source = read_vggface(tensors, tmp_path)
    state = to_state(source)
    found = network_activations(state, image)["fc6"]
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()
    assert tuple(compare(source, state)) == CHECKED_LAYERS


def test_vggface_without_fc6_is_refused_because_its_publisher_is_unknown(trunk_arrays, tmp_path):
    with pytest.raises(InputError, match="fc6 is missing"):
        read_vggface(as_tensors(trunk_arrays), tmp_path)


def test_torchvision_vgg16_keeps_its_answers(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        features = torchvision.models.vgg16(init_weights=False).features.eval()
    tensors = {f"features.{key}": value for key, value in features.state_dict().items()}
    assert find_network(tensors, tmp_path).name == "vgg16"
    image = reference_images(64)[1:]
    with torch.inference_mode():
        expected = features(image * 255 - MEAN_RGB)[0].permute(1, 2, 0).numpy()
    found = network_activations(rename_torchvision(tensors), image)["pool5"]
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("zipped", [True, False])  # published files of before 2020 are not zip archives
def test_torchvision_resnet18_is_recognised(tmp_path, zipped):
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, tmp_path / "resnet18.pth", _use_new_zipfile_serialization=zipped)
    loaded = load_weights(tmp_path / "resnet18.pth")
    assert loaded.architecture == "resnet18"
    assert torch.equal(loaded.state["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


def test_another_network_is_refused_with_its_keys(tmp_path):
    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "other.pth")
    with pytest.raises(
        InputError, match=r"expected ResNet18, VGG16, VGGFace or EfficientNet-Lite0.*features\.3\.squeeze"
    ):
        load_weights(tmp_path / "other.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_pickle_that_would_run_code_is_refused_and_not_run(tmp_path, zipped):
    path, trap = tmp_path / "weights.pth", tmp_path / "trap"
    torch.save({"conv1.weight": RunsCode(trap)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"weights\.pth: refused"):
        load_weights(path)
    assert not trap.exists()


def test_plain_pickle_that_would_run_code_is_refused_and_not_run(tmp_path):
    path, trap = tmp_path / "weights.pth", tmp_path / "trap"
    path.write_bytes(pickle.dumps(RunsCode(trap), protocol=2))
    with pytest.raises(InputError, match=r"refused|a damaged"):
        load_weights(path)
    assert not trap.exists()


def test_whole_pickled_module_is_refused(tmp_path):
    torch.save(torchvision.models.resnet18(), tmp_path / "model.pth")
    with pytest.raises(InputError, match="refused"):
        load_weights(tmp_path / "model.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_file_is_refused(tmp_path, zipped):
    path = tmp_path / "resnet18.pth"
    torch.save({"conv1.weight": torch.ones(9999)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(InputError, match=r"resnet18\.pth: (a damaged PyTorch file|refused)"):
        load_weights(path)


@pytest.mark.parametrize("content", [[torch.ones(3)], {"epoch": 3}, {}, {"optimizer": {"state": {0: torch.ones(3)}}}])
def test_anything_but_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="expected a state dict of tensors"):
        load_weights(tmp_path / "weights.pth")


@pytest.fixture(scope="module")
def resnet_state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return torchvision.models.resnet18(num_classes=7).state_dict()


WRAPPINGS = {
    "state_dict, prefix module.": lambda state: {"state_dict": {f"module.{k}": state[k] for k in state}, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}, "acc": 0.8},
    "state, net": lambda state: {"state": {"net": state}},
    "prefix backbone.": lambda state: {f"backbone.{k}": v for k, v in state.items()} | {"neck.weight": torch.ones(2)},
    "model": lambda state: {
        "model": {key.replace("fc.", "linear."): value for key, value in state.items()},
        "best": np.float64(0.87), "confusion": np.eye(3), "when": np.int32(4), "args": argparse.Namespace(lr=0.1),
    },
    "weights": lambda state: {"weights": {key: value.numpy() for key, value in state.items()}},
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrapped_resnet18_is_unwrapped_and_the_wrapping_named(tmp_path, resnet_state, wrapping):
    torch.save(WRAPPINGS[wrapping](resnet_state), tmp_path / "faces.pth")
    net = build_model("r18_pre_emotion", num_classes=3, image_size_px=48, weights=tmp_path / "faces.pth")
    assert f"weights of faces.pth ({wrapping})" in net.provenance["sentence"]
    body = net.body_state()
    assert all(torch.equal(body[key], value) for key, value in resnet_state.items() if key in body)
    assert "layer4.1.bn2.running_var" in body


def test_prefix_in_safetensors_is_taken_off(tmp_path, resnet_state):
    save_file({f"encoder.{key}": value for key, value in resnet_state.items()}, tmp_path / "faces.safetensors")
    assert load_weights(tmp_path / "faces.safetensors").title.endswith("faces.safetensors (prefix encoder.)")


def test_which_of_two_networks_is_meant_is_not_guessed(tmp_path, resnet_state):
    torch.save({"model": resnet_state, "model_ema": resnet_state}, tmp_path / "two.pth")
    with pytest.raises(InputError, match=r"holds 2 networks \(model and model_ema\); save the one that is meant"):
        load_weights(tmp_path / "two.pth")


def test_refused_class_is_named_without_the_colours_of_torch(tmp_path):
    torch.save({"conv1.weight": torch.ones(3), "log": RunsCode(tmp_path / "trap")}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"holds a \w+\.mkdir, not tensors alone") as caught:
        read_stored(tmp_path / "weights.pth")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_newer_pickles_are_named_with_how_to_save_instead(tmp_path, protocol):
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"conv1.weight": [1.0]}, protocol=protocol))
    with pytest.raises(InputError, match=rf"a Python pickle of protocol {protocol}.*state_dict\(\)"):
        load_weights(tmp_path / "plain.pth")
    torch.save({"conv1.weight": torch.ones(3)}, tmp_path / "inside.pth", pickle_protocol=max(protocol, 4))
    with pytest.raises(InputError, match=r"refused: its pickle is of a newer protocol.*state_dict\(\)"):
        load_weights(tmp_path / "inside.pth")


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_named_with_how_to_save_instead(tmp_path):
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "traced.pt")
    with pytest.raises(InputError, match=r"a TorchScript archive.*torch\.jit\.load\('traced\.pt'\)\.state_dict"):
        load_weights(tmp_path / "traced.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x93NUMPY\x01\x00", "a NumPy array"),
        (b"\x1f\x8b\x08\x00", "a gzip archive; unpack it first"),
        (b"MATLAB 5.0 MAT-file, Platform", "a MATLAB file"),
        (b"\x20\x00\x00\x00TFL3", "a TensorFlow Lite model"),
        (b'{"class_name": "Sequential"}', "a JSON text"),
    ],
)
def test_other_formats_are_named(tmp_path, content, message):
    (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(InputError, match=f"found {message}"):
        load_weights(tmp_path / "weights.bin")


def test_zip_of_other_things_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        archive.writestr("resnet18.pth", b"")
    with pytest.raises(InputError, match=r"a zip archive of resnet18\.pth; unpack it"):
        load_weights(tmp_path / "weights.zip")


def test_third_block_of_the_last_stage_is_left_out_and_named(tmp_path, resnet_state):
    more = {key.replace("layer4.1", "layer4.2"): value for key, value in resnet_state.items() if "layer4.1" in key}
    torch.save({**resnet_state, **more}, tmp_path / "cntk.pth")
    found = load_weights(tmp_path / "cntk.pth")
    assert found.state.keys() == resnet_state.keys()
    assert "without its third block of layer4" in found.title
    net = build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=tmp_path / "cntk.pth")
    assert "without its third block" in net.provenance["sentence"]


def test_resnet34_is_not_cut_down_to_a_resnet18(tmp_path):
    torch.save(torchvision.models.resnet34().state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(InputError, match="weights of another network"):
        build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=tmp_path / "resnet34.pth")
