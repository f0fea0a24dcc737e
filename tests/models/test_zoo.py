"""The models with each kind of weights: what is taken over, what is not, and what is said of it."""

from dataclasses import replace

import h5py
import pytest
import torch
import torchvision

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.model_table import MODELS
from emotion_utils.models import zoo
from emotion_utils.models.input_spec import IMAGENET, VGGFACE
from emotion_utils.models.network import EmotionNet, make_network
from emotion_utils.models.reference import reference_images
from emotion_utils.models.weights.cache import weights_dir
from emotion_utils.models.weights.choice import needed_weights
from emotion_utils.models.weights.conversion import to_state
from emotion_utils.models.weights.load import LoadedWeights, save_proxy
from emotion_utils.models.weights.registry import SOURCES
from emotion_utils.models.zoo import build_model, load_model, save_model

NAMES = tuple(MODELS)
PROXY_OF = {
    "VGG16_emotion": "proxy_vgg16", "r18_pre_emotion": "proxy_resnet18", "lite0_pre_emotion": "proxy_lite0"
}  # fmt: skip
LITE0_GROUPS = ["stem", *(f"stage{number}" for number in range(1, 8)), "top", "head"]


def build(name, weights, num_classes=3, image_size_px=32, **settings):
    return build_model(name, num_classes=num_classes, image_size_px=image_size_px, weights=weights, **settings)


def make_proxy(name):
    design = {"architecture": SOURCES[name].architecture, "num_classes": 5, "dropout": 0.0}
    net = make_network(design, IMAGENET.at(32), {}, seed=99)
    save_proxy(net, name, recipe={"test": True})
    return net


def cache_file(name):
    path = weights_dir() / SOURCES[name].file_name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture
def notop_file(trunk_arrays):
    with h5py.File(cache_file("vggface_keras_notop"), "w") as file:
        for name, (kernel, bias) in trunk_arrays.items():
            file[f"{name}/{name}/kernel:0"], file[f"{name}/{name}/bias:0"] = kernel, bias
    return cache_file("vggface_keras_notop")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_px", [32, 48, 64])
@pytest.mark.parametrize("num_classes", [2, 10])
def test_random_network_of_any_size_and_number_of_classes_answers(name, size_px, num_classes):
    net = build(name, "random", num_classes, size_px).eval()
    with torch.inference_mode():
        logits = net(torch.rand(2, 3, size_px, size_px, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, num_classes)
    assert logits.isfinite().all()
    assert net.input_spec.as_dict()["size_px"] == size_px
    assert net.provenance["kind"] == "random"
    assert "random weights from seed 0" in net.provenance["sentence"]


@pytest.mark.parametrize("name", NAMES)
def test_seed_decides_random_weights_and_the_callers_random_state_does_not(name):
    torch.manual_seed(1)
    first, state = build(name, "random", seed=5).state_dict(), torch.get_rng_state()
    torch.manual_seed(2)
    second, other = build(name, "random", seed=5).state_dict(), build(name, "random", seed=6).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("VGG16_emotion", ["conv1", "conv2", "conv3", "conv4", "conv5", "head"]),
        ("r18_pre_emotion", ["stem", "layer1", "layer2", "layer3", "layer4", "head"]),
        ("lite0_pre_emotion", LITE0_GROUPS),
    ],
)
def test_depth_groups_hold_every_parameter_once_from_input_to_output(name, groups):
    net = build(name, "random")
    assert list(net.depth_groups) == groups
    grouped = [id(p) for modules in net.depth_groups.values() for m in modules for p in m.parameters()]
    assert sorted(grouped) == sorted(id(p) for p in net.parameters())
    depths = [next(p for m in modules for p in m.parameters()) for modules in net.depth_groups.values()]
    order = [id(p) for p in net.parameters()]
    assert [order.index(id(p)) for p in depths] == sorted(order.index(id(p)) for p in depths)


