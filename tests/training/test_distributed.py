"""Two processes on one network: the results of one, and one file from both."""

import pandas as pd
import pytest
import tiny_training
import torch
from own_processes import run_process, run_two
from safetensors.torch import load_file, save_file
from tiny_training import MODEL, TinyNet, make_dataset, make_trainer

from emotion_utils.training.distributed import join_team

ADDED_UP_ELSEWHERE = {"rtol": 1e-3, "atol": 1e-4}  # the same sums, in another order


def results(folder):
    return pd.read_csv(folder / "rows.csv"), load_file(folder / "best.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [8, 4])  # of the last batch of 4 there is one image for the second process
def test_two_processes_learn_what_one_learns_at_the_same_global_batch(tmp_path, batch_size):
    assert run_process(tiny_training.train, tmp_path / "one", norm=False, batch_size=batch_size) == 0
    run_two(tiny_training.train, tmp_path / "two", norm=False, batch_size=batch_size)
    (one, one_weights), (two, two_weights) = results(tmp_path / "one"), results(tmp_path / "two")
    counts = ["train_count", "train_correct", "train_acc", "val_count", "val_correct", "val_acc", "phase"]
    pd.testing.assert_frame_equal(one[counts], two[counts])
    pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=1e-3)
    for name, tensor in one_weights.items():
        torch.testing.assert_close(two_weights[name], tensor, **ADDED_UP_ELSEWHERE)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training in two processes."""
    folder = tmp_path_factory.mktemp("two")
    run_two(tiny_training.train, folder)
    return folder


@pytest.mark.slow
def test_two_processes_give_the_same_bits_each_time(tmp_path, trained):
    run_two(tiny_training.train, tmp_path)
    assert tiny_training.same_bits(results(tmp_path)[1], results(trained)[1])


def test_only_the_main_process_writes(trained):
    events = make_trainer(trained).run.read("events", MODEL)
    assert [event["kind"] for event in events] == ["started", "phase", "grow", "phase", "grow", "best_epoch"]
    assert events[0]["processes"] == 2


def sum_whatever_the_layout(folder):
    with join_team() as team:
        net = TinyNet().to(memory_format=torch.channels_last).train()
        net.stem[1].requires_grad_(False)
        for number, parameter in enumerate(p for p in net.parameters() if p.requires_grad):
            values = torch.arange(parameter.numel()).float().reshape(parameter.shape) * (team.rank + 1)
            laid_out = torch.empty_like(parameter).copy_(values)  # as the weight
            parameter.grad = (laid_out, values, None if team.rank else values)[number % 3]
        net.stem[1].running_mean.fill_(team.rank)
        sums = team.sum_step(net, torch.tensor([1.0, float(team.rank)]))
        gradients = {name: p.grad.contiguous() for name, p in net.named_parameters() if p.grad is not None}
        save_file({**gradients, "mean": net.stem[1].running_mean, "sums": sums}, folder / f"{team.rank}.safetensors")


def test_gradients_are_summed_whatever_their_layout_and_norm_statistics_averaged(tmp_path):
    run_two(sum_whatever_the_layout, tmp_path)
    one, two = load_file(tmp_path / "0.safetensors"), load_file(tmp_path / "1.safetensors")
    assert tiny_training.same_bits(one, two)
    assert one.pop("sums").tolist() == [2, 1]
    assert one.pop("mean").tolist() == [0.5] * 4
    learning = [name for name, _ in TinyNet().named_parameters() if not name.startswith("stem.1")]
    for number, name in enumerate(learning):
        expected = torch.arange(one[name].numel()).float() * (1 if number % 3 == 2 else 3)  # the third from one alone
        assert torch.equal(one.pop(name).flatten(), expected), name
    assert one == {}


def bear_the_least(folder):
    with join_team() as team:
        (folder / f"{team.rank}.txt").write_text(str(team.least(7.0 - team.rank)))


def test_all_processes_agree_on_the_least_that_one_can_bear(tmp_path):
    run_two(bear_the_least, tmp_path)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in (0, 1)] == ["6.0", "6.0"]


def count_together(folder):
    with join_team() as team:
        trainer = make_trainer(folder, net=TinyNet(), team=team)
        loss, correct = trainer.learner.evaluate(make_dataset(131, 3))
        if team.is_main_process:
            (folder / "counted.txt").write_text(f"{loss!r} {correct}")


def test_evaluation_counts_every_sample_once(tmp_path):
    run_two(count_together, tmp_path)
    loss, correct = map(float, (tmp_path / "counted.txt").read_text().split())
    net, data = TinyNet().eval(), make_dataset(131, 3)
    with torch.no_grad():
        logits = net(torch.from_numpy(data.images).permute(0, 3, 1, 2) / 255)
    assert correct == int((logits.argmax(1) == data.labels).sum())
    expected = torch.nn.functional.cross_entropy(logits, data.labels, reduction="sum")
    assert loss == pytest.approx(float(expected), rel=1e-5)


def fail_on_one(folder):
    with join_team() as team:
        trainer = make_trainer(folder, net=TinyNet(norm=False), team=team, epochs=1)
        if team.rank == 1:
            forward = trainer.learner.net.forward
            trainer.learner.net.forward = lambda images: forward(images) if len(images) < 3 else _fail()
        trainer.fit()
        (folder / f"micro_batch_{team.rank}.txt").write_text(str(trainer.learner.micro.size))


def _fail():
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_lack_of_memory_in_one_process_does_not_stop_the_other(tmp_path):
    run_two(fail_on_one, tmp_path)
    assert (tmp_path / "micro_batch_0.txt").read_text() == "None"
    assert int((tmp_path / "micro_batch_1.txt").read_text()) < 4
