"""Phases and rates against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_training import TinyNet

from emotion_utils.errors import InputError
from emotion_utils.recipe import Recipe
from emotion_utils.training import schedule


def make_recipe(**settings):
    return Recipe.model_validate({"lr": 0.1, "phases": [{"epoch": 1, "train_from": "stem"}]} | settings)


def test_cosine_with_warmup_rises_in_a_line_and_falls_as_half_a_wave():
    recipe = make_recipe(schedule="cosine", warmup_epochs=1)
    factors = [schedule.rate_factor(recipe, step, 12, 4) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * n / 8) for n in range(8)])


def test_constant_rate_stays_after_its_warmup():
    recipe = make_recipe(schedule="constant", warmup_epochs=0.5)
    assert [schedule.rate_factor(recipe, step, 8, 4) for step in range(8)] == [0.5] + [1.0] * 7


def test_one_cycle_starts_low_peaks_at_three_tenths_and_ends_near_zero():
    recipe = make_recipe(schedule="one_cycle")
    factors = [schedule.rate_factor(recipe, step, 100, 10) for step in range(100)]
    assert factors[0] == pytest.approx(0.04)
    assert int(np.argmax(factors)) == 30
    assert factors[30] == pytest.approx(1.0)
    assert factors[15] == pytest.approx(0.52)
    assert factors[99] < 0.002


def test_images_keep_their_size_until_the_next_step_of_growth():
    recipe = make_recipe(progressive_resizing=[{"epoch": 1, "size_px": 24}, {"epoch": 3, "size_px": 48}])
    assert [schedule.size_at(recipe, epoch) for epoch in (1, 2, 3, 9)] == [24, 24, 48, 48]
    assert schedule.size_at(make_recipe(), 1) is None


@pytest.mark.parametrize("warmup", [0, 1, 5])
def test_a_training_as_short_as_its_warmup_has_rates(warmup):
    factors = [schedule.rate_factor(make_recipe(warmup_epochs=warmup), step, 3, 1) for step in range(3)]
    assert all(0 < factor <= 1 for factor in factors)


def test_plateau_lowers_the_rate_after_three_epochs_without_a_new_low():
    losses = [1.0, 0.8, 0.9, 0.85]
    assert schedule.plateau_factor(losses) == 1.0
    assert schedule.plateau_factor([*losses, 0.8]) == pytest.approx(0.3)
    assert schedule.plateau_factor([*losses, 0.8, 0.9, 0.9, 0.9]) == pytest.approx(0.09)
    assert schedule.plateau_factor([1.0, 0.9, 0.8, 0.7, 0.6]) == 1.0


def test_each_group_towards_the_input_learns_slower_by_the_layer_decay():
    groups = TinyNet().depth_groups
    recipe = make_recipe(layer_decay=0.5)
    rates = [schedule.group_rate(recipe, name, groups) for name in ("stem", "body", "head")]
    assert rates == pytest.approx([0.025, 0.05, 0.1])


def test_weights_decay_and_biases_and_norms_do_not():
    net = TinyNet()
    groups = schedule.parameter_groups(net.depth_groups, make_recipe(weight_decay=0.3))
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decay) == len(list(net.parameters()))
    plain = (
        "stem.0.bias",
        "stem.1.weight",
        "stem.1.bias",
        "body.0.bias",
        "body.1.weight",
        "body.1.bias",
        "head.1.bias",
    )
    for name, parameter in net.named_parameters():
        assert decay[id(parameter)] == (0.0 if name in plain else 0.3), name


def test_a_weight_that_layers_share_is_moved_once():
    one, two, head = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)
    two.weight = one.weight
    groups = schedule.parameter_groups({"body": [one], "more": [two], "head": [head]}, make_recipe())
    weights = [id(weight) for group in groups for weight in group["params"]]
    assert len(weights) == len(set(weights)) == 5


def test_phase_table_counts_parameters_and_names_rates():
    phases = [
        {"epoch": 1, "train_from": "head"},
        {"epoch": 3, "train_from": "stem"},
        {"epoch": 9, "train_from": "body"},
    ]
    table = schedule.phase_table(TinyNet().depth_groups, make_recipe(phases=phases, layer_decay=0.5), epochs=8)
    head, stem, body = 8 * 3 + 3, 3 * 4 * 9 + 4 + 8, 4 * 8 * 9 + 8 + 16
    assert table["phase"].tolist() == ["head-head", "stem-head"]
    assert table[["first_epoch", "last_epoch"]].to_numpy().tolist() == [[1, 2], [3, 8]]
    assert table["trainable_parameters"].tolist() == [head, head + stem + body]
    assert table["frozen_parameters"].tolist() == [stem + body, 0]
    assert table["lr_body"].tolist() == pytest.approx([0.0, 0.05])


def test_phase_table_adds_up_the_time_of_its_epochs():
    recipe = make_recipe(phases=[{"epoch": 1, "train_from": "head"}, {"epoch": 3, "train_from": "stem"}])
    history = pd.DataFrame({"epoch": [1, 2, 3, 4], "seconds": [1.0, 2.0, 4.0, 8.0]})
    table = schedule.phase_table(TinyNet().depth_groups, recipe, 4, history)
    assert table["seconds"].tolist() == [3.0, 12.0]


def test_a_depth_group_that_the_network_lacks_is_refused_with_the_known_ones():
    phase = make_recipe(phases=[{"epoch": 1, "train_from": "conv7"}]).phases[0]
    with pytest.raises(InputError, match=r"conv7.*stem, body, head"):
        schedule.apply_phase(TinyNet(), TinyNet().depth_groups, phase)
