"""Where weights are looked for, and that a file which is not what it was is never used."""

import errno
import hashlib
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import save_file

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.network import make_network
from emotion_utils.models.weights import load as weights
from emotion_utils.models.weights.cache import find_weights, proxy_path, read_record, weights_dir
from emotion_utils.models.weights.file_kind import file_kind
from emotion_utils.models.weights.listing import list_weights
from emotion_utils.models.weights.load import (
    convert_weights,
    load_registered,
    load_weights,
    read_proxy_recipe,
    save_proxy,
)
from emotion_utils.models.weights.registry import PROXIES, SOURCES

TORCHVISION_NAMES = {
    "resnet18_imagenet": torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
    "vgg16_imagenet": torchvision.models.VGG16_Weights.IMAGENET1K_V1,
}


@pytest.fixture
def resnet():
    return make_network({"architecture": "resnet18", "num_classes": 3, "dropout": 0.0}, IMAGENET.at(32), {}, seed=1)


@pytest.fixture
def notop_file(trunk_arrays):
    """The VGGFace trunk under the name of its source, in the cache."""
    path = weights_dir() / SOURCES["vggface_keras_notop"].file_name
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in trunk_arrays.items():
            file[f"{name}/{name}/kernel:0"], file[f"{name}/{name}/bias:0"] = kernel, bias
    return path


@pytest.mark.parametrize("header_bytes", [0x2A80, 0x0280, 0x4B50])  # as a pickle and a zip archive begin
def test_safetensors_are_known_whatever_the_length_of_their_header(tmp_path, header_bytes):
    path, tensors = tmp_path / "weights.safetensors", {"conv1.weight": torch.ones(2)}
    save_file(tensors, path)
    header = json.dumps(json.loads(path.read_bytes()[8:].partition(b"}}")[0] + b"}}")).encode().ljust(header_bytes)
    path.write_bytes(header_bytes.to_bytes(8, "little") + header + path.read_bytes()[-8:])
    assert torch.equal(weights.read_safetensors(path)[1]["conv1.weight"], torch.ones(2))
    assert file_kind(path) == "safetensors"


@pytest.mark.parametrize("name", TORCHVISION_NAMES)
def test_registry_agrees_with_torchvision(name):
    """Address, checksum, size, mean and std as torchvision itself declares them."""
    source, declared = SOURCES[name], TORCHVISION_NAMES[name]
    assert source.addresses == (declared.url,)
    assert source.sha256_prefix == declared.url.rpartition("-")[2].removesuffix(".pth")
    assert source.size_mb == pytest.approx(declared.meta["_file_size"] * 2**20 / 1e6, abs=0.1)
    assert list(source.normalisation.mean) == declared.transforms().mean
    assert list(source.normalisation.std) == declared.transforms().std


def test_list_tells_everything_of_every_source():
    rows = list_weights()
    assert [row["name"] for row in rows] == list(SOURCES)
    for row in rows:
        assert all(row[key] for key in ("trained_on", "address", "file", "licence", "checksum", "input"))
        assert row["cached"] is None
        assert row["input"]["channel_order"] == "RGB"
        assert row["size_mb"] or row["name"] in PROXIES


def test_list_and_fetch_need_no_torch():
    modules = ", ".join(
        f"emotion_utils.models.{name}" for name in ("weights.listing", "weights.fetch", "weights.choice")
    )
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_vggface_mean_is_turned_to_rgb():
    mean = SOURCES["vggface_keras"].normalisation.mean
    assert [value * 255 for value in mean] == pytest.approx([129.1863, 104.7624, 93.5940])


@pytest.mark.parametrize("name", ["vggface_keras", "resnet18_imagenet"])
def test_missing_weights_say_which_file_from_where_to_put_where(name):
    source = SOURCES[name]
    with pytest.raises(InputError) as caught:
        find_weights(name)
    for part in (source.file_name, source.addresses[0], "EMOTION_WEIGHTS_DIR", str(weights_dir()), "SHA-256"):
        assert part in str(caught.value)


def test_folder_for_machines_without_network_is_looked_at_first(notop_file, monkeypatch, tmp_path):
    assert find_weights("vggface_keras_notop") == notop_file
    given = tmp_path / notop_file.name
    given.write_bytes(b"")
    monkeypatch.setenv("EMOTION_WEIGHTS_DIR", str(tmp_path))
    assert find_weights("vggface_keras_notop") == given


def test_first_use_records_the_checksum_and_another_content_is_refused_ever_after(notop_file):
    sha256 = hashlib.sha256(notop_file.read_bytes()).hexdigest()
    loaded = load_registered("vggface_keras_notop")
    assert (loaded.sha256, loaded.architecture) == (sha256, "vgg16")
    assert read_record(notop_file.name)["sha256"] == sha256
    with h5py.File(notop_file, "a") as file:
        file["conv1_1/conv1_1/bias:0"][0] += 1
    with pytest.raises(InputError, match=f"wrong checksum: expected SHA-256 {sha256}, as recorded"):
        load_registered("vggface_keras_notop")


