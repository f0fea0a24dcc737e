"""What a GPU does and a CPU can be told to do: read each step when the next one is under way, change the layout
half-way, keep the images in the device's memory. None of it changes what is learned, skipped or told."""

import copy
import json
import signal

import pandas as pd
import pytest
import tiny_training
import torch
from own_processes import run_process
from tiny_training import ALONE, MODEL, WALL_TIMES, TinyNet, make_dataset, make_trainer, same_bits, spoil

from emotion_utils.store.batches import iterate_batches
from emotion_utils.store.resident import ResidentImages, keep_resident, make_resident
from emotion_utils.training import checkpoint, epochs
from emotion_utils.training.batch_size import activation_bytes, choose_batch_size, fit_batch_size
from emotion_utils.training.numerics import Numerics

PHASES = [{"epoch": 1, "train_from": "body"}, {"epoch": 2, "train_from": "stem"}]


def outcome(trainer):
    """Everything that a training leaves behind, but for its wall times."""
    history = trainer.fit().drop(columns=WALL_TIMES)
    return history, trainer.best, trainer.learner.net.state_dict(), trainer.run.read("events", MODEL)


def assert_same_outcome(one, other):
    pd.testing.assert_frame_equal(one[0], other[0], check_exact=True)
    assert same_bits(one[1], other[1])
    assert same_bits(one[2], other[2])
    assert one[3] == other[3]


# -- reading later ---------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 2])
@pytest.mark.parametrize(
    ("spoilt", "settings"),
    [
        ((), {"phases": PHASES, "mixup": 0.2, "clip_norm": 0.05}),
        ({2, 9}, {"clip_norm": 0.05}),  # skipped
        ({6, 7}, {}),  # the last step of an epoch
        ({2}, {"precision": "float16"}),
    ],
)
def test_a_step_that_is_read_later_changes_no_bit(tmp_path, lag, spoilt, settings):
    outcomes = []
    for steps in (0, lag):
        trainer = make_trainer(tmp_path / str(steps), net=TinyNet(), epochs=2, **settings)
        trainer.learner.lag = steps
        spoil(trainer, spoilt)
        outcomes.append(outcome(trainer))
    assert_same_outcome(*outcomes)


def test_a_rollback_comes_a_step_later_and_leads_to_the_same_place(tmp_path):
    outcomes = []
    for lag, spoilt in ((0, {8, 9, 10, 11}), (1, {8, 9, 10, 11, 12})):  # one more has begun by then
        trainer = make_trainer(tmp_path / str(lag), net=TinyNet(), epochs=2, train=64)
        trainer.learner.lag = lag
        spoil(trainer, {step + 2 for step in spoilt})
        outcomes.append(outcome(trainer))
        assert [event["kind"] for event in outcomes[-1][3]].count("rollback") == 1
    assert_same_outcome(*outcomes)


