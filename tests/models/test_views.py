"""Test-time views: what they show, what is averaged, how many are chosen, and that a model's folder remembers it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from emotion_utils import model_table
from emotion_utils.config import resolve_config
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.errors import InputError
from emotion_utils.evaluation.predict import predict_dataset, predict_probs
from emotion_utils.files import read_json, write_json
from emotion_utils.models.card import load_model, save_model
from emotion_utils.models.views import VIEWS, make_views
from emotion_utils.models.zoo import build_model
from emotion_utils.store.batches import Dataset
from emotion_utils.synthetic.faces import render_face
from emotion_utils.training.choose_views import choose_views

CLASSES = ("angry", "happy", "sad")
CPU = torch.device("cpu")


def bytes_of(count, size_px=48):
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8,
                         generator=torch.Generator().manual_seed(0))  # fmt: skip


@pytest.fixture(scope="module")
def net():
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=48, weights="random", seed=1)
    with torch.no_grad():
        net.network.fc[1].weight.mul_(30)
    return net


def with_views(net, count):
    net.views = count
    return net


# -- what they show --------------------------------------------------------------------------------


def test_views_are_the_image_its_mirror_image_and_both_moved_to_each_corner():
    images = bytes_of(2).float()
    ten = list(make_views(images, 10))
    assert len(ten) == 10
    assert torch.equal(ten[0], images)
    for straight, mirrored in zip(ten[::2], ten[1::2], strict=True):
        assert torch.equal(mirrored, straight.flip(3))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")  # 2 px of 48
    for view, (top, left) in zip(ten[2::2], [(0, 0), (0, 4), (4, 0), (4, 4)], strict=True):
        assert np.array_equal(view.numpy(), padded[:, :, top : top + 48, left : left + 48])
    for count in VIEWS:
        assert all(torch.equal(a, b) for a, b in zip(make_views(images, count), ten[:count], strict=True))


@pytest.mark.parametrize("count", VIEWS)
def test_probabilities_are_the_mean_over_the_views(net, count):
    images = bytes_of(5)
    single = with_views(net, 1)
    with torch.inference_mode():
        parts = [torch.softmax(single.eval()(view).double(), 1) for view in make_views(images.float() / 255, count)]
    found = predict_probs(with_views(net, count), images)
    np.testing.assert_allclose(found, torch.stack(parts).mean(0).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)
    of_two = predict_probs(net, images, [2, 0])  # of some classes: given that it is one of them
    np.testing.assert_allclose(of_two, found[:, [2, 0]] / found[:, [2, 0]].sum(1, keepdims=True), atol=1e-6)


def test_a_mirrored_image_gets_the_answer_of_the_image(net):
    images = bytes_of(3)
    for count, same in ((1, False), (2, True), (10, True)):
        one, other = (predict_probs(with_views(net, count), each) for each in (images, images.flip(3)))
        assert np.allclose(one, other, atol=1e-6) is same


# -- how many --------------------------------------------------------------------------------------


class Stub(nn.Module):
    """Says 0 where one column of the image is bright, and 1 elsewhere, weakly."""

    def __init__(self, column, weak=False):
        super().__init__()
        self.column, self.weak, self.views = column, weak, 1

    def forward(self, images):
        bright = images[:, 0, :, self.column].mean(1)
        return torch.stack([8 * bright - (1 if self.weak else 2), 0 * bright], 1)


def striped(columns, labels):
    """An image of 48 px for each column, bright there alone."""
    images = np.zeros((len(columns), 48, 48, 3), np.uint8)
    for image, column in zip(images, columns, strict=True):
        if column is not None:
            image[:, column] = 255
    return Dataset(images, np.arange(len(columns)), torch.tensor(labels), [f"{n}" for n in range(len(columns))],
                   ("bright", "dark"))  # fmt: skip


def test_the_most_accurate_number_is_chosen_and_of_equal_ones_the_smallest():
    sided = striped([10, 37, None, None], [0, 0, 1, 1])  # column 10 of one is column 37 of its mirror image
    facts = choose_views(Stub(10), sided, "auto", CPU)["views"]
    assert facts["val_correct"]["1"] == 3
    assert facts["val_correct"]["2"] == 4
    assert (facts["used"], facts["val_count"]) == (2, 4)
    assert 0 < facts["seconds"]["1"] < facts["seconds"]["2"] < facts["seconds"]["10"]
    plain = choose_views(Stub(10), striped([10, None], [0, 1]), "auto", CPU)["views"]
    assert plain["val_correct"]["1"] == plain["val_correct"]["2"] == 2
    assert plain["used"] == 1


def test_a_fixed_number_is_taken_and_measured_beside_one_view():
    data = striped([10, None], [0, 1])
    assert choose_views(Stub(10), data, 1, CPU) == {}
    for count in (2, 10):
        facts = choose_views(Stub(10), data, count, CPU)["views"]
        assert facts["used"] == count
        assert list(facts["val_correct"]) == ["1", str(count)]


# -- what remembers it -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model_dir(net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    facts = {"used": 2, "val_count": 9, "val_correct": {"1": 5, "2": 6}, "seconds": {"1": 1.0, "2": 2.0}}
    save_model(with_views(net, 1), folder, CLASSES, views=facts)
    return folder


def test_whoever_loads_the_model_answers_with_its_views(model_dir, tmp_path):
    loaded, _ = load_model(model_dir)
    assert loaded.views == 2
    face = render_face("happy", 1, 1, 48)
    Image.fromarray(face).save(tmp_path / "face.png")
    Image.fromarray(face[:, ::-1]).save(tmp_path / "mirrored.png")
    table = predict_files(model_dir, [tmp_path / "face.png", tmp_path / "mirrored.png"])
    np.testing.assert_allclose(table[list(CLASSES)].iloc[0], table[list(CLASSES)].iloc[1], atol=2e-6)
    data = Dataset(face[None], np.arange(1), torch.tensor([1]), ["a"], CLASSES)
    rows = predict_dataset(loaded, data, "val")
    assert list(rows.columns) == ["id", "split", "label", "predicted", *CLASSES, "views"]
    assert rows["views"].tolist() == [2]
    loaded.views = 1
    assert "views" not in predict_dataset(loaded, data, "val")


@pytest.mark.parametrize(
    "change",
    [{"used": 3}, {"used": 10}, {"val_correct": {"1": 5, "2": 10}}, {"seconds": {"1": 1.0}}, {"val_count": 0}],
    ids=str,
)
def test_a_card_that_contradicts_itself_is_refused(model_dir, tmp_path, change):
    card = read_json(model_dir / "model.json")
    card["views"] |= change
    write_json(tmp_path / "model.json", card)
    (tmp_path / "model.safetensors").write_bytes((model_dir / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="views") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_views_that_are_none_or_not_the_networks_are_refused_in_one_line(monkeypatch):
    with pytest.raises(InputError, match=r"^views: Input should be 1, 2, 10 or 'auto'$"):
        resolve_config("demo", ["views=3"])
    spec = model_table.MODELS["r18_pre_emotion"]
    turned = replace(spec, architecture=replace(spec.architecture, mirrors=False))
    monkeypatch.setitem(model_table.MODELS, spec.name, turned)
    for views in (2, 10, "auto"):
        with pytest.raises(InputError, match=r"^views: r18_pre_emotion takes no mirrored images: leave views at 1.*$"):
            resolve_config("demo", [f"views={views}"])
    assert resolve_config("demo", ["views=2", "models=[r18_scratch_emotion]"]).views == 2
