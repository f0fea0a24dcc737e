"""Faults of pretrained weights, against a real server on this machine."""

import hashlib
import io
import os

import pytest
import torch
import torchvision
from weights_server import page, pointer, serving, well

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.weights import fetch, registry
from emotion_utils.models.weights.cache import weights_dir
from emotion_utils.models.weights.fetch import fetch_weights
from emotion_utils.models.weights.registry import WeightSource
from emotion_utils.models.zoo import build_model

NAME = "resnet18_test"
FILE_NAME = "resnet18_test.pth"


@pytest.fixture(scope="module")
def content():
    """A ResNet18 as torchvision writes it."""
    buffer = io.BytesIO()
    torch.save(torchvision.models.resnet18().state_dict(), buffer)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fetch, "BACKOFF_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for variable in ("EMOTION_OFFLINE", "EMOTION_WEIGHTS_DIR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def register(monkeypatch):
    """Makes a source known under NAME: its address, and what its SHA-256 begins with."""

    def add(address, sha256_prefix=None):
        source = WeightSource(
            name=NAME, title="test", trained_on="test", architecture="resnet18", file_name=FILE_NAME,
            addresses=(address,), size_mb=47, licence="test", sha256_prefix=sha256_prefix, normalisation=IMAGENET,
        )  # fmt: skip
        monkeypatch.setitem(registry.SOURCES, NAME, source)

    return add


def assert_nothing_cached():
    left = [path.name for path in weights_dir().glob("*") if path.suffix not in (".lock", ".part")]
    assert left == []


@pytest.mark.fault("wrong checksum", "R E", "fetched twice more, then refused with both checksums")
def test_wrong_checksum(register, content):
    with serving(content, well) as server:
        register(server.address, sha256_prefix="00000000")
        with pytest.raises(EmotionError, match=r"starts with 00000000, as published; found [0-9a-f]{64}"):
            fetch_weights(NAME)
    assert len(server.requests) == 3
    assert_nothing_cached()


@pytest.mark.fault(
    "file in the cache damaged since", "R E", "fetched again; offline refused with what is expected and found"
)
def test_damaged_cache(register, content, monkeypatch):
    with serving(content, well) as server:
        register(server.address)
        path = fetch_weights(NAME)
        path.write_bytes(content[:-9] + b"damaged!!")
        monkeypatch.setenv("EMOTION_OFFLINE", "1")
        with pytest.raises(InputError, match=f"wrong checksum: expected SHA-256 {hashlib.sha256(content).hexdigest()}"):
            fetch_weights(NAME)
        monkeypatch.delenv("EMOTION_OFFLINE")
        assert fetch_weights(NAME).read_bytes() == content
    assert len(server.requests) == 2


@pytest.mark.fault("Git-LFS pointer or HTML page in place of weights", "E", "refused, and named for what it is")
@pytest.mark.parametrize(("behaviour", "found"), [(pointer, "a Git-LFS pointer"), (page, "an HTML page")])
def test_something_else_in_place_of_weights(register, content, behaviour, found):
    with serving(content, behaviour) as server:
        register(server.address)
        with pytest.raises(EmotionError, match=f"expected weights.*found {found}"):
            fetch_weights(NAME)
    assert_nothing_cached()


@pytest.mark.fault(
    "weights of another layout or shape", "E", "refused: the layer, the shape that is expected and that found"
)
def test_weights_that_do_not_fit(tmp_path):
    state = torchvision.models.resnet18().state_dict()
    torch.save(state | {"layer2.0.conv1.weight": torch.zeros(128, 64, 5, 5)}, tmp_path / "wide.pth")
    with pytest.raises(EmotionError, match=r"layer2\.0\.conv1.*128, 64, 3, 3.*128, 64, 5, 5"):
        build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=str(tmp_path / "wide.pth"))
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(EmotionError, match=r"features\.0\.weight"):
        build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=str(tmp_path / "other.pth"))


@pytest.mark.fault("pickle that would run code", "E", "refused; the code is not run")
def test_pickle_with_code(tmp_path):
    class RunsCode:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trap"),)

    torch.save({"conv1.weight": RunsCode()}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="tensors alone"):
        build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=str(tmp_path / "weights.pth"))
    assert not (tmp_path / "trap").exists()


@pytest.mark.fault("no network", "E", "says the address, the folder for the file, and its checksum")
def test_no_network(register):
    address = "http://127.0.0.1:9/weights.pth"  # nobody listens there
    register(address, sha256_prefix="f37072fd")
    with pytest.raises(EmotionError, match=f"put {FILE_NAME} from {address} into .*EMOTION_WEIGHTS_DIR.*f37072fd"):
        fetch_weights(NAME)


@pytest.mark.fault("checkpoint of a training in place of weights", "R", "unwrapped; what stood around it is named")
def test_checkpoint_of_a_training(content, tmp_path):
    state = torch.load(io.BytesIO(content), weights_only=True)
    checkpoint = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 90, "best": 0.8}
    torch.save(checkpoint, tmp_path / "faces.pth")
    net = build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=tmp_path / "faces.pth")
    assert torch.equal(net.body_state()["conv1.weight"], state["conv1.weight"])
    assert "faces.pth (state_dict, prefix module.)" in net.provenance["sentence"]


@pytest.mark.fault("TorchScript, a newer pickle, two networks in one file", "E", "named, with how to save it instead")
def test_what_cannot_be_read_or_is_ambiguous(content, tmp_path):
    state = torch.load(io.BytesIO(content), weights_only=True)
    torch.save({"model": state, "ema": state}, tmp_path / "two.pth")
    torch.save(state, tmp_path / "newer.pth", pickle_protocol=4)
    for name, message in (("two.pth", "save the one that is meant"), ("newer.pth", r"save .*state_dict\(\)")):
        with pytest.raises(InputError, match=message):
            build_model("r18_pre_emotion", num_classes=3, image_size_px=32, weights=tmp_path / name)
