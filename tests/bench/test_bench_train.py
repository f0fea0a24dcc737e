"""The training benchmarks on a few images: what is compared with what, and how the figures are made."""

from importlib import resources

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import nn

from emotion_utils.bench import accuracy, plain, train
from emotion_utils.devices import CPU
from emotion_utils.errors import InputError


class SmallNet(nn.Module):
    """Mean colours to classes: learns in a few steps what brightness says."""

    def __init__(self, num_classes):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3, num_classes)
        self.provenance, self.views = "random", 1

    @property
    def depth_groups(self):
        return {"stem": [nn.Identity()], "head": [self.head]}

    def forward(self, images):
        return self.head(images.mean((2, 3)) * 4 - 2)


@pytest.fixture
def small(monkeypatch):
    """A network that takes no time, and no processes for decoding."""
    monkeypatch.setattr(train, "make_net", lambda model, num_classes, size_px, **design: SmallNet(num_classes))
    monkeypatch.setattr(accuracy, "make_net", train.make_net)
    monkeypatch.setattr(plain, "WORKERS", 0)
    torch.set_num_threads(1)


def write_faces(folder, parts, count=24):
    """Happy images are bright, sad ones dark."""
    rng = np.random.default_rng(0)
    for part in parts:
        for number in range(count):
            label = ("happy", "sad")[number % 2]
            image = rng.integers(0, 120, (20, 20, 3), dtype=np.uint8) + np.uint8(120 * (label == "happy"))
            target = folder / part / label / f"image{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), image)
    return str(folder)


def test_all_ways_are_timed_over_equal_steps_at_each_size(tmp_path, small, monkeypatch):
    ways = ("plain", "plain, bare", "engine", "engine, bare")
    steps, rates, original = {way: [] for way in ways}, {way: [] for way in ways}, train._Clock.images_per_second

    def rate(clock):
        way = ways[sum(map(len, steps.values())) % 4]
        steps[way].append((len(clock._times), clock._workload.batch_size))
        rates[way].append(original(clock))
        return rates[way][-1]

    monkeypatch.setattr(train._Clock, "images_per_second", rate)
    spec = write_faces(tmp_path / "faces", ["."])
    table = train.bench_steps(spec, sizes_px=(32, 48), batch_size=8, workers=0, steps=3, rounds=2)
    assert steps == {way: [(3, 8)] * 4 for way in steps}
    assert table["size_px"].tolist() == [32] * 4 + [48] * 4
    assert table["way"].tolist() == list(ways) * 2
    rounds = {32: slice(0, 2), 48: slice(2, 4)}
    assert table["numbers"].str.startswith("float32").all() or train.pick_device().type != "cpu"
    assert table["of_bare"].isna().all()
    for size_px, way, _, images_per_second, ratio, overhead, _ in table.itertuples(index=False):
        here = {name: np.array(values)[rounds[size_px]] for name, values in rates.items()}
        assert images_per_second == pytest.approx(np.mean(here[way]))  # of two, the median is the mean
        assert ratio == pytest.approx(np.mean(here[way] / here["plain"]))
        if "bare" in way:
            assert np.isnan(overhead)
        else:
            assert overhead == pytest.approx(np.mean(here[f"{way}, bare"] / here[way]))


def make_workload(steps=3, device=CPU):
    data = train.Dataset(None, np.arange(8 * steps), torch.zeros(8 * steps), [""] * 8 * steps, ("a", "b"))
    return train.Workload(None, data, 32, 8, 0, device, train.Numerics())


@pytest.mark.parametrize("waits", [True, False])
def test_a_clock_counts_from_the_end_of_the_first_step(monkeypatch, waits):
    clock, times, waited = train._Clock(make_workload(), waits=waits), iter([100.0, 101.0, 103.0]), []
    monkeypatch.setattr(train.time, "perf_counter", lambda: next(times))
    monkeypatch.setattr(train, "synchronise", lambda device: waited.append(len(clock._times)))
    for done in range(3):
        clock.tick(done, 3)  # as the engine calls it
    assert clock.images_per_second() == pytest.approx(2 * 8 / 3.0)
    assert waited == ([0, 2] if waits else [])


