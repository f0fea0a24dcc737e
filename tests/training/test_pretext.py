"""The proxies: what they are made from, that they are made once, and that taking BatchNorm out changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import FileLock, Timeout

from emotion_utils import locks
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.network import make_network
from emotion_utils.models.weights.load import load_weights, proxy_path, read_proxy_recipe
from emotion_utils.models.zoo import build_model
from emotion_utils.synthetic.faces import render_path, synthetic_table
from emotion_utils.synthetic.pretext_images import (
    IMAGE_PX,
    SIBLINGS,
    TAKES,
    find_person,
    render_persons,
    render_traits,
)
from emotion_utils.training import pretext

TINY = {"pictures": 12, "steps": 2, "batch_size": 4}


@pytest.fixture
def tiny_recipes(monkeypatch):
    recipes = {name: recipe | TINY | {"classes": 3, "size_px": 32} for name, recipe in pretext.RECIPES.items()}
    monkeypatch.setattr(pretext, "RECIPES", recipes)
    monkeypatch.setattr(pretext, "QUICK", {"steps": 1})
    return recipes


@pytest.mark.parametrize("name", ["proxy_vgg16", "proxy_resnet18"])
def test_a_proxy_is_the_same_bits_each_time_it_is_made(tiny_recipes, name):
    one, two = (pretext.train_proxy(name, tiny_recipes[name]).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(("name", "model"), [("proxy_vgg16", "VGG16_emotion"), ("proxy_lite0", "lite0_pre_emotion")])
def test_a_proxy_is_made_once_and_stands_below_the_head(tiny_recipes, monkeypatch, name, model):
    paths = pretext.ensure_proxies([name])
    assert paths == {name: proxy_path(name)}
    monkeypatch.setattr(pretext, "train_proxy", None)  # a second making would fail
    assert pretext.ensure_proxies([name]) == paths
    net = build_model(model, num_classes=3, image_size_px=32, weights="proxy", seed=5)
    stored = load_weights(paths[name]).state
    body = net.body_state()
    assert all(torch.equal(body[key], stored[key]) for key in body)
    assert net.provenance["kind"] == "proxy"


def test_a_proxy_of_another_recipe_is_made_again(tiny_recipes):
    name = "proxy_resnet18"
    pretext.ensure_proxies([name])
    before = proxy_path(name).read_bytes()
    tiny_recipes[name]["version"] += 1
    pretext.ensure_proxies([name])
    assert read_proxy_recipe(name)["version"] == tiny_recipes[name]["version"]
    assert proxy_path(name).read_bytes() != before


@pytest.mark.parametrize("name", ["proxy_vgg16", "proxy_resnet18"])
def test_a_proxy_is_made_again_when_its_images_are_drawn_otherwise(tiny_recipes, monkeypatch, name):
    pretext.ensure_proxies([name])
    before = read_proxy_recipe(name)
    task = tiny_recipes[name]["task"]
    draw = pretext.PRETEXTS[task]
    monkeypatch.setitem(pretext.PRETEXTS, task, lambda *args: draw(*args)._replace(images=draw(*args).images // 2))
    pretext.ensure_proxies([name])
    after = read_proxy_recipe(name)
    assert {key for key in before if before[key] != after[key]} == {"drawn"}


def test_a_damaged_proxy_is_made_again(tiny_recipes):
    path = pretext.ensure_proxies(["proxy_resnet18"])["proxy_resnet18"]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    pretext.ensure_proxies(["proxy_resnet18"])
    assert path.read_bytes() == whole


def test_a_quick_proxy_gives_way_to_a_real_one_and_not_the_other_way(tiny_recipes):
    name = "proxy_resnet18"
    pretext.ensure_proxies([name], quick=True)
    assert read_proxy_recipe(name)["steps"] == 1
    pretext.ensure_proxies([name])
    assert read_proxy_recipe(name)["steps"] == 2
    pretext.ensure_proxies([name], quick=True)
    assert read_proxy_recipe(name)["steps"] == 2


def test_a_proxy_that_another_process_makes_is_waited_for(tiny_recipes, monkeypatch):
    path = proxy_path("proxy_resnet18")
    path.parent.mkdir(parents=True)
    waits = []

    class Impatient(FileLock):
        def acquire(self, *args, **kwargs):
            waits.append(self.lock_file)
            return super().acquire(timeout=0)

    monkeypatch.setattr(locks, "FileLock", Impatient)
    with FileLock(f"{path}.lock"), pytest.raises(Timeout):
        pretext.ensure_proxies(["proxy_resnet18"])
    assert not path.exists()


def test_progress_runs_from_the_first_image_to_the_last_step(tiny_recipes):
    told = []
    pretext.ensure_proxies(["proxy_resnet18"], lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == [*range(1, 13), 16, 20]
    assert {total for _, total in told} == {20}


def test_folded_batchnorm_leaves_a_plain_vgg16_with_the_same_activations():
    net = make_network({"architecture": "vgg16", "num_classes": 3, "dropout": 0.0}, IMAGENET.at(32), {}, seed=0)
    keys = list(net.state_dict())
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with pretext.temporary_batchnorm(net):
        assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules()) == 13  # one a convolution
        for _ in range(3):
            net.train()(images)  # statistics away from their start
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.weight.uniform_(0.5, 2)
                    module.bias.uniform_(-1, 1)
            expected = net.eval()(images)
    assert list(net.state_dict()) == keys
    with torch.no_grad():
        torch.testing.assert_close(net(images), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("render", [render_persons, render_traits])
def test_images_are_the_same_each_time_and_differ_between_seeds(render):
    one, two, other = (render(48, 12, 32, seed, lambda done: None) for seed in (0, 0, 1))
    assert np.array_equal(one.images, two.images)
    assert np.array_equal(one.labels, two.labels)
    assert not np.array_equal(one.images, other.images)
    assert (one.images.dtype, one.images.shape) == (np.uint8, (48, 32, 32, 3))
    assert one.labels.shape == (48, len(one.classes))
    assert (one.labels.min(0) >= 0).all()
    assert (one.labels.max(0) < one.classes).all()
    assert (one.labels != one.labels[0]).any(0).all()  # no question has the same answer everywhere


def test_siblings_look_alike_and_each_holds_the_face_in_a_way_of_their_own():
    first, sibling, stranger = (find_person(0, person) for person in (0, 1, SIBLINGS))
    assert replace(first, shape=sibling.shape) == sibling
    assert first.shape != sibling.shape
    assert replace(first, shape=stranger.shape) != stranger
    labels = render_persons(2 * 4 * TAKES, 4, 32, 0, lambda done: None).labels.reshape(2, 4, TAKES, -1)
    assert (labels == labels[:1, :, :1]).all()  # a person's answers never change
    assert labels[0, :, 0, 0].tolist() == [0, 1, 2, 3]
    assert len({tuple(habits) for habits in labels[0, :, 0, 1:].tolist()}) == 4


def test_no_pretext_person_is_in_a_default_data_set():
    people = render_persons(6, 6, IMAGE_PX, 0, lambda done: None).images  # whole images
    table = synthetic_table(30, ("angry", "happy", "sad"), 0)
    faces = np.stack([render_path(path, 0, IMAGE_PX) for path in table["path"]])
    assert all((faces != image).any(axis=(1, 2, 3)).all() for image in people)
