"""Memory and spikes: faults put in at chosen steps, and what the training makes of them."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import ALONE, MODEL, TinyNet, make_trainer, same_bits, spoil

from emotion_utils.errors import EmotionError
from emotion_utils.training import learner as learner_module
from emotion_utils.training.numerics import Numerics
from emotion_utils.training.recovery import SpikeGuard, StepFigures, even_slices, is_out_of_memory


def fail_when(trainer, faulty, error=torch.OutOfMemoryError):
    """Forward passes number n on m images fail where faulty(n, m); those that fail have moved BatchNorm already."""
    net, calls = trainer.learner.net, []

    def forward(images):
        calls.append(len(images))
        logits = TinyNet.forward(net, images)
        if faulty(len(calls), len(images)):
            raise error("CUDA out of memory. Tried to allocate 2 GiB")
        return logits

    net.forward = forward
    return calls


def events_of(trainer, kind):
    return [event for event in trainer.run.read("events", MODEL) if event["kind"] == kind]


# -- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_out_of_memory_halves_the_micro_batches_and_changes_no_result(tmp_path, error):
    def train(name, faulty):
        trainer = make_trainer(tmp_path / name, net=TinyNet(norm=False), epochs=2, mixup=0.3)
        fail_when(trainer, faulty, error)
        return trainer, trainer.fit()

    _, undisturbed = train("undisturbed", lambda number, images: False)
    trainer, history = train("short", lambda number, images: images > 3 and number > 4)
    told = [(event["micro_batch_before"], event["micro_batch"]) for event in events_of(trainer, "memory_backoff")]
    assert told == [(8, 4), (4, 2)]
    assert history["train_count"].tolist() == [48, 48]
    for column in ("train_loss", "val_loss"):
        assert history[column].tolist() == pytest.approx(undisturbed[column].tolist(), rel=1e-4)
    assert history["train_correct"].tolist() == undisturbed["train_correct"].tolist()


def test_batchnorm_sees_micro_batches_and_the_result_stays_near(tmp_path):
    losses = []
    for name, most in (("whole", 99), ("split", 4)):
        trainer = make_trainer(tmp_path / name, net=TinyNet(), epochs=3)
        fail_when(trainer, lambda number, images, most=most: images > most)
        losses.append(trainer.fit()["train_loss"].to_numpy())
    assert [event["batchnorm_by_portion"] for event in events_of(trainer, "memory_backoff")] == [True]
    assert losses[1] == pytest.approx(losses[0], rel=0.15)  # each micro-batch is normalised by its own four images
    assert losses[1] != pytest.approx(losses[0], rel=1e-4)


def test_validation_too_goes_on_in_smaller_micro_batches(tmp_path):
    trainer, plain = (make_trainer(tmp_path / name, net=TinyNet()) for name in ("short", "plain"))
    fail_when(trainer, lambda number, images: images > 5)
    (loss, correct), expected = trainer.learner.evaluate(trainer.val_set), plain.learner.evaluate(plain.val_set)
    assert trainer.learner.micro.size == 7  # 15 in three micro-batches of 5
    assert (loss, correct) == (pytest.approx(expected[0], rel=1e-5), expected[1])


def test_accumulated_gradient_equals_that_of_the_whole_batch(tmp_path, monkeypatch):
    gradients = []
    for name, size in (("whole", None), ("split", 3)):
        trainer = make_trainer(tmp_path / name, net=TinyNet(norm=False))
        trainer.learner.micro.size = size
        trainer.learner.enter(trainer.recipe.phases[0])
        monkeypatch.setattr(
            trainer.learner.optimizer, "step_clipped",
            lambda *how, net=trainer.learner.net: gradients.append([p.grad.clone() for p in net.parameters()]),
        )  # fmt: skip
        trainer.learner.step(next(trainer._batches()), epoch=1, number=1, rate_factor=1.0)
    assert len(gradients) == 2
    for whole, split in zip(*gradients, strict=True):
        torch.testing.assert_close(split, whole, atol=1e-7, rtol=1e-4)


def test_a_failed_attempt_leaves_no_trace_in_batchnorm(tmp_path):
    # Once the micro-batches are halved the statistics differ; so the fault comes once, in the very first pass of a step
    # whose micro-batches are as small as they will be in the undisturbed training.
    states = []
    for name, faults in (("undisturbed", ()), ("disturbed", (1,))):
        trainer = make_trainer(tmp_path / name, net=TinyNet(), epochs=1)
        trainer.learner.micro.size = 4 if not faults else None
        fail_when(trainer, lambda number, images, faults=faults: number in faults)
        trainer.fit()
        states.append(trainer.learner.net.state_dict())
    assert same_bits(*states)


def test_a_single_image_that_does_not_fit_is_an_error_with_advice(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet(norm=False))
    fail_when(trainer, lambda number, images: True)
    with pytest.raises(EmotionError, match=r"single image.*image_size_px"):
        trainer.fit()
    assert [event["micro_batch"] for event in events_of(trainer, "memory_backoff")] == [4, 2, 1]


def test_another_error_is_not_taken_for_a_lack_of_memory(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.learner.net.forward = lambda images: torch.ones(2, 3) @ torch.ones(2, 3)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trainer.fit()
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_the_cpu_allocator_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(("images", "size"), [(8, 8), (9, 8), (17, 16), (5, 2), (1, 1), (33, 8)])
def test_micro_batches_cover_the_batch_evenly(images, size):
    lengths = [part.stop - part.start for part in even_slices(images, size)]
    assert sum(lengths) == images
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1


# -- spikes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_without_a_finite_loss_is_skipped_and_its_images_recorded(tmp_path, value):
    trainer = make_trainer(tmp_path, epochs=2)
    spoil(trainer, {2, 9}, value)
    history = trainer.fit()
    told = events_of(trainer, "spike_skipped")
    assert [(event["epoch"], event["step"]) for event in told] == [(1, 2), (2, 3)]
    batches = list(trainer._batches.__func__(_at_epoch(trainer, 1)))
    assert told[0]["ids"] == batches[1].ids
    assert history["skipped_steps"].tolist() == [1, 1]
    assert history["train_count"].tolist() == [40, 40]  # of 48: what was skipped taught nothing
    assert all(tensor.isfinite().all() for tensor in trainer.best.values())


def _at_epoch(trainer, epoch):
    trainer.epoch = epoch
    return trainer


def test_a_skipped_step_leaves_weights_and_statistics_as_they_were(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet())
    trainer.learner.enter(trainer.recipe.phases[0])
    before = {name: tensor.clone() for name, tensor in trainer.learner.net.state_dict().items()}
    trainer.learner.guard.start_epoch(6)
    spoil(trainer, {1})
    assert trainer.learner.step(next(trainer._batches()), epoch=1, number=1, rate_factor=1.0) is None
    assert same_bits(trainer.learner.net.state_dict(), before)


def test_too_many_spikes_roll_back_to_the_start_of_the_epoch_and_slow_down(tmp_path):
    trainer = make_trainer(tmp_path, epochs=2, schedule="constant")
    spoil(trainer, {8, 9, 10, 11})  # four of the second epoch's six
    history = trainer.fit()
    told = events_of(trainer, "rollback")
    assert [(event["epoch"], event["rate_factor"]) for event in told] == [(2, 0.5)]
    assert history["lr"].tolist() == pytest.approx([0.01, 0.005])
    assert history["train_count"].tolist() == [48, 48]
    assert history["skipped_steps"].tolist() == [0, 0]


def test_a_rollback_returns_to_the_very_state(tmp_path):
    trainer = make_trainer(tmp_path, epochs=2)
    spoil(trainer, {8, 9, 10, 11})
    seen, original = [], trainer._roll_back

    def roll_back():
        original()
        seen.append({name: tensor.clone() for name, tensor in trainer.learner.net.state_dict().items()})

    trainer._roll_back = roll_back
    trainer.fit()
    undisturbed = make_trainer(tmp_path / "one", epochs=2)
    original_close, ends = undisturbed._close_epoch, []

    def close_epoch(*args):
        original_close(*args)
        ends.append({name: tensor.clone() for name, tensor in undisturbed.learner.net.state_dict().items()})

    undisturbed._close_epoch = close_epoch
    undisturbed.fit()
    assert same_bits(seen[0], ends[0])


def test_a_training_that_never_holds_ends_in_a_clear_error(tmp_path):
    trainer = make_trainer(tmp_path)
    spoil(trainer, range(3, 10**6))
    with pytest.raises(EmotionError, match=r"after 3 rollbacks.*lower lr"):
        trainer.fit()
    assert len(events_of(trainer, "rollback")) == 3


def judge(guard, norm, loss=1.0):
    skip, usual = guard.judge(torch.tensor(loss), torch.tensor(norm))
    return StepFigures(loss, 0, norm, float(usual), bool(skip), 1.0, 1.0, 0.0)


def test_a_norm_far_outside_its_window_is_a_spike():
    guard = SpikeGuard()
    guard.start_epoch(100)
    assert not judge(guard, 1e6).skipped  # nothing to compare it with yet
    guard.start_epoch(100)
    assert not any(judge(guard, 1.0 + step % 3).skipped for step in range(30))
    spike = judge(guard, 50.0)
    assert spike.skipped
    assert spike.reason == "the gradient norm 50 is over 20 times the usual 2"
    assert not judge(guard, 30.0).skipped
    assert int(guard.norms.isfinite().sum()) == 31


def test_the_window_forgets_what_is_long_ago():
    guard = SpikeGuard()
    guard.start_epoch(1000)
    for _ in range(80):
        judge(guard, 1.0)
    for norm in [15.0] * 70:
        assert not judge(guard, norm).skipped
    assert not judge(guard, 200.0).skipped


@pytest.mark.parametrize("seed", range(3))
def test_the_guard_judges_as_one_that_keeps_a_list_and_its_median(seed):
    guard, kept = SpikeGuard(), []
    guard.start_epoch(1000)
    for norm in np.random.default_rng(seed).lognormal(0, 2, 300).astype(np.float32).tolist():
        figures = judge(guard, norm)
        expected = len(kept) >= 16 and norm > 20 * statistics.median(kept[-64:])
        assert figures.skipped == expected
        kept += [] if expected else [norm]
    assert len(kept) < 300


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_what_is_not_finite_is_skipped_and_not_remembered(loss, norm):
    guard = SpikeGuard()
    judge(guard, 2.0)
    assert judge(guard, norm, loss).skipped
    assert guard.norms[guard.norms.isfinite()].tolist() == [2.0]


def test_gradients_are_clipped_to_the_recipes_norm(tmp_path):
    trainer = make_trainer(tmp_path, clip_norm=1e-3)
    trainer.learner.enter(trainer.recipe.phases[0])
    trainer.learner.step(next(trainer._batches()), epoch=1, number=1, rate_factor=1.0)
    moments = [state["exp_avg"] for state in trainer.learner.optimizer.state_dict()["state"].values()]
    norm = math.sqrt(sum(float(moment.pow(2).sum()) for moment in moments))
    assert norm == pytest.approx(0.1 * 1e-3, rel=1e-2)  # 1 - beta1 of the first gradient


# -- what lies around a step -----------------------------------------------------------------------


def test_memory_that_runs_out_while_a_batch_is_prepared_is_backed_off_from_too(tmp_path, monkeypatch):
    original, calls = learner_module.apply_changes, []

    def apply_changes(*how):
        calls.append(1)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(*how)

    monkeypatch.setattr(learner_module, "apply_changes", apply_changes)
    trainer = make_trainer(tmp_path, epochs=1)
    trainer.fit()
    assert [event["micro_batch"] for event in events_of(trainer, "memory_backoff")] == [4]


def test_recorded_steps_give_way_before_micro_batches_are_made_smaller(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, net=TinyNet(), epochs=1)
    trainer.learner.use(Numerics(graphed=True))
    trainer.learner._recorded["any"] = object()
    net, calls = trainer.learner.net, []

    def forward(images):
        calls.append(len(images))
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return TinyNet.forward(net, images)

    net.forward = forward
    monkeypatch.setattr(trainer.learner, "_record", lambda *how: None)  # the step beside the recorded one
    trainer.fit()
    assert calls[:2] == [8, 8]
    assert trainer.learner.micro.size is None
    assert not trainer.learner.numerics.graphed
    assert trainer.learner._recorded == {}
    assert len(events_of(trainer, "graph_refused")) == 1


def test_a_lack_of_memory_behind_another_error_is_understood():
    error = RuntimeError("operation failed due to a previous error during capture")
    error.__context__ = torch.OutOfMemoryError("CUDA out of memory")
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("something else"))


def test_an_epoch_whose_every_step_overflows_is_taken_again(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet(), precision="float16", train=16, epochs=1)
    original, calls = trainer.team.sum_step, []

    def overflow(net, sums):
        calls.append(1)
        if len(calls) <= 5:  # two epochs of two steps, and one more
            next(net.parameters()).grad.fill_(torch.inf)
        return original(net, sums)

    trainer.learner.team = replace(ALONE)
    object.__setattr__(trainer.learner.team, "sum_step", overflow)
    history = trainer.fit()
    assert history["train_count"].tolist() == [8]
    assert len(events_of(trainer, "scale_lowered")) == 5