def test_on_a_gpu_everything_is_set_beside_a_step_written_for_one(monkeypatch):
    rates = {"_time_plain": 10.0, "_time_plain_bare": 20.0, "_time_engine": 80.0, "_time_engine_bare": 88.0}
    for name, rate in (rates | {"_time_bare": 100.0}).items():
        monkeypatch.setattr(train, name, lambda workload, rate=rate: rate)
    monkeypatch.setattr(train, "_low_precision", lambda: "bfloat16")
    table = train._time_ways(make_workload(device=torch.device("cuda")), rounds=1).set_index("way")
    assert table["of_bare"].tolist() == [0.1, 0.2, 0.8, 0.88, 1.0]
    assert table.loc["engine", ["ratio", "overhead"]].tolist() == [8.0, pytest.approx(1.1)]
    assert table.loc["bare", "numbers"] == "bfloat16, channels_last"


def test_the_bare_step_of_the_engine_may_be_a_recorded_one(monkeypatch, small):
    calls = []

    class Recorded:
        def __init__(self, net, work, inputs):
            self.work = work

        def __call__(self, inputs):
            calls.append(len(inputs[0]))
            return self.work(*inputs)

    monkeypatch.setattr(train, "RecordedWork", Recorded)
    images = np.zeros((24, 32, 32, 3), np.uint8)
    data = train.Dataset(images, np.arange(24), torch.arange(24) % 2, [str(n) for n in range(24)], ("a", "b"))
    workload = train.Workload(None, data, 32, 8, 0, CPU, train.Numerics(graphed=True))
    assert train._time_engine_bare(workload) > 0
    assert calls == [8, 8, 8]


def test_the_step_written_for_a_gpu_learns(monkeypatch, small):
    nets, original = [], train.make_net
    monkeypatch.setattr(train, "make_net", lambda *how: nets.append(original(*how)) or nets[-1])
    monkeypatch.setattr(train, "_low_precision", lambda: "bfloat16")
    images = np.zeros((24, 32, 32, 3), np.uint8)
    data = train.Dataset(images, np.arange(24), torch.arange(24) % 2, [str(n) for n in range(24)], ("a", "b"))
    assert train._time_bare(train.Workload(None, data, 32, 8, 0, CPU, train.Numerics())) > 0
    assert not torch.equal(nets[0].head.weight, SmallNet(2).head.weight)


def test_memory_is_that_of_a_training_with_a_batch_of_its_size(monkeypatch):
    seen = []
    monkeypatch.setattr(train, "_train_engine", lambda *args: seen.append(args))
    row = train.measure_memory("r18_pre_emotion", 40, 6)
    net, dataset, _, config, _ = seen[0]
    assert (row["model"], row["size_px"], row["batch_size"]) == ("r18_pre_emotion", 40, 6)
    assert row["peak_mb"] > 50
    assert dataset.batch(np.arange(6)).images.shape == (6, 3, 40, 40)
    assert (config.models, config.batch_size, config.image_size_px) == (("r18_pre_emotion",), 6, 40)
    assert net.network.fc[1].out_features == 3


def test_plain_epoch_is_adam_on_the_mean_cross_entropy():
    ours, theirs = SmallNet(2), SmallNet(2)
    batches = [(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])) for _ in range(3)]
    ticks = []
    plain.train_epoch(ours, plain.make_adam(ours), batches, torch.device("cpu"), lambda: ticks.append(1))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    for images, labels in batches:
        optimizer.zero_grad()
        torch.nn.functional.nll_loss(torch.log_softmax(theirs(images), 1), labels).backward()
        optimizer.step()
    assert len(ticks) == 3
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())


@pytest.fixture
def quick_recipes(monkeypatch):
    recipe = {
        "epochs": 3,
        "lr": 0.1,
        "progressive_resizing": [{"epoch": 1, "size_px": 16}, {"epoch": 2, "size_px": 32}],
    }
    monkeypatch.setattr(accuracy, "RECIPES", {"quick": recipe})
    monkeypatch.setattr(accuracy, "PLAIN", {"size_px": 32, "batch_size": 4, "epochs": 2})