def test_full_head_has_fc6_and_fc7_as_groups_of_their_own():
    design = {"architecture": "vgg16", "num_classes": 3, "dropout": 0.5, "full_head": True}
    with torch.device("meta"):
        net = EmotionNet(design, IMAGENET.at(224), {})
    assert list(net.depth_groups)[-3:] == ["fc6", "fc7", "head"]
    assert net.network.fc6.weight.shape == (4096, 25088)
    assert not any(isinstance(module, torch.nn.AdaptiveAvgPool2d) for module in net.modules())


def test_network_normalises_by_its_own_mean_and_std():
    net = build("r18_pre_emotion", "random").eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    with torch.inference_mode():
        torch.testing.assert_close(net(images), net.network((images - mean) / std))


@pytest.mark.parametrize("name", PROXY_OF)
def test_proxy_gives_everything_but_the_head(name):
    proxy = make_proxy(PROXY_OF[name])
    net = build(name, "proxy", seed=7)
    body = net.body_state()
    assert body.keys() == proxy.body_state().keys()
    assert all(torch.equal(body[key], value) for key, value in proxy.body_state().items())
    assert net.provenance["kind"] == "proxy"
    assert "proxy: trained by this project" in net.provenance["sentence"]
    assert net.provenance["sha256"][:12] in net.provenance["sentence"]


@pytest.mark.parametrize("name", PROXY_OF)
@pytest.mark.parametrize("weights", ["proxy", "official"])
def test_missing_weights_are_an_error_and_never_random(name, weights):
    with pytest.raises(EmotionError, match=r"not on this machine.*emotion weights fetch"):
        build(name, weights)


@pytest.mark.parametrize("weights", ["proxy", "official"])
def test_scratch_model_starts_from_random_weights_whatever_the_run_uses(weights):
    net, random = build("r18_scratch_emotion", weights), build("r18_scratch_emotion", "random")
    assert net.provenance["kind"] == "random"
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), random.parameters(), strict=True))


def test_scratch_model_refuses_pretrained_weights():
    with pytest.raises(InputError, match="r18_scratch_emotion starts from random weights"):
        build("r18_scratch_emotion", "resnet18_imagenet")


