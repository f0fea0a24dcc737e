"""`emotion bench proxies`: fair pairs, people nobody trained on, intervals, and that nothing is trained twice."""

import numpy as np
import pandas as pd
import pytest

from emotion_utils.bench import proxies
from emotion_utils.config import resolve_config
from emotion_utils.models.weights.choice import needed_proxies
from emotion_utils.sources.source import SYNTHETIC_CLASSES, SYNTHETIC_SIZE_PX
from emotion_utils.store.resize import resize_square
from emotion_utils.synthetic.faces import render_path, synthetic_table
from emotion_utils.training import pretext


@pytest.mark.parametrize(("network", "models"), proxies.NETWORKS.items())
def test_both_of_a_pair_see_the_same_images_for_as_many_epochs(network, models):
    scratch, proxy = (proxies.make_config(network, start, 3) for start in proxies.STARTS)
    assert scratch.model_dump(exclude={"recipes"}) == proxy.model_dump(exclude={"recipes"})
    assert proxy == resolve_config("demo", seed=3)
    assert [config.recipes[model].epochs for config, model in zip((scratch, proxy), models, strict=True)] == [None] * 2
    assert scratch.recipes[models[0]].phases[0].train_from in ("conv1", "stem")  # nothing random is frozen
    assert needed_proxies(models[0], scratch.weights_of(models[0]), 48) == []
    assert needed_proxies(models[1], proxy.weights_of(models[1]), 48) == [f"proxy_{network}"]


def test_new_people_are_drawn_like_those_of_a_run_and_are_none_of_them():
    images = proxies.draw_held_out(30, 48)
    paths = synthetic_table(30, SYNTHETIC_CLASSES, proxies.HELD_OUT_SEED)
    assert [SYNTHETIC_CLASSES[label] for label in images.labels] == paths["label"].tolist()
    same, other = (
        resize_square(render_path(paths["path"][4], seed, SYNTHETIC_SIZE_PX), 48) for seed in (proxies.HELD_OUT_SEED, 0)
    )
    assert np.array_equal(images.images[4].permute(1, 2, 0).numpy(), same)
    assert not np.array_equal(same, other)


def test_the_interval_is_that_of_a_paired_t_test():
    differences = [0.02, 0.05, 0.03, 0.06, 0.04]
    pairs = pd.DataFrame({"network": "vgg16", "difference": differences, "test_difference": np.zeros(5)})
    row, none = proxies.summarise(pairs).to_dict("records")
    reach = 2.776445 * 0.0158113883 / 5**0.5  # t of 4 degrees of freedom, standard deviation by hand
    assert (row["mean_difference"], row["low"], row["high"]) == pytest.approx((0.04, 0.04 - reach, 0.04 + reach))
    assert (none["low"], none["high"]) == (0, 0)


@pytest.mark.slow
def test_a_pair_is_trained_once_and_again_when_the_proxy_is_another(tmp_path, monkeypatch):
    trained = []
    train_model = proxies.train_model

    def tell_and_train(run, model):
        trained.append(run.root.name)
        return train_model(run, model)

    tiny = resolve_config("smoke", ["synthetic_images=60", "epochs=1", "max_steps_per_epoch=1"], seed=1)
    monkeypatch.setattr(proxies, "make_config", lambda network, start, seed: tiny)
    monkeypatch.setattr(pretext, "QUICK", {"pictures": 8, "steps": 1, "batch_size": 4})
    monkeypatch.setattr(proxies, "train_model", tell_and_train)
    images = proxies.draw_held_out(30, 32)
    row = proxies.compare_pair("resnet18", tmp_path, 1, images)
    assert trained == ["resnet18-scratch", "resnet18-proxy"]
    assert row["difference"] == row["proxy"] - row["scratch"]
    assert proxies.compare_pair("resnet18", tmp_path, 1, images) == row
    assert len(trained) == 2
    monkeypatch.setitem(pretext.RECIPES["proxy_resnet18"], "seed", 1)
    proxies.compare_pair("resnet18", tmp_path, 1, images)
    assert trained[2:] == ["resnet18-proxy"]
