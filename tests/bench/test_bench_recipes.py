"""`emotion bench recipes`: one change a row, judged on a part of train alone, and nothing is trained twice."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from emotion_utils.bench import recipes, trainings
from emotion_utils.bench.recipes import MODEL, base_config, bench_recipes, choose_rows
from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import source_of

TINY = (
    "image_size_px=32", f"recipes.{MODEL}.progressive_resizing=[]", "max_steps_per_epoch=1", "batch_size=8",
    f"recipes.{MODEL}.precision=float32", "min_images_per_class=3",
)  # fmt: skip


def write_faces(folder, parts, classes=("fear", "happy", "sad"), count=36):
    """Noise, another for every image, of which the brightness tells the class."""
    rng = np.random.default_rng(0)
    for part in parts:
        for number in range(count):
            place = number % len(classes)
            image = rng.integers(0, 100, (24, 24, 3), dtype=np.uint8) + np.uint8(60 * place)
            target = folder / part / classes[place] / f"image{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), image)
    return str(folder)


@pytest.fixture
def faces(tmp_path):
    return write_faces(tmp_path / "faces", ["train", "validation"])


def flat(config):
    """Every setting by its dotted name."""

    def walk(values, prefix=""):
        for key, value in values.items():
            yield from walk(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]

    return dict(walk(config.model_dump(mode="json")))


def test_the_base_is_the_profile_in_fewer_epochs_and_without_a_limit_of_time(faces):
    profile, base = resolve_config("thorough", data=faces), base_config(faces, epochs=12)
    before, after = flat(profile), flat(base)
    changed = {name for name in after if before[name] != after[name]}
    own = f"recipes.{MODEL}."
    assert changed <= {
        "models",
        "views",
        *(own + name for name in ("epochs", "budget_minutes", "progressive_resizing")),
    }
    assert (base.recipes[MODEL].epochs, base.recipes[MODEL].budget_minutes) == (12, None)
    planned, shorter = (config.recipes[MODEL].progressive_resizing for config in (profile, base))
    assert [step.size_px for step in shorter] == [step.size_px for step in planned]
    shares = [(step.epoch - 1) / 60 for step in planned]
    assert [step.epoch - 1 for step in shorter] == pytest.approx([12 * share for share in shares], abs=0.5)


def test_each_row_changes_one_thing(faces, tmp_path):
    base = base_config(faces, classes=("happy", "sad"), epochs=4)
    configs, refused = choose_rows(base, source_of(base), [name for name in recipes.ROWS if "votes" not in name])
    sets = {"sgd": {"optimizer", "lr", "weight_decay"}, "adamw": {"optimizer", "lr", "weight_decay"}}
    for name in configs.keys() - {"base"}:
        before, after = flat(base), flat(configs[name])
        changed = {key.rpartition(".")[2] for key in after if before[key] != after[key]}
        assert changed, name
        assert len(changed) == 1 or changed <= sets[name], name
    assert set(refused.values()) == {"the base is so already"}
    assert set(configs) | set(refused) == {"base", *recipes.ROWS} - {"votes", "votes-and-label"}


def test_rates_and_ranges_are_what_their_names_say(faces):
    base = base_config(faces, epochs=4, settings=["batch_size=128", f"recipes.{MODEL}.augment_strength=1.6"])
    configs, _ = choose_rows(base, source_of(base), ["sgd", "erasing", "shift-0.2"])
    seen = {name: config.augment.scaled(config.recipes[MODEL].augment_strength) for name, config in configs.items()}
    assert seen["erasing"].erase == pytest.approx(0.5)
    assert seen["shift-0.2"].shift == pytest.approx(0.2)
    assert configs["sgd"].recipes[MODEL].lr == pytest.approx(0.08)  # 0.16 for batches of 256


@pytest.mark.parametrize(
    ("row", "settings", "reason"),
    [
        ("votes", [], "--votes FILE"),
        ("no-auxiliary", [], "--classes would have to leave some out"),
        ("no-mixup", [f"recipes.{MODEL}.mixup=0"], "so already"),
        ("alternating-flips", ["augment.flip=0", "augment.flip_order=random"], "needs a flip above 0"),
        ("sgd", ["batch_size=auto"], "follows from the batch"),
    ],
)
def test_a_row_that_does_not_apply_says_why(faces, row, settings, reason):
    base = base_config(faces, epochs=4, settings=settings)
    configs, refused = choose_rows(base, source_of(base), [row, "one-size"])
    assert list(configs) == ["base", "one-size"]
    assert reason in refused[row]
    with pytest.raises(InputError, match=reason):
        choose_rows(base, source_of(base), [row])


def test_a_row_of_another_name_is_refused_with_those_that_there_are(faces):
    base = base_config(faces, epochs=4)
    with pytest.raises(InputError, match=r"--row erase: choose of sgd, .*erasing"):
        choose_rows(base, source_of(base), ["erase"])


def test_rows_are_compared_on_a_part_of_train_and_the_best_comes_first(faces, tmp_path, monkeypatch):
    asked, judged = [], []

    def stand_in(folder, name, config, data, *, seed, split):
        """The base is wrong on half of the images, erasing on a quarter, one size on all."""
        asked.append((name, seed))
        rows = data.manifest[data.manifest["split"] == split].sort_values("id", ignore_index=True)
        judged.extend(rows["path"])
        every = {"base": 2, "erasing": 4, "one-size": 1}[name]
        wrong = rows.index % every == every - 1
        predicted = rows["label"].where(~wrong, rows["label"].map({"happy": "sad", "sad": "happy"}))
        sure = (predicted == "happy") * 0.8 + 0.1
        return rows[["id", "label"]].assign(predicted=predicted, happy=sure, sad=1 - sure, seconds=5.0)

    monkeypatch.setattr(recipes, "answer", stand_in)
    base = base_config(faces, classes=("happy", "sad"), epochs=4, settings=["val_fraction=0.3", "test_fraction=0.3"])
    (found,) = bench_recipes(base, tmp_path / "out", seeds=2, rows=["one-size", "erasing"])
    table = found.table.set_index("row")
    assert list(table.index) == ["base", "erasing", "one-size"]
    assert asked == [(name, seed) for seed in (0, 1) for name in ("base", "one-size", "erasing")]
    assert all(path.startswith("train/") for path in judged)
    count = len(set(judged))
    assert count > 4
    base_right, erasing_right = count - count // 2, count - count // 4
    assert table["accuracy"].tolist() == pytest.approx([base_right / count, erasing_right / count, 0])
    assert table.loc["erasing", "gain"] == pytest.approx((erasing_right - base_right) / count)
    assert table.loc["one-size", "gain_high"] < 0
    assert table.loc["erasing", "gain_low"] <= table.loc["erasing", "gain"] <= table.loc["erasing", "gain_high"]
    assert table.loc["one-size", "change"] == "progressive_resizing=[]"
    assert np.isnan(table.loc["base", "gain"])


def test_a_new_split_is_refused_as_it_would_show_what_the_data_hold_out(faces, tmp_path):
    with pytest.raises(InputError, match="leaks=redraw"):
        next(bench_recipes(base_config(faces, epochs=1, settings=["leaks=redraw"]), tmp_path, seeds=1))


@pytest.mark.slow
def test_what_is_trained_is_read_again_and_what_is_missing_is_trained(faces, tmp_path, monkeypatch):
    trained = []
    fit = trainings.Trainer.fit
    monkeypatch.setattr(
        trainings.Trainer, "fit", lambda self, progress: trained.append(self.run.model_folder) or fit(self, progress)
    )
    words = ["bench", "recipes", "--data", faces, "--classes", "happy,sad", "--epochs", "1", "--row", "no-auxiliary"]
    words += ["--output", str(tmp_path / "out"), *(word for setting in TINY for word in ("--set", setting))]

    def run(seeds):
        result = CliRunner().invoke(main, [*words, "--seeds", str(seeds), "--csv", str(tmp_path / "table.csv")])
        assert result.exit_code == 0, result.output
        return pd.read_csv(tmp_path / "table.csv")

    first = run(1)
    assert trained == ["seed-0"] * 2
    assert set(first["row"]) == {"base", "no-auxiliary"}
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    cards = {path.parts[-5].rpartition("-")[0]: path for path in (tmp_path / "out").rglob("seed-0/model.json")}
    designs = {name: json.loads(path.read_text())["design"].get("auxiliary", 0) for name, path in cards.items()}
    assert designs == {"base": 1, "no-auxiliary": 0}
    trained.clear()
    pd.testing.assert_frame_equal(run(1), first)
    assert not trained
    next((tmp_path / "out").glob("base-*/models/*/seed-0/predictions.csv")).unlink()
    run(2)
    assert trained == ["seed-0", "seed-1", "seed-1"]