def test_a_spike_that_is_read_later_leaves_the_averaged_weights_alone(tmp_path):
    bests = []
    for lag in (0, 1):
        trainer = make_trainer(tmp_path / str(lag), net=TinyNet(), epochs=2, ema_decay=0.9)
        trainer.learner.lag = lag
        spoil(trainer, {3, 4, 9})
        trainer.fit()
        bests.append(trainer.best)
    for name, value in bests[0].items():
        torch.testing.assert_close(bests[1][name], value, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return finish(tmp_path_factory.mktemp("undisturbed"))


def finish(folder):
    """What a process leaves that trains to the end."""
    assert run_process(train_and_save, folder) == 0
    return [(folder / file).read_bytes() for file in ("rows.csv", "best.pt")]


@pytest.mark.parametrize("kill", [pytest.param(4, marks=pytest.mark.slow), 14])
def test_killed_with_a_step_under_way_and_resumed_gives_the_same_bits(tmp_path, undisturbed, kill):
    assert run_process(train_and_save, tmp_path, kill) == -signal.SIGKILL
    assert finish(tmp_path) == undisturbed
    lines = (tmp_path / "models" / MODEL / "events.jsonl").read_text().splitlines()
    assert "resumed" in [json.loads(line)["kind"] for line in lines]


def train_and_save(folder, kill_at=0):
    torch.set_num_threads(1)
    checkpoint.INTERVAL_S, checkpoint.COST_SHARE = 0.0, 1e9
    trainer = make_trainer(folder, net=TinyNet(), phases=PHASES, mixup=0.2)
    trainer.learner.lag = 1
    if kill_at:
        tiny_training._kill_at(trainer, kill_at)
    trainer.fit()
    pd.DataFrame(trainer.rows).drop(columns=WALL_TIMES).to_csv(folder / "rows.csv", index=False)
    torch.save(trainer.best, folder / "best.pt")


# -- another layout --------------------------------------------------------------------------------


def train_and_switch(folder, switch, **settings):
    """A training that is laid out anew before its 4th step, or never; a rollback comes after that."""
    trainer = make_trainer(folder, net=TinyNet(norm=False), epochs=2, **settings)
    learner, original, calls = trainer.learner, trainer.learner.begin, []

    def begin(*args, **kwargs):
        calls.append(1)
        if switch and len(calls) == 4:
            learner.use(Numerics(learner.numerics.precision, channels_last=True))
            assert learner.net.body[0].weight.is_contiguous(memory_format=torch.channels_last)
        return original(*args, **kwargs)

    learner.begin = begin
    spoil(trainer, {8, 9, 10, 11})
    return trainer, trainer.fit()


@pytest.mark.parametrize(
    "settings",
    [{"ema_decay": 0.9}, {"clip_norm": 0.01}, {"precision": "float16"}, {"precision": "float16", "clip_norm": 0.01}],
)
@pytest.mark.parametrize("lag", [0, 1])
def test_means_clipping_scale_and_rollback_survive_another_layout(tmp_path, monkeypatch, settings, lag):
    original = epochs.Learner.__init__
    monkeypatch.setattr(
        epochs.Learner, "__init__", lambda self, *a, **k: (original(self, *a, **k), setattr(self, "lag", lag))[0]
    )
    (plain, one), (switched, two) = (
        train_and_switch(tmp_path / str(switch), switch, **settings) for switch in (False, True)
    )
    kinds = [[event["kind"] for event in trainer.run.read("events", MODEL)] for trainer in (plain, switched)]
    assert kinds[0] == kinds[1]
    assert kinds[0].count("rollback") == 1
    near = {"atol": 2e-3, "rtol": 0.05} if "precision" in settings else {"atol": 1e-5, "rtol": 1e-4}
    assert two["train_loss"].tolist() == pytest.approx(one["train_loss"].tolist(), rel=0.02)
    for name, value in plain.best.items():
        torch.testing.assert_close(switched.best[name], value, **near)
    assert switched.learner.scaler.get_scale() == plain.learner.scaler.get_scale()


@pytest.mark.parametrize("layouts", [(False, True), (True, False)])
def test_a_checkpoint_made_in_one_layout_is_read_in_the_other(tmp_path, layouts):
    """Steps after it are those of the network that was never laid out otherwise."""
    learners = []
    for place, channels_last in enumerate(layouts):
        trainer = make_trainer(tmp_path / str(place), net=TinyNet(norm=False), ema_decay=0.5)
        trainer.learner.net.to(memory_format=torch.contiguous_format)
        trainer.learner.use(Numerics(channels_last=channels_last))
        trainer.learner.enter(trainer.recipe.phases[0])
        trainer.learner.guard.start_epoch(100)
        learners.append(trainer.learner)
    batches = list(trainer._batches())

    def step(learner, number):
        learner.step(batches[number], epoch=1, number=number, rate_factor=1.0)

    for number in range(3):
        step(learners[0], number)
    torch.save(learners[0].state(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    learners[1].restore(state | {"numerics": {"channels_last": layouts[1]}})
    assert learners[1].numerics.channels_last == layouts[1]
    for number in range(3, 6):
        for learner in learners:
            step(learner, number)
    for weights in (lambda learner: dict(learner.net.named_parameters()), lambda learner: learner.averaged):
        for name, value in weights(learners[0]).items():
            torch.testing.assert_close(weights(learners[1])[name], value, atol=1e-6, rtol=1e-4)


# -- images on the device ------------------------------------------------------------------------


def test_images_on_the_device_give_the_same_batches(tmp_path):
    data = make_dataset(50, 1)
    data = data.__class__(data.images, data.rows[::-1].copy(), data.labels, data.ids, data.class_names)
    resident = make_resident(data, torch.device("cpu"))
    how = {"batch_size": 8, "seed": 3, "epoch": 2, "shuffle": True}
    for one, other in zip(iterate_batches(data, **how), iterate_batches(resident, **how), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert (one.ids, one.total) == (other.ids, other.total)


def test_a_training_from_images_on_the_device_gives_the_same_bits(tmp_path, monkeypatch):
    plain = outcome(make_trainer(tmp_path / "plain", net=TinyNet()))
    monkeypatch.setattr(epochs, "keep_resident", make_resident)
    trainer = make_trainer(tmp_path / "resident", net=TinyNet())
    assert isinstance(trainer.train_set.images, ResidentImages)
    assert_same_outcome(outcome(trainer), plain)


def test_images_stay_where_they_are_on_a_cpu_and_without_room(monkeypatch):
    data = make_dataset(50, 1)
    assert keep_resident(data, torch.device("cpu")) is data
    needed = 50 * 16 * 16 * 3
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * needed - 1, 10**9))
    assert keep_resident(data, torch.device("cuda")) is data


# -- a batch size that is left to the machine ------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "megabytes_each", "free_megabytes", "expected"),
    [
        (100_000, 1, 1000, 256),
        (100_000, 1, 255, 128),
        (100_000, 10, 100, 32),  # no less than the recipes were made for; memory back-off does the rest
        (128 * 40, 1, 1000, 128),
        (128 * 40 - 1, 1, 1000, 64),
        (100, 1, 1000, 32),
    ],
)
def test_a_batch_is_as_large_as_memory_and_steps_of_an_epoch_allow(images, megabytes_each, free_megabytes, expected):
    assert fit_batch_size(images, megabytes_each * 1e6, free_megabytes * 1e6) == expected


def test_a_cpu_takes_the_batch_that_recipes_were_made_for(tmp_path):
    config = make_trainer(tmp_path).config.model_copy(update={"batch_size": "auto"})
    assert choose_batch_size(config, TinyNet(), make_dataset(48, 1), ALONE) == 32
    assert choose_batch_size(config.model_copy(update={"batch_size": 7}), TinyNet(), make_dataset(48, 1), ALONE) == 7


def test_what_an_image_costs_is_what_its_layers_keep(tmp_path):
    net = TinyNet(norm=False, dropout=0.0)
    before = copy.deepcopy(net.state_dict())
    # Both convolutions' inputs and their activations (kept once), and what the head and its mean need.
    first, second = 4 * 7 * 7, 8 * 3 * 3
    expected = 4 * (3 * 16 * 16 + first + second)
    assert activation_bytes(net, 16) == pytest.approx(expected, rel=0.1)
    assert same_bits(net.state_dict(), before)
    assert all(parameter.device.type == "cpu" for parameter in net.parameters())


def test_a_larger_batch_raises_the_rates_by_its_root_and_both_are_written_down(tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, "choose_batch_size", lambda *known: 128)
    trainer = make_trainer(tmp_path, train=300, batch_size="auto", epochs=1, schedule="constant")
    assert make_trainer(tmp_path, train=300, batch_size="auto", optimizer="sgd").rate_factor(0) == 4.0  # linear
    history = trainer.fit()
    (started,) = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "started"]
    assert (started["batch_size"], started["batch_rate_factor"]) == (128, 2.0)
    assert history["lr"].tolist() == [pytest.approx(0.02)]
    assert trainer.steps_per_epoch == 3


def test_a_resumed_training_keeps_the_batch_that_it_began_with(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "INTERVAL_S", 0.0)
    monkeypatch.setattr(checkpoint, "COST_SHARE", 1e9)
    monkeypatch.setattr(epochs, "choose_batch_size", lambda *known: 16)
    settings = {"train": 100, "batch_size": "auto", "epochs": 2}
    whole = outcome(make_trainer(tmp_path / "whole", net=TinyNet(), **settings))
    trainer = make_trainer(tmp_path / "killed", net=TinyNet(), **settings)
    original, calls = trainer.learner.begin, []

    def begin(*args, **kwargs):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    trainer.learner.begin = begin
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    monkeypatch.setattr(epochs, "choose_batch_size", lambda *known: 64)  # as a GPU with more memory would have
    again = outcome(make_trainer(tmp_path / "killed", net=TinyNet(), **settings))
    pd.testing.assert_frame_equal(again[0], whole[0], check_exact=True)
    assert same_bits(again[1], whole[1])
