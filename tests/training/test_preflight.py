"""What is looked at before a training: it changes nothing, says how long and how much, and decides only on a GPU."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_training import ALONE, MODEL, WALL_TIMES, TinyNet, make_trainer, same_bits

from emotion_utils.store.augment import augment
from emotion_utils.training import choose_numerics as choice
from emotion_utils.training import graph, preflight, schedule, trial_steps
from emotion_utils.training import learner as learner_module
from emotion_utils.training import numerics as numerics_module
from emotion_utils.training.numerics import Numerics, asked_for


@pytest.fixture(autouse=True)
def plain_processor(monkeypatch):
    monkeypatch.setattr(numerics_module, "has_amx", lambda: False)


PHASES = [{"epoch": 1, "train_from": "head"}, {"epoch": 3, "train_from": "stem"}]


def preflight_event(trainer):
    (event,) = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "preflight"]
    return event


def test_looking_ahead_changes_no_bit_of_the_training(tmp_path):
    settings = {"ema_decay": 0.9, "mixup": 0.2, "phases": PHASES, "epochs": 4}
    plain, ahead = (make_trainer(tmp_path / name, net=TinyNet(), **settings) for name in ("plain", "ahead"))
    one, two = plain.fit(), ahead.fit(preflight=True)
    assert same_bits(plain.best, ahead.best)
    assert one["train_loss"].tolist() == two["train_loss"].tolist()
    kinds = [event["kind"] for event in ahead.run.read("events", MODEL)]
    assert kinds == ["preflight", *(event["kind"] for event in plain.run.read("events", MODEL))]


def test_the_state_after_it_is_that_before_it_also_where_the_look_ahead_fails(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, net=TinyNet())
    before = trainer.learner.state()
    monkeypatch.setattr(preflight, "_memory_mb", lambda trainer: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        preflight.run_preflight(trainer)
    after = trainer.learner.state()
    assert same_bits(before["net"], after["net"])
    assert after["optimizer"]["state"] == {}
    assert not trainer.silent
    for state in (before, after):
        state["norms"] = state["guard"].pop("norms").tolist()
    np.testing.assert_equal(*([state[name] for name in ("guard", "norms", "micro_batch")] for state in (before, after)))
    assert float(before["steps_taken"]) == float(after["steps_taken"]) == 0


def test_time_is_added_up_over_phases_and_validations(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, phases=PHASES, epochs=5, train=48, val=40, batch_size=8)
    seconds = {1: 0.5, 3: 2.0}  # of a step in each phase
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: seconds[epoch])
    trainer.learner.evaluation_batch_size = 10
    monkeypatch.setattr(trial_steps, "timed", lambda trainer, work: work() or 1.5)
    preflight.run_preflight(trainer)
    event = preflight_event(trainer)
    assert event["step_seconds"] == [0.5, 2.0]
    ten = 1.5 * 10 / 2  # two images took a second and a half
    assert event["seconds"] == round(2 * 6 * 0.5 + 3 * 6 * 2.0 + 5 * 4 * ten)


def test_each_size_of_the_images_is_measured_for_itself(tmp_path):
    growth = [{"epoch": 1, "size_px": 16}, {"epoch": 2, "size_px": 32}]
    trainer = make_trainer(tmp_path, epochs=5, phases=PHASES, progressive_resizing=growth, size_px=32)
    sizes = []
    trainer.learner.net.register_forward_pre_hook(lambda net, inputs: sizes.append(inputs[0].shape[-1]))
    preflight.run_preflight(trainer)
    assert len(preflight_event(trainer)["step_seconds"]) == 3  # the head at 16 and at 32 px, and all of it
    assert sizes == sorted(sizes)
    assert set(sizes) == {16, 32}


def test_steps_of_one_kind_are_timed_once(tmp_path, monkeypatch):
    phases = [*PHASES, {"epoch": 4, "train_from": "head"}]
    trainer = make_trainer(tmp_path, phases=phases, epochs=5)
    timed = []
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: timed.append(epoch) or float(epoch))
    preflight.run_preflight(trainer)
    assert timed == [1, 3]
    assert preflight_event(trainer)["step_seconds"] == [1.0, 3.0, 1.0]


@pytest.mark.parametrize(
    ("per_image", "sizes", "expected"),
    [(0.5, [2, 2], 16 * 1.05 / 2), (0.2, [2, 2, 8, 8], 3.25), (0.01, [2, 2, 16, 16], 0.21)],
)
def test_a_step_that_takes_long_is_worked_out_from_fewer_images(tmp_path, monkeypatch, per_image, sizes, expected):
    trainer = make_trainer(tmp_path, batch_size=16)
    seen = []
    monkeypatch.setattr(trial_steps, "take_steps", lambda trainer, images, epoch: seen.append(images))
    monkeypatch.setattr(trial_steps, "timed", lambda trainer, work: work() or 0.05 + per_image * seen[-1])
    assert trial_steps.step_seconds(trainer, 1) == pytest.approx(expected)
    assert seen == sizes


@pytest.mark.fault(
    "the first steps of a process are slow, as kernels are chosen and memory is taken", "R",
    "they are left out of the forecast, which is 0.7 to 1.4 times what a first run of smoke takes", group="training",
)  # fmt: skip
def test_first_call_of_a_size_which_chooses_kernels_is_not_taken_for_its_pace(tmp_path, monkeypatch):
    trainer, clock = make_trainer(tmp_path, batch_size=16), [0.0]

    def take(trainer, images, epoch):
        clock[0] += 0.01 * images + (5 if clock[0] == 0 else 0)

    monkeypatch.setattr(trial_steps, "take_steps", take)
    monkeypatch.setattr(trial_steps.time, "perf_counter", lambda: clock[0])
    assert trial_steps.step_seconds(trainer, 1) == pytest.approx(0.16)


def test_memory_of_an_image_is_what_its_layers_keep_for_the_backward_pass(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet(norm=False, dropout=0.0))
    trainer.learner.enter(trainer.recipe.phases[0])
    image, stem, body = 3 * 16 * 16, 4 * 7 * 7, 8 * 3 * 3  # the inputs of the layers
    least = 4 * (image + stem + body)
    assert least <= preflight._activation_bytes(trainer, 1) < 1.1 * least


def test_memory_has_room_for_gradients_moments_and_copies(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet(norm=False))
    trainer.learner.net.big = torch.nn.Linear(1000, 50_000)  # 200 MB
    before = preflight.psutil.Process().memory_info().rss / 2**20
    needed = preflight._memory_mb(trainer)
    assert needed - before == pytest.approx(5 * 190.7, rel=0.1)  # gradient, best epoch, start of the epoch with moments


def test_what_will_not_do_is_said_before_it_starts(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, epochs=10, budget_minutes=0.5)
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: 10.0)  # six of them are an epoch
    monkeypatch.setattr(trial_steps, "extrapolate_seconds", lambda trainer, work, images: 0.0)
    monkeypatch.setattr(preflight, "_free_mb", lambda device: 0.5)
    preflight.run_preflight(trainer)
    budget, memory = preflight_event(trainer)["warnings"]
    assert budget == "an epoch takes about 1 min 0 s, and the budget is 30 s: the training ends after the first one"
    assert "0 MB are free" in memory
    assert trainer.epochs == 1


def test_a_budget_shortens_the_whole_schedule(tmp_path, monkeypatch):
    growth = [{"epoch": 1, "size_px": 16}, {"epoch": 5, "size_px": 32}]
    trainer = make_trainer(
        tmp_path, epochs=8, phases=PHASES, progressive_resizing=growth, size_px=32, budget_minutes=5,
        schedule="cosine",
    )  # fmt: skip
    seconds = {1: 5.0, 3: 10.0, 5: 20.0}  # of a step; six are an epoch: 60 s at first, 240 s in the end
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: seconds[epoch])
    monkeypatch.setattr(trial_steps, "extrapolate_seconds", lambda trainer, work, images: 0.0)
    preflight.run_preflight(trainer)
    (event,) = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "shortened"]
    assert (event["planned"], event["epochs"]) == (8, 3)
    assert [(phase.epoch, phase.train_from) for phase in trainer.recipe.phases] == [(1, "head"), (2, "stem")]
    assert [(step.epoch, step.size_px) for step in trainer.recipe.progressive_resizing] == [(1, 16), (3, 32)]
    assert preflight_event(trainer)["seconds"] == 30 + 60 + 120  # a fourth epoch would make 330


def test_on_the_cpu_the_clock_decides_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "choose_numerics", lambda trainer: pytest.fail("measured"))
    trainer = make_trainer(tmp_path, precision="auto", compile="auto")
    preflight.run_preflight(trainer)
    event = preflight_event(trainer)
    assert (event["precision"], event["compiled"]) == ("float32", False)


@pytest.fixture
def clock(monkeypatch):
    """Seconds of a step for each kind of numbers, as a GPU might need; the list gets what was measured."""
    measured = []
    tensor_cores = {(False, False): 1.5, (False, True): 1.6, (True, False): 1.0, (True, True): 0.8}

    def step_seconds(trainer, epoch):
        numerics = trainer.learner.numerics
        measured.append(numerics)
        factor = tensor_cores[numerics.precision != "float32", numerics.channels_last]
        return factor * (0.7 if numerics.compiled else 1) * (0.5 if numerics.graphed else 1)

    monkeypatch.setattr(trial_steps, "step_seconds", step_seconds)
    monkeypatch.setattr(graph, "capture", run_again)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **how: True)
    monkeypatch.setattr(learner_module.torch, "compile", lambda net, **how: net)
    return measured


def test_a_gpu_takes_what_is_clearly_faster(tmp_path, clock):
    trainer = make_trainer(tmp_path, epochs=1000, precision="auto", compile="auto")
    assert choice.choose_numerics(trainer) == Numerics("bfloat16", channels_last=True, compiled=True, graphed=True)


def test_what_is_hardly_faster_is_not_worth_it(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(choice, "GAIN", 0.5)
    trainer = make_trainer(tmp_path, epochs=1000, precision="auto", compile="auto")
    assert choice.choose_numerics(trainer) == Numerics()


def test_a_short_training_does_not_try_to_compile(tmp_path, clock):
    trainer = make_trainer(tmp_path, epochs=3, precision="auto", compile="auto")
    assert choice.choose_numerics(trainer) == Numerics("bfloat16", channels_last=True, graphed=True)
    assert not any(numerics.compiled for numerics in clock)


def test_what_the_recipe_names_is_not_changed(tmp_path, clock):
    trainer = make_trainer(tmp_path, epochs=1000, precision="float32", compile="never")
    assert choice.choose_numerics(trainer) == Numerics(graphed=True)  # float32 is slower in channels last
    assert {numerics.precision for numerics in clock} == {"float32"}


# -- a choice that is made for real, on a CPU that stands in for a GPU -----------------------------


@pytest.fixture
def gpu(monkeypatch):
    """A CPU whose clock says that the last of what is tried is the fastest, and whose graphs are plain runs."""
    seconds = itertools.count(1000, -300)
    monkeypatch.setattr(trial_steps, "is_cuda", lambda device: True)
    monkeypatch.setattr(trial_steps, "timed", lambda trainer, work: (work(), next(seconds))[1])
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **how: True)
    monkeypatch.setattr(learner_module.torch, "compile", lambda net, **how: net)
    monkeypatch.setattr(graph, "capture", run_again)


def run_again(work, forget):
    """In place of a CUDA graph: what a first run returned is filled by the next ones."""
    results, gradients = work()

    def replay():
        fresh, fresh_gradients = work()
        for kept, value in zip([*results, *gradients], [*fresh, *fresh_gradients], strict=True):
            kept.copy_(value)

    return replay, (results, gradients)


def test_a_graph_is_recorded_once_for_each_phase_and_size(tmp_path, gpu, monkeypatch):
    recorded = []
    monkeypatch.setattr(graph, "capture", lambda work, forget: recorded.append(1) or run_again(work, forget))
    growth = [{"epoch": 1, "size_px": 16}, {"epoch": 4, "size_px": 32}]
    phases = [{"epoch": 1, "train_from": "body"}, {"epoch": 3, "train_from": "stem"}]
    trainer = make_trainer(tmp_path, net=TinyNet(), size_px=32, progressive_resizing=growth, phases=phases, epochs=5)
    trainer.learner.use(Numerics(graphed=True))
    counts = []
    trainer.on_epoch.append(lambda rows: counts.append(len(recorded)))
    trainer.fit()
    assert counts == [1, 1, 2, 3, 3]


@pytest.mark.parametrize("precision", ["float32", "auto"])
@pytest.mark.parametrize("lag", [0, 1])
def test_a_training_after_a_choice_gives_the_weights_of_one_that_began_that_way(tmp_path, gpu, precision, lag):
    settings = {"epochs": 2, "precision": precision, "ema_decay": 0.9, "clip_norm": 0.05, "mixup": 0.2}
    chosen = make_trainer(tmp_path / "chosen", net=TinyNet(), **settings)
    chosen.learner.lag = lag
    preflight.run_preflight(chosen)
    numerics = chosen.learner.numerics
    assert numerics.channels_last
    assert numerics.graphed
    assert numerics.precision == ("float32" if precision == "float32" else "bfloat16")
    began = make_trainer(tmp_path / "began", net=TinyNet(), **settings)
    began.learner.use(replace(numerics, graphed=False))
    began.learner.lag = lag
    histories = [trainer.fit().drop(columns=WALL_TIMES) for trainer in (chosen, began)]
    pd.testing.assert_frame_equal(*histories)
    assert same_bits(chosen.best, began.best)


def test_the_weights_after_a_choice_are_those_of_an_unfused_optimizer(tmp_path, gpu):
    trainer = make_trainer(
        tmp_path, net=TinyNet(norm=False, dropout=0.0), precision="float32", schedule="constant", clip_norm=1e9
    )
    learner = trainer.learner
    learner.guard.start_epoch(1000)
    net = TinyNet(norm=False, dropout=0.0).train()  # behind a norm, biases have no gradient but rounding
    adam = torch.optim.AdamW(schedule.parameter_groups(net.depth_groups, trainer.recipe), fused=False, foreach=False)
    for group in adam.param_groups:
        group["lr"] = group["rate"]
    batches = list(trainer._batches())
    for number, batch in enumerate(batches, start=1):
        if number == 3:
            preflight.run_preflight(trainer)  # with moments of two steps, which it has to leave as they were
            assert learner.net.body[0].weight.is_contiguous(memory_format=torch.channels_last)
        learner.enter(trainer.recipe.phases[0])
        learner.step(batch, epoch=1, number=number, rate_factor=1.0)
        images = augment(batch.images, batch.ids, config=trainer.config.augment, seed=0, epoch=1)
        adam.zero_grad()
        torch.nn.functional.cross_entropy(net(images), batch.labels).backward()
        adam.step()
    for ours, theirs in zip(learner.net.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-3)


def test_what_fails_when_it_is_tried_is_left_and_told(tmp_path, gpu, monkeypatch):
    def refuse(net, **how):
        raise RuntimeError("no compiler here\nand much more")

    monkeypatch.setattr(learner_module.torch, "compile", refuse)
    monkeypatch.setattr(choice, "WORTH_COMPILING", 0)
    plain = make_trainer(tmp_path / "plain", net=TinyNet(), precision="float32", compile="auto", epochs=2)
    preflight.run_preflight(plain)
    assert plain.learner.numerics == Numerics(channels_last=True, graphed=True)
    told = [event for event in plain.run.read("events", MODEL) if event["kind"] == "numerics_refused"]
    assert [(event["tried"], event["reason"]) for event in told] == [("compiled", "no compiler here")]
    plain.fit()


@pytest.mark.parametrize("error", [RuntimeError("cannot be captured\nat all"), torch.OutOfMemoryError("out of memory")])
def test_a_graph_that_cannot_be_recorded_is_given_up_and_told(tmp_path, gpu, monkeypatch, error):
    def refuse(work, forget):
        work()  # what was begun must leave no trace
        raise error

    monkeypatch.setattr(graph, "capture", refuse)
    trainer = make_trainer(tmp_path / "one", net=TinyNet(), precision="float32", compile="never", epochs=2)
    preflight.run_preflight(trainer)
    assert trainer.learner.numerics == Numerics(channels_last=True)
    told = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "graph_refused"]
    assert [event["reason"] for event in told] == [str(error).partition("\n")[0]]
    other = make_trainer(tmp_path / "other", net=TinyNet(), precision="float32", compile="never", epochs=2)
    other.learner.use(Numerics(channels_last=True))
    trainer.fit()
    other.fit()
    assert same_bits(trainer.best, other.best)


def test_a_graph_that_replays_something_else_is_given_up(tmp_path, gpu, monkeypatch):
    def record_nothing(work, forget):
        return lambda: None, work()  # as on another device than the current one: torch only warns

    def fill(work, forget):
        replay, (results, gradients) = record_nothing(work, forget)
        for tensor in (*results, *gradients):
            tensor.zero_()
        return replay, (results, gradients)

    monkeypatch.setattr(graph, "capture", fill)
    trainer = make_trainer(tmp_path, net=TinyNet(), precision="float32", compile="never", epochs=1)
    preflight.run_preflight(trainer)
    assert not trainer.learner.numerics.graphed
    told = [event["reason"] for event in trainer.run.read("events", MODEL) if event["kind"] == "graph_refused"]
    assert told == ["a replay does not give what the step itself gives"]


def test_what_one_process_cannot_do_is_tried_by_none(tmp_path, gpu, monkeypatch):
    trainer = make_trainer(tmp_path, net=TinyNet(), precision="float32", compile="never", epochs=1)
    team = replace(ALONE)
    object.__setattr__(team, "least", lambda value: 0)  # another process has a fault each time
    trainer.team, measured = team, []
    monkeypatch.setattr(trial_steps, "step_seconds", lambda trainer, epoch: measured.append(1) or 1.0)
    assert choice.choose_numerics(trainer) == Numerics()
    assert len(measured) == 1


def test_each_kind_of_numbers_is_tried_with_whole_batches(tmp_path, gpu, monkeypatch):
    trainer = make_trainer(tmp_path, net=TinyNet(), precision="float32", compile="never", epochs=1)
    sizes = []

    def step_seconds(trainer, epoch):
        sizes.append(trainer.learner.micro.size)
        trainer.learner.micro.size = 4  # memory ran out
        return 1.0

    monkeypatch.setattr(trial_steps, "step_seconds", step_seconds)
    choice.choose_numerics(trainer)
    assert set(sizes) == {None}
    assert trainer.learner.micro.size is None


def test_a_resumed_training_goes_on_where_nothing_can_be_compiled(tmp_path, monkeypatch):
    def fail(images):
        raise RuntimeError("InvalidCxxCompiler: no working compiler\nand more")

    monkeypatch.setattr(learner_module.torch, "compile", lambda net, **how: fail)
    plain = make_trainer(tmp_path / "plain", net=TinyNet())
    trainer = make_trainer(tmp_path / "compiled", net=TinyNet(), compile="always")
    plain.fit()
    trainer.fit()
    assert same_bits(trainer.best, plain.best)
    (told,) = [event for event in trainer.run.read("events", MODEL) if event["kind"] == "numerics_refused"]
    assert (told["tried"], told["reason"]) == ("compiled", "InvalidCxxCompiler: no working compiler")


def test_only_the_usual_batch_is_compiled(tmp_path, monkeypatch):
    seen = []

    def compile_(net, **how):
        assert how == {"dynamic": False}
        return lambda images: seen.append(len(images)) or net(images)

    monkeypatch.setattr(learner_module.torch, "compile", compile_)
    trainer = make_trainer(tmp_path, net=TinyNet(), compile="always", train=45, epochs=2)
    trainer.fit(preflight=True)
    assert set(seen) == {8}  # neither the last batch of 5 nor a look ahead at fewer images


# -- numerics --------------------------------------------------------------------------------------


CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("has_tiles", "precision"), [(False, "float32"), (True, "bfloat16")])
def test_what_a_recipe_leaves_open_is_what_the_processor_is_good_at(tmp_path, monkeypatch, has_tiles, precision):
    monkeypatch.setattr(numerics_module, "has_amx", lambda: has_tiles)
    recipe = make_trainer(tmp_path, precision="auto").recipe
    assert asked_for(recipe, CPU) == Numerics(precision)
    assert asked_for(recipe, GPU) == Numerics()  # there the clock decides
    named = recipe.model_copy(update={"precision": "float16", "compile": "always"})
    assert asked_for(named, CPU) == asked_for(named, GPU) == Numerics("float16", compiled=True)


def layers_compute_in(trainer):
    seen = []
    trainer.learner.net.body[0].register_forward_hook(lambda layer, inputs, output: seen.append(output.dtype))
    trainer.fit()
    return set(seen[:1])  # of training; validation is always float32


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)]
)
def test_layers_compute_in_the_precision_and_the_losses_stay_near(tmp_path, precision, expected):
    plain = make_trainer(tmp_path / "plain", net=TinyNet()).fit()
    trainer = make_trainer(tmp_path / "low", net=TinyNet(), precision=precision)
    assert layers_compute_in(trainer) == {expected}
    assert trainer.rows[-1]["train_loss"] == pytest.approx(plain["train_loss"].iloc[-1], rel=0.05)
    assert all(tensor.dtype != expected or expected == torch.float32 for tensor in trainer.best.values())


def test_an_overflow_of_float16_lowers_the_scale_and_is_no_spike(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet(), precision="float16", epochs=1)
    calls, original = itertools.count(1), trainer.team.sum_step

    def overflow(net, sums):
        if next(calls) in (2, 4, 5, 6):
            next(net.parameters()).grad.fill_(torch.inf)
        return original(net, sums)

    trainer.learner.team = replace(ALONE)
    object.__setattr__(trainer.learner.team, "sum_step", overflow)
    before = trainer.learner.scaler.get_scale()
    history = trainer.fit()
    kinds = [event["kind"] for event in trainer.run.read("events", MODEL)]
    assert kinds.count("scale_lowered") == 4
    assert "spike_skipped" not in kinds
    assert "rollback" not in kinds
    assert trainer.learner.scaler.get_scale() == before / 2**4
    assert history["train_count"].tolist() == [16]


def test_an_overflow_that_no_scale_cures_is_a_spike(tmp_path):
    trainer = make_trainer(tmp_path, net=TinyNet(), precision="float16", epochs=1)
    trainer.learner.scaler.scale(torch.ones(1))
    trainer.learner.scaler.update(1.0)
    trainer.learner.enter(trainer.recipe.phases[0])
    trainer.learner.guard.start_epoch(6)
    original = trainer.learner.net.forward
    trainer.learner.net.forward = lambda images: original(images) * torch.nan
    assert trainer.learner.step(next(trainer._batches()), epoch=1, number=1, rate_factor=1.0) is None
    assert [event["kind"] for event in trainer.run.read("events", MODEL)] == ["spike_skipped"]


def test_channels_last_changes_the_layout_and_not_the_results(tmp_path):
    plain = make_trainer(tmp_path / "plain", net=TinyNet())
    trainer = make_trainer(tmp_path / "layout", net=TinyNet())
    trainer.learner.use(Numerics(channels_last=True))
    assert trainer.learner.net.body[0].weight.is_contiguous(memory_format=torch.channels_last)
    one, two = plain.fit(), trainer.fit()
    assert two["train_loss"].tolist() == pytest.approx(one["train_loss"].tolist(), rel=1e-4)
    assert trainer.best.keys() == plain.best.keys()


def test_a_compiled_network_learns_the_same_and_is_saved_under_the_same_names(tmp_path, monkeypatch):
    compiled = torch.compile
    monkeypatch.setattr(learner_module.torch, "compile", lambda net, **how: compiled(net, backend="eager", **how))
    plain = make_trainer(tmp_path / "plain", net=TinyNet(), phases=PHASES)
    trainer = make_trainer(tmp_path / "compiled", net=TinyNet(), phases=PHASES, compile="always")
    one, two = plain.fit(), trainer.fit()
    assert two["train_loss"].tolist() == pytest.approx(one["train_loss"].tolist(), rel=1e-5)
    assert trainer.best.keys() == plain.best.keys()


def test_a_resumed_training_keeps_the_numerics_that_it_began_with(tmp_path):
    trainer = make_trainer(tmp_path, precision="auto")
    chosen = Numerics("bfloat16", channels_last=True)
    trainer.learner.use(chosen)
    again = make_trainer(tmp_path, precision="auto")
    again.learner.restore(trainer.learner.state())
    assert again.learner.numerics == chosen
