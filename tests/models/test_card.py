"""A checkpoint proves itself when it is loaded, or is refused with what was expected and what was found."""

import json
import os
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import file_sha256
from emotion_utils.models import card
from emotion_utils.models.card import LOGIT_TOLERANCE, load_model, save_model
from emotion_utils.models.input_spec import IMAGENET, VGGFACE
from emotion_utils.models.network import make_network
from emotion_utils.models.reference import reference_images
from emotion_utils.store.resize import KERNEL

CLASSES = ("angry", "happy", "sad")
PROVENANCE = {"name": "random", "kind": "random", "source": "seed 0", "sha256": None, "sentence": "random"}


def make_net(normalisation=IMAGENET, seed=0):
    design = {"architecture": "resnet18", "num_classes": 3, "dropout": 0.2}
    net = make_network(design, normalisation.at(32), PROVENANCE, seed=seed)
    with torch.no_grad():  # statistics other than the first ones, as after training
        net.network.bn1.running_mean += 0.3
        net.network.bn1.num_batches_tracked += 7
    return net


@pytest.fixture
def model_dir(tmp_path):
    save_model(make_net(), tmp_path / "model", CLASSES)
    return tmp_path / "model"


def change_card(model_dir, change):
    path = model_dir / "model.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))


def change_weights(model_dir, change):
    """Changes the weights and makes the checksum right again: only the answers can tell."""
    path = model_dir / "model.safetensors"
    state = {key: value.clone() for key, value in load_file(path).items()}
    change(state)
    save_file(state, path)
    change_card(model_dir, lambda card: card.update(sha256=file_sha256(path)))


def test_model_comes_back_with_its_answers_and_its_card(model_dir):
    net, card = load_model(model_dir)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(net(images), make_net().eval()(images))
    assert not net.training
    assert card["class_names"] == list(CLASSES)
    assert card["input"] == {
        "size_px": 32, "channel_order": "RGB", "range": [0.0, 1.0],
        "mean": list(IMAGENET.mean), "std": list(IMAGENET.std), "resize_kernel": KERNEL,
    }  # fmt: skip
    assert net.provenance == card["provenance"] == PROVENANCE
    assert net.network.bn1.num_batches_tracked == 7


def test_model_is_checked_on_the_cpu_and_moved_then(model_dir, monkeypatch):
    places, answer = [], card.reference_logits
    monkeypatch.setattr(
        card, "reference_logits", lambda net: places.append(next(net.parameters()).device.type) or answer(net)
    )
    net, _ = load_model(model_dir, torch.device("meta"))
    assert places == ["cpu"]
    assert {tensor.device.type for tensor in [*net.parameters(), *net.buffers()]} == {"meta"}
    assert not net.training
    assert load_model(model_dir)[0].mean.device.type == "cpu"


def test_loaded_model_can_be_trained_on(model_dir):
    net, _ = load_model(model_dir)
    net.train()(torch.rand(4, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_saving_leaves_the_network_as_it_was(tmp_path):
    net = make_net().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    save_model(net, tmp_path, CLASSES)
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_same_model_is_saved_as_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save_model(make_net(), tmp_path / name, CLASSES, epoch=3)
    for file in ("model.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert json.loads((tmp_path / "a" / "model.json").read_text())["epoch"] == 3


def test_reference_images_are_the_same_on_every_machine():
    images = reference_images(48)
    assert images.shape == (2, 3, 48, 48)
    assert (images[0, 1, 5, 7] * 255).item() == pytest.approx((7 * 5 + 5 * 4 + 40) * 256 // 48 % 256)
    assert (images[1, 2, 5, 7] * 255).item() == pytest.approx((49 * 31 + 25 * 17 + 35 * 13 + 178) % 251)
    assert not torch.equal(images[0, 0], images[0, 2])  # or swapped channels would answer alike


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state["conv1.weight"].copy_(state["conv1.weight"].flip(1)),
        lambda state: state["bn1.running_mean"].zero_(),
        lambda state: state["layer4.1.conv2.weight"].mul_(1.05),
        lambda state: state["fc.1.weight"].copy_(state["fc.1.weight"].roll(1, 0)),
        lambda state: state["fc.1.bias"].fill_(float("nan")),
    ],
    ids=["channels", "statistics", "one layer", "class order", "not finite"],
)
def test_weights_that_answer_otherwise_are_refused(model_dir, change):
    change_weights(model_dir, change)
    with pytest.raises(InputError, match="logits for the reference images are not those of when the model was saved"):
        load_model(model_dir)


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["input"].update(mean=list(VGGFACE.mean)),
        lambda card: card["input"].update(std=[1.0, 1.0, 1.0]),
        lambda card: card["input"].update(mean=card["input"]["mean"][::-1]),
        lambda card: card["input"].update(size_px=64),
    ],
    ids=["mean", "std", "mean in the order of BGR", "size"],
)
def test_card_that_feeds_otherwise_is_refused(model_dir, change):
    change_card(model_dir, change)
    with pytest.raises(InputError, match="logits for the reference images are not"):
        load_model(model_dir)


