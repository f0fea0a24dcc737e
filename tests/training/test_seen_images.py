"""What training saw is recorded with the model, and a model that knows grey images alone is given grey ones."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from emotion_utils.models.card import load_model, save_model
from emotion_utils.models.network import to_grey
from emotion_utils.models.zoo import build_model
from emotion_utils.training.seen_images import find_colour, is_grey, with_seen_images


def images_of(kinds, seed=0):
    """uint8 (N, 8, 8, 3): g grey, c colour, n grey with the noise that JPEG leaves in colours."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (len(kinds), 8, 8, 3), dtype=np.uint8)
    for image, kind in zip(images, kinds, strict=True):
        if kind != "c":
            image[:] = image[:, :, :1]
        if kind == "n":
            image[0, 0, 1] ^= 3
    return images


class Images:
    """As much of a dataset as is asked."""

    def __init__(self, kinds):
        self.images = images_of(kinds)

    def __len__(self):
        return len(self.images)

    def batch(self, positions):
        return SimpleNamespace(images=torch.from_numpy(self.images[positions]).permute(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [("ggn", "grey"), ("cccc", "colour"), ("gcgc", "both"), ("g" * 200 + "c", "grey"), ("g" * 30 + "c", "both"),
     ("c" * 200 + "g", "colour")],
)  # fmt: skip
def test_colour_of_training_images_is_told(kinds, expected):
    assert find_colour(Images(kinds)) == expected


def test_grey_is_told_image_by_image():
    batch = torch.from_numpy(images_of("gcng")).permute(0, 3, 1, 2)
    assert is_grey(batch).tolist() == [True, False, True, True]


def test_side_is_that_of_the_face_where_one_was_cut_out():
    manifest = pd.DataFrame({
        "split": ["train"] * 3 + ["test"], "width": [300, 400, 500, 9], "height": [200] * 4,
        "face_side": [0, 90, 100, 0],
    })  # fmt: skip
    run = SimpleNamespace(read=lambda name: manifest, config=SimpleNamespace(data="faces"))
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
    found = with_seen_images(net.input_spec, Images("gg"), run)
    assert (found.colour, found.source_px, found.is_synthetic) == ("grey", 100, False)
    run.config.data = "synthetic"
    assert with_seen_images(net.input_spec, Images("gg"), run).is_synthetic


def test_grey_is_luma_and_grey_values_keep_every_bit():
    colours = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = (colours * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(to_grey(colours), expected.expand(-1, 3, -1, -1))
    grey = colours[:, :1].expand(-1, 3, -1, -1)
    assert torch.equal(to_grey(grey), grey)


@pytest.fixture
def saved(tmp_path):
    """saved(colour) -> the folder of a network that is said to have seen such images."""
    from dataclasses import replace

    def save(colour):
        net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
        net.input_spec = replace(net.input_spec, colour=colour, source_px=48)
        save_model(net, tmp_path / (colour or "old"), ["angry", "happy", "sad"])
        return tmp_path / (colour or "old")

    return save


def test_model_that_knows_grey_alone_answers_colour_as_its_grey(saved):
    colours = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    grey_net, _ = load_model(saved("grey"))
    plain_net, _ = load_model(saved("both"))
    with torch.inference_mode():
        assert torch.equal(grey_net(colours), plain_net(to_grey(colours)))
        assert not torch.allclose(grey_net(colours), plain_net(colours))
        grey = colours[:, :1].expand(-1, 3, -1, -1)
        assert torch.equal(grey_net(grey), plain_net(grey))
    grey_net.train()  # goes on learning from whatever it is given
    plain_net.train()
    for net in (grey_net, plain_net):
        torch.manual_seed(0)
        net.answer = net(colours)
    assert torch.equal(grey_net.answer, plain_net.answer)


def test_card_records_it_and_models_without_it_are_read(saved):
    card = json.loads((saved("grey") / "model.json").read_text())
    assert (card["input"]["colour"], card["input"]["source_px"]) == ("grey", 48)
    folder = saved("")
    card = json.loads((folder / "model.json").read_text())
    del card["input"]["source_px"]
    assert "colour" not in card["input"]
    (folder / "model.json").write_text(json.dumps(card))
    net, _ = load_model(folder)
    assert (net.input_spec.colour, net.input_spec.source_px) == ("", 0)


@pytest.mark.parametrize("change", [{"colour": "sepia"}, {"source_px": -1}, {"source_px": "48"}])
def test_card_that_records_something_else_is_refused(saved, change):
    folder = saved("grey")
    card = json.loads((folder / "model.json").read_text())
    card["input"] |= change
    (folder / "model.json").write_text(json.dumps(card))
    with pytest.raises(ValueError, match=r"model\.json: input\.(colour|source_px) should be"):
        load_model(folder)