def test_record_holds_for_the_file_in_the_other_folder_too(notop_file, monkeypatch, tmp_path):
    load_registered("vggface_keras_notop")
    (tmp_path / notop_file.name).write_bytes(notop_file.read_bytes() + b" ")
    monkeypatch.setenv("EMOTION_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(InputError, match="wrong checksum"):
        load_registered("vggface_keras_notop")


def test_damaged_file_is_not_recorded(notop_file):
    notop_file.write_bytes(notop_file.read_bytes()[:-1000])
    with pytest.raises(InputError, match="a damaged HDF5 file"):
        load_registered("vggface_keras_notop")
    assert read_record(notop_file.name) is None


def test_published_checksum_is_checked_before_a_file_is_read():
    path = weights_dir() / SOURCES["resnet18_imagenet"].file_name
    path.parent.mkdir(parents=True)
    torch.save(torchvision.models.resnet18().state_dict(), path)
    with pytest.raises(InputError, match="starts with f37072fd, as published"):
        load_registered("resnet18_imagenet")


def test_proxy_comes_back_as_it_was_saved(resnet):
    path = save_proxy(resnet, "proxy_resnet18", recipe={"epochs": 3})
    assert path == proxy_path("proxy_resnet18")
    assert read_proxy_recipe("proxy_resnet18") == {"epochs": 3}
    loaded = load_registered("proxy_resnet18")
    assert loaded.state.keys() == resnet.body_state().keys()
    assert all(torch.equal(loaded.state[key], value) for key, value in resnet.body_state().items())
    assert not any(key.startswith("fc") for key in loaded.state)
    assert loaded.normalisation == IMAGENET
    assert "proxy: trained by this project" in loaded.title


def test_same_proxy_gives_the_same_bytes(resnet):
    first = save_proxy(resnet, "proxy_resnet18", recipe={"b": 1, "a": 2}).read_bytes()
    assert save_proxy(resnet, "proxy_resnet18", recipe={"a": 2, "b": 1}).read_bytes() == first


def test_damaged_proxy_counts_as_missing_and_is_never_loaded(resnet):
    path = save_proxy(resnet, "proxy_resnet18", recipe={})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert read_proxy_recipe("proxy_resnet18") is None
    with pytest.raises(InputError, match=r"wrong checksum.*make proxy_resnet18 again"):
        load_registered("proxy_resnet18")
    save_proxy(resnet, "proxy_resnet18", recipe={"again": 1})
    assert load_registered("proxy_resnet18").architecture == "resnet18"


def test_missing_proxy_says_what_to_call():
    assert read_proxy_recipe("proxy_vgg16") is None
    with pytest.raises(EmotionError, match="ensure_proxies"):
        load_registered("proxy_vgg16")


def test_network_of_another_kind_is_no_proxy(resnet):
    with pytest.raises(InputError, match="proxy_vgg16 is a vgg16, not a resnet18"):
        save_proxy(resnet, "proxy_vgg16", recipe={})


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match="known are resnet18_imagenet"):
        find_weights("resnet19")
    with pytest.raises(InputError, match="known are proxy_vgg16"):
        proxy_path("vggface_keras")


def test_conversion_writes_weights_and_a_report_beside_them(notop_file, tmp_path, trunk_arrays):
    target = tmp_path / "out" / "vggface.safetensors"
    report = convert_weights(notop_file, target)
    assert json.loads(target.with_suffix(".json").read_text()) == report
    assert report["source"]["sha256"] == hashlib.sha256(notop_file.read_bytes()).hexdigest()
    assert report["output"]["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert set(report["largest_relative_difference"]) == {"conv1_1", "pool3", "pool5"}
    assert "non-commercial" in report["licence"]
    loaded = load_weights(target)
    kernel, _ = trunk_arrays["conv1_1"]
    np.testing.assert_array_equal(loaded.state["conv1_1.weight"], kernel.transpose(3, 2, 0, 1)[:, ::-1])
    assert "converted from rcmalli_vggface_tf_notop_vgg16.h5" in loaded.title


def test_conversion_of_something_that_needs_none_is_refused(tmp_path):
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet18.pth")
    with pytest.raises(InputError, match="need no conversion"):
        convert_weights(tmp_path / "resnet18.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_conversion_into_another_kind_of_file_is_refused(notop_file, tmp_path):
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        convert_weights(notop_file, tmp_path / "out.pth")


@pytest.mark.parametrize(
    ("place", "line"), [("file/out.safetensors", "cannot be written"), ("folder.safetensors", "is a folder")]
)
def test_conversion_to_where_nothing_can_be_written_is_bad_input(notop_file, tmp_path, place, line):
    (tmp_path / "file").touch()
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(InputError, match=line):
        convert_weights(notop_file, tmp_path / place)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("IoError: 28")])
def test_full_disk_leaves_neither_weights_nor_report(notop_file, tmp_path, monkeypatch, error):
    def save_half(state, path, metadata):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(weights, "save_file", save_half)
    with pytest.raises(EmotionError, match=r"cannot be written.*free some space"):
        convert_weights(notop_file, tmp_path / "out" / "vggface.safetensors")
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        load_weights(tmp_path / "none.h5")


def test_truncated_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"conv1.weight": torch.ones(999)}, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="a damaged safetensors file"):
        load_weights(path)


def test_safetensors_of_others_are_recognised_by_their_keys(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    save_file(state, tmp_path / "model.safetensors")
    assert load_weights(tmp_path / "model.safetensors").architecture == "resnet18"