def test_imagenet_resnet18_keeps_its_features(monkeypatch):
    """As torchvision's own network answers, up to its last layer; with and without the counters of batches."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        published = torchvision.models.resnet18().eval()
    state = {key: value for key, value in published.state_dict().items() if "num_batches_tracked" not in key}
    torch.save(state, cache_file("resnet18_imagenet"))
    unchecked = replace(SOURCES["resnet18_imagenet"], sha256_prefix=None)
    monkeypatch.setitem(SOURCES, "resnet18_imagenet", unchecked)
    net = build("r18_pre_emotion", "official").eval()
    published.fc = net.network.fc
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    transform = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    normalised = torchvision.transforms.functional.normalize(images, transform.mean, transform.std)
    with torch.inference_mode():
        torch.testing.assert_close(net(images), published.eval()(normalised))
    assert net.provenance["kind"] == "official"
    assert net.provenance["sentence"].startswith("ResNet18, ImageNet-1k weights IMAGENET1K_V1, sha256 ")


def test_official_vggface_without_top_gives_the_trunk_and_its_contract(notop_file, trunk_arrays):
    net = build("VGG16_emotion", "official", image_size_px=64)
    bias = torch.from_numpy(trunk_arrays["conv5_3"][1])
    assert torch.equal(net.network.conv5_3.bias.detach(), bias)
    assert net.input_spec.as_dict()["mean"] == pytest.approx([value / 255 for value in (129.1863, 104.7624, 93.5940)])
    assert net.input_spec.as_dict()["std"] == list(VGGFACE.std)
    assert not net.network.full_head
    assert net.provenance["kind"] == "official"
    logits = net.eval()(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert logits.abs().max() < 5  # features that count in hundreds do not reach the head as they are


def test_pooled_head_takes_vggface_without_top_at_224(notop_file):
    net = build("VGG16_emotion", "vggface_keras_notop", image_size_px=224)
    assert not net.network.full_head


def test_small_images_ask_for_the_small_file_first_and_large_ones_for_the_top():
    assert needed_weights("VGG16_emotion", "official", 64)[0] == "vggface_keras_notop"
    assert needed_weights("VGG16_emotion", "official", 224)[0] == "vggface_keras"
    assert needed_weights("r18_scratch_emotion", "official", 224) == ()


@pytest.mark.slow
def test_full_head_keeps_fc6_and_fc7_and_replaces_fc8(full_arrays, make_source, monkeypatch):
    """At 224 px, as in the study; at 64 px the same file gives its trunk to a pooled head."""
    state = to_state(make_source(full_arrays))
    loaded = LoadedWeights("vgg16", state, VGGFACE, "VGGFace", "0" * 64, "test")
    monkeypatch.setattr(zoo, "load_weights", lambda path: loaded)
    net = build("VGG16_emotion", "vggface.safetensors", image_size_px=224, dropout=0.5)
    assert list(net.depth_groups)[-3:] == ["fc6", "fc7", "head"]
    assert all(torch.equal(net.network.state_dict()[key], state[key]) for key in state if not key.startswith("fc8"))
    assert net.network.fc8.weight.shape == (3, 4096)
    with torch.inference_mode():
        assert net.eval()(reference_images(224)).shape == (2, 3)
    small = build("VGG16_emotion", "vggface.safetensors", image_size_px=64)
    assert not small.network.full_head
    assert torch.equal(small.network.conv5_3.weight, state["conv5_3.weight"])


def test_earlier_run_gives_its_body_its_contract_and_its_history(tmp_path):
    make_proxy("proxy_resnet18")
    before = build("r18_pre_emotion", "proxy", num_classes=7)
    with torch.no_grad():
        before.network.layer3[0].conv1.weight.mul_(1.5)
    save_model(before, tmp_path / "fer", [f"emotion{i}" for i in range(7)])
    net = build("r18_pre_emotion", tmp_path / "fer", num_classes=3)
    assert torch.equal(net.network.layer3[0].conv1.weight, before.network.layer3[0].conv1.weight)
    assert net.network.fc[1].weight.shape == (3, 512)
    assert net.provenance["kind"] == "file"
    for part in ("fer, trained on emotion0", "proxy: trained by this project"):
        assert part in net.provenance["sentence"]


def test_run_of_another_architecture_is_refused(tmp_path):
    save_model(build("r18_scratch_emotion", "random"), tmp_path / "resnet", ["a", "b", "c"])
    with pytest.raises(InputError, match=r"VGG16_emotion is a vgg16; .* holds weights of a resnet18"):
        build("VGG16_emotion", tmp_path / "resnet")


@pytest.mark.parametrize("change", ["missing", "shape", "extra", "nan"])
def test_file_of_another_network_of_the_family_is_refused(tmp_path, change):
    state = torchvision.models.resnet18().state_dict()
    if change == "missing":
        del state["layer3.0.bn1.bias"]
    elif change == "shape":
        state["layer4.0.conv1.weight"] = torch.zeros(512, 128, 3, 3)
    elif change == "extra":
        state = torchvision.models.resnet34().state_dict()
    else:
        state["layer1.0.conv1.weight"][0] = float("nan")
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"expected a resnet18, found|expected shape|not finite"):
        build("r18_pre_emotion", tmp_path / "other.pth")


def test_saved_vgg_comes_back(tmp_path):
    net = build("VGG16_emotion", "random", image_size_px=48, dropout=0.5)
    card = save_model(net, tmp_path, ["a", "b", "c"])
    loaded, again = load_model(tmp_path)
    assert card == again
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), loaded.parameters(), strict=True))


@pytest.mark.parametrize("settings", [{"num_classes": 1}, {"dropout": 1.0}, {"dropout": float("nan")}])
def test_network_that_cannot_be_is_refused(settings):
    with pytest.raises(InputError, match="a network needs"):
        build("r18_scratch_emotion", "random", **settings)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match="known are VGG16_emotion"):
        build("VGG19_emotion", "random")
    with pytest.raises(InputError, match=r"unknown weights 'imagenet'.*resnet18_imagenet"):
        build("r18_pre_emotion", "imagenet")