@pytest.mark.parametrize(("key", "value"), [("channel_order", "BGR"), ("range", [0, 255]), ("resize_kernel", "cubic")])
def test_card_of_another_convention_is_refused(model_dir, key, value):
    change_card(model_dir, lambda card: card["input"].update({key: value}))
    with pytest.raises(InputError, match=r"the model takes .*; this version gives RGB in \(0\.0, 1\.0\) resized by"):
        load_model(model_dir)


def test_rounding_of_another_machine_is_tolerated(model_dir):
    def round_otherwise(card):
        largest = max(abs(value) for row in card["answers"] for value in row)
        card["answers"] = [[value + 0.5 * LOGIT_TOLERANCE * largest for value in row] for row in card["answers"]]

    change_card(model_dir, round_otherwise)
    load_model(model_dir)


def test_weights_of_another_model_are_refused_by_checksum(model_dir, tmp_path):
    save_model(make_net(seed=1), tmp_path / "other", CLASSES)
    (tmp_path / "other" / "model.safetensors").replace(model_dir / "model.safetensors")
    with pytest.raises(InputError, match=r"wrong checksum: model\.json expects SHA-256 \w{64}, found"):
        load_model(model_dir)


def test_truncated_weights_are_refused(model_dir):
    path = model_dir / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    change_card(model_dir, lambda card: card.update(sha256=file_sha256(path)))
    with pytest.raises(InputError, match="a damaged safetensors file"):
        load_model(model_dir)


def test_weights_of_a_size_that_no_network_has_are_not_hashed(model_dir):
    os.truncate(model_dir / "model.safetensors", 4 << 40)
    with pytest.raises(InputError, match="larger than 4,096 MB"):
        load_model(model_dir)


def test_weights_without_a_layer_are_refused(model_dir):
    change_weights(model_dir, lambda state: state.pop("layer2.0.conv1.weight"))
    with pytest.raises(InputError, match=r"do not fit their network.*layer2\.0\.conv1\.weight"):
        load_model(model_dir)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"<!doctype html>", b""])
def test_something_else_in_place_of_weights_is_named(model_dir, content):
    (model_dir / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.safetensors: expected weights .* found an? (Git-LFS|HTML|empty)"):
        load_model(model_dir)


@pytest.mark.parametrize("key", ["design", "class_names", "input", "provenance", "sha256", "answers"])
def test_card_without_a_part_is_refused(model_dir, key):
    change_card(model_dir, lambda card: card.pop(key))
    with pytest.raises(InputError, match=f"model.json: {key} is missing"):
        load_model(model_dir)


def test_card_cut_short_is_refused(model_dir):
    path = model_dir / "model.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match=r"model\.json: not readable"):
        load_model(model_dir)


def test_card_with_a_class_too_few_is_refused(model_dir):
    change_card(model_dir, lambda card: card["class_names"].pop())
    with pytest.raises(InputError, match="2 class names for 3 outputs"):
        load_model(model_dir)


@pytest.mark.parametrize("change", [{"architecture": "vgg19"}, {"depth": 4}, {"num_classes": "3"}])
def test_card_of_an_unknown_design_is_refused(model_dir, change):
    change_card(model_dir, lambda card: card["design"].update(change))
    with pytest.raises(InputError):
        load_model(model_dir)


def test_class_names_in_another_order_than_in_the_models_own_predictions_are_refused(model_dir):
    (model_dir / "predictions.csv").write_text("id,split,label,predicted,angry,happy,sad\n")
    load_model(model_dir)
    change_card(model_dir, lambda card: card.update(class_names=["happy", "angry", "sad"]))
    with pytest.raises(
        InputError, match=r"class_names are happy, angry, sad, and the columns of predictions\.csv angry"
    ):
        load_model(model_dir)


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no model\.json: this is not the folder of a trained model"):
        load_model(tmp_path)


def test_wrong_number_of_class_names_is_not_saved(tmp_path):
    with pytest.raises(InputError, match="2 class names for a network of 3 outputs"):
        save_model(make_net(), tmp_path / "model", CLASSES[:2])
    assert not (tmp_path / "model").exists()


def test_network_whose_training_failed_is_not_given_a_card(tmp_path):
    net = make_net()
    with torch.no_grad():
        net.network.fc[1].bias.fill_(float("nan"))
    with pytest.raises(EmotionError, match="not finite"):
        save_model(net, tmp_path, CLASSES)
    assert not (tmp_path / "model.json").exists()


def test_header_that_lies_about_its_length_is_refused(model_dir):
    path = model_dir / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])
    change_card(model_dir, lambda card: card.update(sha256=file_sha256(path)))
    with pytest.raises(InputError, match="a damaged safetensors file"):
        load_model(model_dir)
