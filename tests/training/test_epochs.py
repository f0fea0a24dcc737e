"""The loop: what it freezes, counts, keeps and repeats."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_training import MODEL, WALL_TIMES, TinyNet, make_dataset, make_trainer, same_bits

from emotion_utils.artefacts import HISTORY_COLUMNS
from emotion_utils.counter_rng import draw_uniform, mix_keys
from emotion_utils.store.augment import augment, to_unit
from emotion_utils.store.batches import iterate_batches
from emotion_utils.training.repeatable import KeyedDropout, key_dropouts, mix_pairs

HEAD_FIRST = [{"epoch": 1, "train_from": "head"}, {"epoch": 3, "train_from": "body"}]


def clone(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def test_frozen_weights_and_batchnorm_statistics_do_not_move(tmp_path):
    net = TinyNet()
    before = clone(net)
    make_trainer(tmp_path, net=net, epochs=2, phases=HEAD_FIRST, weight_decay=0.5).fit()
    moved = {name.split(".")[0] for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"head"}


def test_a_phase_thaws_its_groups_and_no_others(tmp_path):
    net = TinyNet()
    before = clone(net)
    trainer = make_trainer(tmp_path, net=net, epochs=3, phases=HEAD_FIRST)
    history = trainer.fit()
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith("stem") for name in moved)
    assert {"body.0.weight", "body.1.running_mean"} <= moved
    assert history["phase"].tolist() == ["head-head", "head-head", "body-head"]
    thawed = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "phase"]
    assert [(event["epoch"], event["trainable_parameters"]) for event in thawed] == [(1, 27), (3, 27 + 312)]


def test_a_group_frozen_again_stays_where_it_was(tmp_path):
    phases = [{"epoch": 1, "train_from": "stem"}, {"epoch": 2, "train_from": "head"}]
    one, two = TinyNet(), TinyNet()
    make_trainer(tmp_path / "one", net=one, epochs=1, phases=phases, schedule="constant").fit()
    make_trainer(tmp_path / "two", net=two, epochs=3, phases=phases, schedule="constant").fit()
    trunk = [name for name in one.state_dict() if not name.startswith("head")]
    assert all(torch.equal(one.state_dict()[name], two.state_dict()[name]) for name in trunk)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_one_epoch_equals_the_plain_loop_written_out(tmp_path, optimizer):
    plain_net = {"norm": False, "dropout": 0.0}
    settings = {"schedule": "constant", "clip_norm": 1e9, "label_smoothing": 0.2}
    trainer = make_trainer(tmp_path, net=TinyNet(**plain_net), epochs=1, optimizer=optimizer, **settings)
    history, config = trainer.fit(), trainer.config
    net = TinyNet(**plain_net)
    decayed = [p for name, p in net.named_parameters() if p.ndim > 1]
    plain = [p for name, p in net.named_parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    sgd = {"momentum": 0.9, "nesterov": True}
    optimizer = torch.optim.AdamW(groups, lr=0.01) if optimizer == "adamw" else torch.optim.SGD(groups, lr=0.01, **sgd)
    right, losses = 0, []
    for batch in iterate_batches(make_dataset(48, 1), batch_size=8, seed=config.seed, epoch=1, shuffle=True):
        images = augment(batch.images, batch.ids, config=config.augment, seed=config.seed, epoch=1)
        logits = net(images)
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)  # what the history tells: without smoothing
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, batch.labels, label_smoothing=0.2).backward()
        optimizer.step()
        right += int((logits.argmax(1) == batch.labels).sum())
        losses.append(loss.item())
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(trainer.learner.net.state_dict()[name], tensor, atol=1e-5, rtol=1e-4)
    assert history["train_correct"].tolist() == [right]
    assert history["train_loss"][0] == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_counts_and_losses_are_those_of_every_image_and_not_averages_of_batches(tmp_path):
    trainer = make_trainer(tmp_path, train=45, val=67, epochs=2)  # a last batch of 5 of 8, and one of 3 of 64
    history = trainer.fit()
    assert list(history.columns[: len(HISTORY_COLUMNS)]) == list(HISTORY_COLUMNS)
    assert history["train_count"].tolist() == [45, 45]
    data = make_dataset(67, 2)
    net = trainer.learner.net.eval()
    with torch.no_grad():
        logits = net(to_unit(torch.from_numpy(data.images).permute(0, 3, 1, 2)))
    assert history["val_correct"].iloc[-1] == int((logits.argmax(1) == data.labels).sum())
    assert history["val_acc"].iloc[-1] == history["val_correct"].iloc[-1] / 67
    expected = torch.nn.functional.cross_entropy(logits, data.labels).item()
    assert history["val_loss"].iloc[-1] == pytest.approx(expected, rel=1e-5)
    pd.testing.assert_frame_equal(trainer.run.read("history", MODEL), history, check_dtype=False)


def test_best_epoch_is_kept_also_when_the_last_one_is_worse(tmp_path):
    trainer = make_trainer(tmp_path, epochs=4, lr=0.05)
    accuracies, states = iter([0.2, 0.9, 0.9, 0.4]), []

    def evaluate(dataset):
        states.append(clone(trainer.learner.net))
        return 1.0, round(next(accuracies) * len(dataset))

    trainer.learner.evaluate = evaluate
    trainer.fit()
    assert same_bits(trainer.best, states[1])
    assert not same_bits(trainer.best, states[2])
    assert trainer.run.read("events", MODEL)[-1]["epoch"] == 2


GROW = [{"epoch": 1, "size_px": 16}, {"epoch": 2, "size_px": 32}]


def sizes_seen(net):
    """The sides of the images that `net` is shown from now on, while it learns and while it is judged."""
    seen = {True: [], False: []}
    net.register_forward_pre_hook(lambda module, inputs: seen[module.training].append(inputs[0].shape[-1]))
    return seen


def test_images_grow_and_every_epoch_is_judged_at_full_size(tmp_path):
    trainer = make_trainer(tmp_path, size_px=32, epochs=3, progressive_resizing=GROW)
    seen = sizes_seen(trainer.learner.net)
    trainer.fit()
    assert seen[True] == [16] * 6 + [32] * 12
    assert set(seen[False]) == {32}
    grown = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "grow"]
    assert [(event["epoch"], event["size_px"]) for event in grown] == [(1, 16), (2, 32)]


def test_patience_ends_the_training_and_is_written_down(tmp_path):
    trainer = make_trainer(tmp_path, epochs=9, patience=2)
    accuracies = iter([0.2, 0.6, 0.6, 0.4, 0.9])
    trainer.learner.evaluate = lambda dataset: (1.0, round(next(accuracies) * len(dataset)))
    assert len(trainer.fit()) == 4
    assert [event["kind"] for event in trainer.run.read("events", MODEL)][-2:] == ["early_stop", "best_epoch"]


def test_the_first_epoch_is_trained_whatever_the_budget(tmp_path):
    trainer = make_trainer(tmp_path, epochs=9, budget_minutes=1e-9)
    assert len(trainer.fit()) == 1
    assert trainer.best


def test_a_training_that_its_budget_ends_keeps_its_best_epoch(tmp_path):
    trainer = make_trainer(tmp_path, epochs=9, lr=0.05, budget_minutes=3)
    accuracies, states = iter([0.2, 0.9, 0.4]), []

    def evaluate(dataset):
        states.append(clone(trainer.learner.net))
        return 1.0, round(next(accuracies) * len(dataset))

    original = trainer._row
    trainer._row = lambda *parts: original(*parts) | {"seconds": 60.0}
    trainer.learner.evaluate = evaluate
    assert len(trainer.fit()) == 3
    assert same_bits(trainer.best, states[1])
    stopped, best = trainer.run.read("events", MODEL)[-2:]
    reason = "another epoch would outlast the 3 min 0 s that it may take"
    assert (stopped["kind"], stopped["reason"]) == ("early_stop", reason)
    assert best["epoch"] == 2


def test_two_trainings_give_the_same_bits(tmp_path):
    settings = {"ema_decay": 0.9, "mixup": 0.2, "label_smoothing": 0.1, "schedule": "one_cycle"}
    one, two = (make_trainer(tmp_path / name, **settings) for name in ("one", "two"))
    torch.manual_seed(1)
    first = one.fit()
    torch.manual_seed(2)  # what others draw from the global generator is of no consequence
    second = two.fit()
    pd.testing.assert_frame_equal(first.drop(columns=WALL_TIMES), second.drop(columns=WALL_TIMES), check_exact=True)
    assert same_bits(one.best, two.best)


def uneven(dataset):
    """The first class loses three quarters of its images."""
    kept = [place for place, label in enumerate(dataset.labels) if label or place % 4 == 0]
    ids = [dataset.ids[place] for place in kept]
    return replace(dataset, rows=dataset.rows[kept], labels=dataset.labels[kept], ids=ids)


def test_class_weights_make_a_rare_class_count_as_much_as_the_others(tmp_path):
    data = uneven(make_dataset(48, 1))
    trainer = make_trainer(tmp_path, net=TinyNet(norm=False, dropout=0.0), balance="class_weights", train_set=data)
    trainer.learner.enter(trainer.recipe.phases[0])
    gradients = []
    head = trainer.learner.net.head[1]
    trainer.learner.optimizer.step_clipped = lambda *how: gradients.append(head.bias.grad.clone())
    batch = next(iterate_batches(data, batch_size=99, seed=0, epoch=1, shuffle=True))
    trainer.learner.step(batch, epoch=1, number=1, rate_factor=1.0)
    images = augment(batch.images, batch.ids, config=trainer.config.augment, seed=0, epoch=1)
    wrong = trainer.learner.net(images).softmax(1) - torch.nn.functional.one_hot(batch.labels)
    by_class = [wrong[batch.labels == label].mean(0) for label in range(3)]
    torch.testing.assert_close(gradients[0], torch.stack(by_class).mean(0).detach(), atol=1e-6, rtol=1e-4)


def test_the_sampler_shows_all_classes_equally_often(tmp_path):
    trainer = make_trainer(tmp_path, balance="sampler", train_set=uneven(make_dataset(48, 1)))
    labels = torch.cat([batch.labels for batch in trainer._batches()])
    assert labels.bincount().sub(12).abs().max() <= 1  # of 4, 16 and 16 images


@pytest.mark.parametrize("lag", [0, 1])
def test_averaged_weights_follow_the_network_and_are_what_is_kept(tmp_path, lag):
    trainer = make_trainer(tmp_path, net=TinyNet(dropout=0.0), epochs=1, ema_decay=0.99)
    trainer.learner.lag = lag
    expected, original, steps = clone(trainer.learner.net), trainer.learner.begin, []

    def step(*args, **kwargs):
        result = original(*args, **kwargs)
        steps.append(1)
        weight = min(0.99, (1 + len(steps)) / (10 + len(steps)))
        for name, value in trainer.learner.net.state_dict().items():
            if value.is_floating_point():  # running statistics too: those of other weights would not fit
                expected[name] = weight * expected[name] + (1 - weight) * value
        return result

    trainer.learner.begin = step
    trainer.fit()
    assert {"stem.1.running_mean", "stem.1.running_var"} <= set(trainer.learner.averaged)
    for name in trainer.learner.averaged:
        torch.testing.assert_close(trainer.best[name], expected[name], atol=1e-6, rtol=1e-5)
    validated = trainer.rows[0]["val_loss"]
    net = TinyNet(dropout=0.0)
    net.load_state_dict(trainer.best)
    data = trainer.val_set
    with torch.no_grad():
        logits = net.eval()(to_unit(torch.from_numpy(data.images).permute(0, 3, 1, 2)))
    assert validated == pytest.approx(torch.nn.functional.cross_entropy(logits, data.labels).item(), rel=1e-5)


def test_a_recipe_may_have_epochs_of_its_own(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.epochs = 5
    assert len(trainer.fit()) == 5
    assert make_trainer(tmp_path / "own", epochs=3).epochs == 3


def test_progress_counts_every_step_to_the_end(tmp_path):
    told = []
    make_trainer(tmp_path, train=45, epochs=2).fit(lambda done, total: told.append((done, total)))
    assert told == [(done, 12) for done in range(1, 13)]


def numbers(start, stop):
    return np.arange(start, stop, dtype=np.uint64)


def keys(start, stop):
    return torch.arange(start, stop)


def test_dropout_depends_on_the_sample_and_not_on_its_batch():
    dropout = key_dropouts(torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout(0.4)))[0]
    dropout.set_keys(keys(10, 16))
    whole = dropout(torch.ones(6, 500))
    dropout.set_keys(keys(14, 16))
    assert torch.equal(dropout(torch.ones(2, 500)), whole[4:])
    assert whole.count_nonzero().item() / whole.numel() == pytest.approx(0.6, abs=0.03)
    assert whole.max().item() == pytest.approx(1 / 0.6)
    assert not torch.equal(whole[0], whole[1])
    assert torch.equal(dropout.eval()(torch.ones(2, 3)), torch.ones(2, 3))


def test_dropout_keeps_what_the_numbers_of_its_keys_say():
    numpy_keys = mix_keys(numbers(0, 7), 5)
    for rate in (0.1, 0.5, 1 / 3):
        dropout = KeyedDropout(rate, layer=2)
        dropout.set_keys(torch.from_numpy(numpy_keys.view(np.int64)))
        first = mix_keys(numpy_keys, 2)
        for drawn in (draw_uniform(first, 300), draw_uniform(mix_keys(first, 0), 300)):
            assert torch.equal(dropout(torch.ones(7, 300)) > 0, torch.from_numpy(drawn >= rate))


def test_a_dropout_of_maps_or_under_two_names_is_keyed_too():
    shared = torch.nn.Dropout(0.5)
    net = torch.nn.Module()
    net.one, net.two = shared, shared
    dropouts = key_dropouts(net)
    assert isinstance(net.one, KeyedDropout)
    assert isinstance(net.two, KeyedDropout)
    for dropout in dropouts:
        dropout.set_keys(keys(0, 4))
    assert net.one(torch.ones(4, 3, 5, 5)).shape == (4, 3, 5, 5)


def test_every_use_of_dropout_draws_its_own_mask():
    one, two = KeyedDropout(0.5, 0), KeyedDropout(0.5, 1)
    for dropout in (one, two):
        dropout.set_keys(keys(0, 4))
    masks = [dropout(torch.ones(4, 99)) for dropout in (one, two, one, two)]
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 4


def test_mixup_pairs_neighbours_and_keeps_most_of_each():
    images = torch.eye(5).view(5, 1, 1, 5).expand(5, 3, 1, 5).contiguous()
    mixed, targets = mix_pairs(images, torch.eye(5), numbers(0, 5), alpha=0.4)
    assert torch.allclose(mixed[:, 0, 0], targets)  # image and target are mixed in the same parts
    assert torch.allclose(targets.sum(1), torch.ones(5))
    assert (targets.diagonal() >= 0.5).all()
    for place, partner in enumerate([1, 0, 3, 2, 4]):
        assert set(targets[place].nonzero().flatten().tolist()) <= {place, partner}
    assert torch.equal(mixed[4], images[4])
