"""Grad-CAM against its definition, and a network that looks at one place only."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from emotion_utils.evaluation import explain
from emotion_utils.evaluation.explain import (
    choose_images,
    choose_layer,
    compare_randomised,
    explain_faces,
    gradcam,
    measure_saliency,
    predict_occluded,
    rank_correlations,
    saliency_maps,
)  # fmt: skip
from emotion_utils.evaluation.predict import predict_probs
from emotion_utils.evaluation.regions import RegionBox
from emotion_utils.models.zoo import build_model
from emotion_utils.store.augment import to_unit
from emotion_utils.store.batches import Dataset

MODELS = ("VGG16_emotion", "r18_scratch_emotion")
REGIONS = {"left": RegionBox(0, 0, 0.5, 1), "right": RegionBox(0.5, 0, 1, 1)}


def network(model, size_px=48, seed=0):
    return build_model(model, num_classes=3, image_size_px=size_px, weights="random", seed=seed).eval()


@pytest.fixture(scope="module")
def dataset():
    images = np.random.default_rng(0).integers(0, 256, (9, 48, 48, 3), dtype=np.uint8)
    ids = [f"id{number}" for number in range(9)]
    return Dataset(images, np.arange(9), torch.tensor([0, 1, 2] * 3), ids, ("angry", "happy", "sad"))


@pytest.mark.parametrize(
    ("model", "size_px", "name"),
    [
        ("VGG16_emotion", 48, "pool4"), ("r18_pre_emotion", 48, "layer2"), ("VGG16_emotion", 224, "pool5"),
        ("r18_pre_emotion", 224, "layer4"), ("VGG16_emotion", 32, "pool3"), ("r18_pre_emotion", 32, "layer1"),
    ],
)  # fmt: skip
def test_layer_is_the_deepest_that_still_tells_places_apart(model, size_px, name):
    assert choose_layer(network(model, size_px)).name == name


@pytest.mark.parametrize("model", MODELS)
def test_gradcam_is_what_its_definition_says(model, dataset):
    net, images, targets = network(model), dataset.batch(np.arange(4)).images, torch.tensor([0, 1, 2, 0])
    layer, seen = choose_layer(net), []

    def keep(module, inputs, output):
        seen.append(inputs[0] if layer.at_input else output)
        seen[0].retain_grad()

    handle = layer.module.register_forward_hook(keep)
    logits = net(to_unit(images))
    handle.remove()
    logits.gather(1, targets[:, None]).sum().backward()
    weights = seen[0].grad.mean(dim=(2, 3), keepdim=True)
    expected = (weights * seen[0]).sum(dim=1).detach()
    assert gradcam(net, images, targets).shape == expected.shape
    assert torch.allclose(gradcam(net, images, targets), expected, rtol=1e-4, atol=1e-7)


def test_maps_are_between_zero_and_one_and_of_the_size_of_the_image(dataset):
    maps = saliency_maps(network("r18_scratch_emotion"), dataset.batch(np.arange(3)).images, torch.tensor([0, 1, 2]))
    assert maps.shape == (3, 48, 48)
    assert maps.min() >= 0
    assert set(maps.max(axis=(1, 2)).round(9)) <= {0.0, 1.0}
    assert explain_faces({"a": network("r18_scratch_emotion")}, np.empty((0, 48, 48, 3), np.uint8))["a"].shape[0] == 0


def test_correlations_are_those_of_scipy_and_none_for_a_constant_map():
    rng = np.random.default_rng(0)
    maps, others = rng.normal(size=(3, 6, 6)).round(1), rng.normal(size=(3, 6, 6)).round(1)  # with ties
    others[2] = 5
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(maps[:2], others[:2], strict=True)]
    assert np.allclose(rank_correlations(maps, others), [*expected, 0])


def test_weights_that_are_drawn_anew_change_the_map_and_the_network_keeps_its_own(dataset):
    net = network("r18_scratch_emotion")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = torch.get_rng_state()
    table = compare_randomised({"a": net}, dataset, np.arange(6), seed=0)
    assert list(table["group"].drop_duplicates()) == ["head", "layer4", "layer3", "layer2", "layer1", "stem"]
    assert table[table["step"] == 6]["correlation"].abs().mean() < 0.8
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert table.equals(compare_randomised({"a": net}, dataset, np.arange(6), seed=0))


def test_tables_hold_every_image_model_and_region_with_the_networks_own_answers(dataset):
    nets = {model: network(model) for model in MODELS}
    chosen = choose_images(dataset, 6)
    assert list(dataset.labels[chosen].bincount()) == [2, 2, 2]
    looked, covered = measure_saliency(nets, dataset, chosen, REGIONS), predict_occluded(nets, dataset, chosen, REGIONS)
    assert len(looked) == 2 * 6
    assert len(covered) == 2 * 6 * 2
    total = looked[["left", "right", "elsewhere"]].sum(axis=1)
    assert np.allclose(total[total > 0], 1, atol=1e-5)
    own = predict_probs(nets[MODELS[1]], dataset.batch(chosen).images).argmax(axis=1)
    said = looked[looked["model"] == MODELS[1]]["predicted"]
    assert list(said) == [dataset.class_names[place] for place in own]


def test_covering_changes_the_answer_of_a_network_that_looks_there_only(dataset):
    class Left(torch.nn.Module):
        """Says `happy` of images whose left half varies, else `angry`."""

        views = 1

        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(1))

        def forward(self, images):
            spread = images[..., :24].std(dim=(1, 2, 3)) * self.one
            return torch.stack([0.1 - spread, spread - 0.1, torch.full_like(spread, -9)], dim=1)

    table = predict_occluded({"a": Left()}, dataset, np.arange(9), REGIONS).set_index("region")
    assert set(table.loc["right", "predicted"]) == {"happy"}
    assert set(table.loc["left", "predicted"]) == {"angry"}


def test_the_last_bit_of_a_gradient_shows_in_no_map(monkeypatch):
    cells = torch.rand((4, 6, 6), generator=torch.Generator().manual_seed(0)) - 0.3
    images, targets = torch.zeros((4, 3, 48, 48), dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    maps = []
    for noise in (0.0, 1.2e-7):
        monkeypatch.setattr(explain, "gradcam", lambda *given, noise=noise: cells * (1 + noise))
        maps.append(explain.saliency_maps(None, images, targets))
    assert not torch.equal(cells, cells * (1 + 1.2e-7))
    np.testing.assert_array_equal(*maps)
    assert (maps[0].max(axis=(1, 2)) == 1).all()