def test_curves_learn_from_the_training_part_and_are_judged_on_the_other(tmp_path, small, quick_recipes, monkeypatch):
    spec = write_faces(tmp_path / "faces", ["train", "validation"])
    learned, judged = [], []
    original = accuracy.judge
    monkeypatch.setattr(
        accuracy, "judge", lambda net, weights, data: judged.append(data.ids) or original(net, weights, data)
    )
    trainer = accuracy.make_trainer
    monkeypatch.setattr(
        accuracy, "make_trainer", lambda net, *sets: learned.append([s.ids for s in sets[:2]]) or trainer(net, *sets)
    )
    quick, simple = accuracy.bench_accuracy(spec, ways=("quick", "plain"))
    assert quick["epoch"].tolist() == [1, 2, 3]
    assert quick["size_px"].tolist() == [16, 32, 32]
    assert simple["epoch"].tolist() == [1, 2]
    assert quick["seconds"].is_monotonic_increasing
    assert quick["unseen"].iloc[-1] == 1.0
    train_ids, val_ids = ({name.partition("#")[0] for name in part} for part in learned[0])
    unseen = {name.partition("#")[0] for ids in judged for name in ids}
    assert (len(train_ids), len(val_ids), len(unseen)) == (22, 2, 24)
    assert not train_ids & val_ids
    assert not (train_ids | val_ids) & unseen
    assert len(list((tmp_path / "faces").rglob("*.png"))) == 48


def test_the_thorough_way_is_the_recipe_of_the_profile(tmp_path):
    text = (resources.files("emotion_utils") / "profiles" / "thorough.yaml").read_text(encoding="utf-8")
    profile = yaml.safe_load(text)
    parts = accuracy._open_parts(write_faces(tmp_path / "faces", ["train", "validation"]), None, tmp_path)
    config = parts._config("thorough")
    used = config.model_dump(mode="json", exclude_unset=False)
    recipe = profile.pop("recipes")[plain.MODEL]
    assert {name: used["recipes"][plain.MODEL][name] for name in recipe} == recipe
    assert {name: used[name] for name in ("image_size_px", "epochs", "batch_size")} == {
        name: profile[name] for name in ("image_size_px", "epochs", "batch_size")
    }


def test_judging_leaves_the_network_as_it_was_and_uses_the_weights_given():
    net, other = SmallNet(2), SmallNet(2)
    with torch.no_grad():
        other.head.weight.copy_(torch.tensor([[9.0, 9, 9], [-9, -9, -9]]))
        other.head.bias.zero_()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    images = np.stack([np.full((8, 8, 3), grey, np.uint8) for grey in (250, 240, 10, 250)])
    data = train.Dataset(images, np.arange(4), torch.tensor([0, 0, 1, 1]), list("abcd"), ("happy", "sad"))
    assert accuracy.judge(net, other.state_dict(), data) == {"unseen": 0.75, "unseen_flipped": 0.75}
    torch.testing.assert_close(net.state_dict(), before, atol=0, rtol=0)


def test_a_curve_needs_data_with_a_split(tmp_path):
    with pytest.raises(InputError, match="train and validation"):
        next(accuracy.bench_accuracy(write_faces(tmp_path / "faces", ["."])))


def test_the_comparison_says_when_the_plain_loops_best_was_reached():
    def curve(way, seconds, unseen):
        return pd.DataFrame({"way": way, "seconds": seconds, "unseen": unseen})

    table = accuracy.compare_curves([
        curve("plain", [100.0, 200.0, 300.0], [0.5, 0.7, 0.6]),
        curve("quick", [20.0, 40.0], [0.6, 0.8]),
        curve("never", [20.0, 40.0], [0.1, 0.2]),
    ]).set_index("way")  # fmt: skip
    assert table["accuracy"].tolist() == [0.7] * 3
    assert table.loc["plain", "seconds"] == 200
    assert table.loc["quick", ["seconds", "ratio"]].tolist() == [40, 5]
    assert table.loc["never", ["seconds", "ratio"]].isna().all()
