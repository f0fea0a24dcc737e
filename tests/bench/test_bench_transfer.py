"""`emotion bench transfer`: folds that keep persons together, what a start has seen is left out, nothing twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.training_images import TrainingImages
from emotion_utils.bench import trainings, transfer
from emotion_utils.bench.transfer import base_config, bench_transfer, draw_folds, read_starts
from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.models.zoo import build_model, save_model
from emotion_utils.run import Run
from emotion_utils.sources.source import open_source
from emotion_utils.synthetic.faces import render_path, synthetic_table

CLASSES = ("angry", "happy", "sad")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """60 synthetic faces whose files name the person."""
    import cv2

    folder = tmp_path_factory.mktemp("faces")
    for path in synthetic_table(60, CLASSES, 0)["path"]:
        target = Path(folder, path)
        target.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(target), render_path(path, 0, 32)[:, :, ::-1])
    return str(folder)


def make_manifest(persons=20, images=6):
    rows = [
        {"id": f"{p:03d}{n}", "label": CLASSES[(p + n) % 3], "group": f"person {p}", "status": "kept", "image": -1}
        for p in range(persons) for n in range(images)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_each_person_is_in_one_fold_and_each_fold_has_its_share_of_every_class():
    manifest = make_manifest()
    manifest.loc[3, "status"] = "quarantined"
    folds = draw_folds(manifest, 0)
    assert folds[3] == -1
    kept = manifest.assign(fold=folds)[folds >= 0]
    assert (kept.groupby("group")["fold"].nunique() == 1).all()
    counts = pd.crosstab(kept["fold"], kept["label"])
    assert counts.shape == (5, 3)
    assert counts.to_numpy().min() >= 6  # 40 of each class, 8 in a fold


def test_a_class_of_too_few_persons_is_refused():
    manifest = make_manifest()
    few = manifest["group"].isin([f"person {p}" for p in range(4)])
    manifest = manifest.assign(label=np.where(few, "fear", "happy"))
    with pytest.raises(InputError, match="'fear': 5 folds need images of 5 persons"):
        draw_folds(manifest, 0)


def test_starts_have_names_and_random_weights_are_among_them():
    assert read_starts(["fer=reports/fer/models/a=b", "net=official"]) == {
        "nothing": "random", "fer": "reports/fer/models/a=b", "net": "official",
    }  # fmt: skip
    for wrong in ("official", "=official", "fer=", "a/b=official", "nothing=official"):
        with pytest.raises(InputError, match="--start"):
            read_starts([wrong])


def test_a_start_that_is_not_there_is_refused_before_anything_is_trained(faces, tmp_path):
    with pytest.raises(InputError, match=r"missing\.safetensors"):
        next(bench_transfer(base_config(faces), read_starts(["gone=./missing.safetensors"]), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def stand_in(monkeypatch):
    """Trainings that answer without training: those from random weights are wrong on every second image."""
    calls = []

    def answer(folder, name, config, data, *, seed, split):
        assert split == "test"
        rows = data.manifest[data.manifest["split"] == "test"].sort_values("id", ignore_index=True)
        calls.append((folder.name, name, data.manifest))
        wrong = (rows.index % 2 == 1) & (name == "nothing")
        predicted = rows["label"].where(~wrong, rows["label"].map(dict(zip(CLASSES, np.roll(CLASSES, 1), strict=True))))
        probs = {label: (predicted == label) * 0.7 + 0.1 for label in CLASSES}
        return rows[["id", "label"]].assign(predicted=predicted, seconds=1.0, **probs)

    monkeypatch.setattr(transfer, "answer", answer)
    return calls


def test_every_image_is_judged_once_by_a_training_that_saw_nobody_of_its_fold(faces, tmp_path, monkeypatch, stand_in):
    monkeypatch.setattr(transfer, "find_seen", lambda config: TrainingImages())
    seen, rates, differences = bench_transfer(base_config(faces), {"nothing": "random", "fer": "x/y"}, tmp_path)
    assert [name for _, name, _ in stand_in] == ["nothing", "fer"] * 5
    judged = pd.concat([manifest[manifest["split"] == "test"] for _, name, manifest in stand_in if name == "fer"])
    assert len(judged) == judged["id"].nunique() == 60
    for _, _, manifest in stand_in:
        persons = manifest.groupby("group")["split"].nunique()
        assert (persons == 1).all()
        assert set(manifest["split"]) == {"train", "val", "test"}
    assert seen.table["left_out"].tolist() == [0, 0]
    table = rates.table.set_index("name")
    wrong = sum(len(m[m["split"] == "test"]) // 2 for _, name, m in stand_in if name == "nothing")
    assert table.loc["fer", ["accuracy", "macro_f1"]].tolist() == [1, 1]
    assert table.loc["nothing", "accuracy"] == pytest.approx(1 - wrong / 60)
    row = differences.table.iloc[0]
    assert (row["name"], row["other"]) == ("fer", "nothing")
    assert row["accuracy"] == pytest.approx(wrong / 60)
    assert 0 < row["acc_low"] <= row["accuracy"] <= row["acc_high"]


def test_what_a_start_has_seen_is_named_and_judged_by_none(faces, tmp_path, monkeypatch, stand_in):
    manifest = audit_images(open_source(faces))[0]
    known = TrainingImages("fer", {manifest["id"][0]: "train", manifest["id"][7]: "val"})
    unknown = TrainingImages(unknown="nobody knows")
    found = {"random": TrainingImages(), "x/known": known, "x/unknown": unknown}
    monkeypatch.setattr(
        transfer,
        "find_seen",
        lambda config: next(v for k, v in found.items() if config.weights_of(transfer.MODEL).endswith(k)),
    )
    starts = {"nothing": "random", "known": "x/known", "unknown": "x/unknown"}
    seen, left_out, rates, _ = bench_transfer(base_config(faces), starts, tmp_path)
    assert set(left_out.table["path"]) == {manifest["path"][0], manifest["path"][7]}
    assert set(left_out.table["start"]) == {"known"}
    table = seen.table.set_index("start")
    assert table.loc[["nothing", "known"], "left_out"].tolist() == [0, 2]
    assert np.isnan(table.loc["unknown", "left_out"])
    assert table.loc["unknown", "note"] == "nobody knows"
    assert " 58 images" in rates.title
    judged = {image for _, _, m in stand_in for image in m.loc[m["split"] != "", "id"]}
    assert not judged & set(known.splits)


def make_earlier_run(root, faces):
    """A run whose ResNet18, of two other classes, was taught two of these images and chosen on a third."""
    manifest, audit = audit_images(open_source(faces))
    manifest = manifest.assign(group="", split="")
    manifest.loc[:2, "split"] = ["train", "train", "val"]
    run = Run.create(root, resolve_config("smoke"))
    run.write("manifest", manifest)
    run.write("audit", audit)
    net = build_model("r18_scratch_emotion", num_classes=2, image_size_px=48, weights="random")
    save_model(net, run.model_dir("r18_scratch_emotion"), ("fear", "neutral"))
    return run.model_dir("r18_scratch_emotion"), manifest["path"][:3].tolist()


@pytest.mark.slow
def test_the_command_starts_from_an_earlier_run_and_goes_on(faces, tmp_path, monkeypatch):
    trained = []
    fit = trainings.Trainer.fit
    monkeypatch.setattr(
        trainings.Trainer, "fit", lambda self, progress: trained.append(self.run.root.name) or fit(self, progress)
    )
    monkeypatch.setattr(transfer, "FOLDS", 2)
    start, seen = make_earlier_run(tmp_path / "fer", faces)
    words = ["bench", "transfer", "--data", faces, "--start", f"fer={start}", "--epochs", "1"]
    words += ["--output", str(tmp_path / "out"), "--csv", str(tmp_path / "table.csv")]
    for setting in ("image_size_px=32", "max_steps_per_epoch=1", "min_images_per_class=3"):
        words += ["--set", setting]
    first = CliRunner().invoke(main, words)
    assert first.exit_code == 0, first.output
    assert [name.rpartition("-")[0] for name in trained] == ["nothing", "fer"] * 2
    table = pd.read_csv(tmp_path / "table.csv")
    assert sorted(table["path"].dropna()) == sorted(seen)
    assert "57 images in 2 folds" in first.output
    assert table["other"].dropna().tolist() == ["nothing"]
    trained.clear()
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), table)
    assert not trained
