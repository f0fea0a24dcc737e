"""The run folder: whole files, checked schemas, and errors that name file and row."""

import json

import numpy as np
import pandas as pd
import pytest

from emotion_utils.artefacts import ARTEFACTS, HISTORY_COLUMNS, MANIFEST_COLUMNS
from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import write_csv, write_json
from emotion_utils.run import Run

CLASSES = ["angry", "happy"]
MODEL = "r18_scratch_emotion"


@pytest.fixture
def run(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    run.write("audit", {"classes": CLASSES})
    return run


def predictions(**changes):
    table = {"id": ["a", "b"], "split": ["val", "test"], "label": ["angry", "happy"], "predicted": ["angry", "angry"]}
    return pd.DataFrame({**table, "angry": [0.75, 0.5000001], "happy": [0.25, 0.4999999], **changes})


def history(epochs=2):
    numbers = {column: [1.0] * epochs for column in HISTORY_COLUMNS}
    return pd.DataFrame(numbers | {"epoch": range(1, epochs + 1), "phase": "all"})


def test_predictions_survive_the_file_to_the_last_bit(run):
    written = predictions(angry=[0.1 + 0.2, 2 / 3], happy=[0.7, 1 / 3], predicted=["happy", "angry"])
    run.write("predictions", written, MODEL)
    pd.testing.assert_frame_equal(run.read("predictions", MODEL), written, check_exact=True)


def test_measured_tables_survive_the_file_and_keep_their_columns(run):
    table = pd.DataFrame({"model": MODEL, "step": [1.0], "group": ["head"], "id": ["7"], "correlation": [0.1 + 0.2]})
    run.write("randomised", table)
    pd.testing.assert_frame_equal(run.read("randomised"), table, check_exact=True)
    with pytest.raises(EmotionError, match="correlation is missing"):
        run.write("randomised", table.drop(columns="correlation"))
    with pytest.raises(InputError, match="05_creative_element"):
        run.read("covered")


def test_class_named_like_a_missing_value_stays_text(run):
    run.write("audit", {"classes": ["NA", "null"]})
    table = predictions(label=["NA", "null"], predicted=["NA", "NA"]).rename(columns={"angry": "NA", "happy": "null"})
    run.write("predictions", table, MODEL)
    assert list(run.read("predictions", MODEL)["label"]) == ["NA", "null"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"split": ["val", "train"]}, "row 3: split"),
        ({"label": ["joy", "happy"]}, "row 2: label"),
        ({"id": ["a", "a"]}, "row 3: this id appears twice"),
        ({"angry": [0.75, 1.5]}, "row 3: a probability is not within 0-1"),
        ({"angry": [0.75, float("nan")]}, "row 3: a probability is not within 0-1"),
        ({"angry": [0.8, 0.5000001]}, "row 2: the probabilities do not sum to 1"),
        ({"predicted": ["happy", "angry"]}, "row 2: predicted is not the most probable class"),
    ],
)
def test_contradictory_predictions_are_refused_by_row(run, changes, complaint):
    with pytest.raises(EmotionError, match=complaint):
        run.write("predictions", predictions(**changes), MODEL)


def test_missing_column_is_named(run):
    with pytest.raises(EmotionError, match="column val_acc is missing"):
        run.write("history", history().drop(columns="val_acc"), MODEL)


def test_word_in_place_of_a_number_is_named_by_row(run):
    run.write("history", history(), MODEL)
    path = run.model_dir(MODEL) / "history.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1], lines[2].replace("1.0", "much", 1), ""]))
    with pytest.raises(EmotionError, match=r"row 3: .* is not a number"):
        run.read("history", MODEL)


@pytest.mark.parametrize("width", ["inf", "96.5", "1e300", "wide"])
def test_width_that_is_no_whole_number_is_named_by_row(run, width):
    run.path("manifest").parent.mkdir(parents=True, exist_ok=True)
    run.path("manifest").write_text(
        f"{','.join(MANIFEST_COLUMNS)}\na,a.png,happy,,train,kept,,96,96\nb,b.png,happy,,train,kept,,{width},96\n"
    )
    with pytest.raises(EmotionError, match=r"manifest\.csv, row 3: width is not a (whole )?number"):
        run.read("manifest")


def test_losses_and_times_that_cannot_be_are_refused_with_their_row(run):
    for column, value in {"train_loss": np.inf, "val_loss": -1.0, "lr": -0.1, "seconds": -np.inf}.items():
        with pytest.raises(InputError, match=rf"row 3: {column} is not a number from 0 on"):
            run.write("history", history().assign(**{column: [0.5, value]}), MODEL)


def test_skipped_epoch_is_refused(run):
    skipping = history().assign(epoch=[1, 3])
    with pytest.raises(EmotionError, match="epochs must count"):
        run.write("history", skipping, MODEL)
    write_csv(run.path("history", MODEL), skipping)
    with pytest.raises(EmotionError, match="epochs must count"):
        run.read("history", MODEL)


def test_trial_without_an_epoch_has_no_accuracy(run):
    row = dict.fromkeys(ARTEFACTS["search"].columns, 1.0) | {"key": "k", "sampler": "tpe", "reason": "diverged"}
    trials = pd.DataFrame([row | {"state": "pruned", "val_acc": float("nan")}, row | {"state": "complete", "trial": 2}])
    run.write("search", trials, MODEL)
    assert run.read("search", MODEL)["val_acc"].isna().tolist() == [True, False]
    trials["seconds"] = float("nan")
    run.write("search", trials, MODEL)
    with pytest.raises(EmotionError, match="row 2: seconds is not a number"):
        run.read("search", MODEL)


def test_missing_artefact_says_what_to_run_first(run, tmp_path):
    with pytest.raises(InputError, match="01_data_preparation first"):
        run.read("manifest")
    with pytest.raises(InputError, match="01_data_preparation first"):
        Run.open(tmp_path / "nothing")


def test_folder_of_another_configuration_is_not_mixed(run):
    with pytest.raises(InputError, match="seed: 0 there, 1 here"):
        Run.create(run.root, resolve_config("smoke", seed=1))


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "facts.json"
    write_json(path, {"old": True})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_events_are_kept_in_order(run):
    run.append("events", MODEL, kind="unfrozen", epoch=4)
    run.append("events", MODEL, kind="early_stop", epoch=7, reason="patience")
    assert [event["kind"] for event in run.read("events", MODEL)] == ["unfrozen", "early_stop"]


def test_recorded_facts_are_merged(run):
    run.record(stages={"01": {"seconds": 1.0}})
    run.record(stages={"02": {"seconds": 2.0}}, report={"pdf": True, "notes": []})
    assert run.facts["stages"] == {"01": {"seconds": 1.0}, "02": {"seconds": 2.0}}
    assert run.facts["report"] == {"pdf": True, "notes": []}


def start(root, **given):
    return Run.start(root, **{"profile": "smoke", "data": "synthetic", "seed": 0, **given})


def test_a_notebook_starts_a_run_with_settings(tmp_path):
    run = start(tmp_path / "run", settings=["image_size_px=40", "recipes.r18_scratch_emotion.lr=0.01"])
    assert run.config.image_size_px == 40
    assert run.config.recipes[MODEL].lr == 0.01
    assert Run.open(run.root).config == run.config


@pytest.mark.parametrize("settings", [[], ["image_size_px=40"], ["image_size_px=40", "epochs=1"]])
def test_a_run_that_is_there_keeps_settings_that_a_notebook_does_not_give(tmp_path, settings):
    config = resolve_config("smoke", ["image_size_px=40", "epochs=1"], classes=("happy", "sad"))
    Run.create(tmp_path / "run", config)
    assert start(tmp_path / "run", settings=settings).config == config


@pytest.mark.parametrize(
    ("given", "difference"),
    [
        ({"settings": ["image_size_px=48"]}, "image_size_px: 40 there, 48 here"),
        ({"seed": 1}, "seed: 0 there, 1 here"),
        ({"profile": "demo"}, "profile: smoke there, demo here"),
    ],
)
def test_a_run_that_is_there_refuses_other_settings_and_says_which(tmp_path, given, difference):
    Run.create(tmp_path / "run", resolve_config("smoke", ["image_size_px=40"]))
    with pytest.raises(InputError, match=difference):
        start(tmp_path / "run", **given)


def test_the_settings_that_differ_are_named_as_for_set(tmp_path):
    Run.create(tmp_path, resolve_config("smoke"))
    rate = "recipes.r18_scratch_emotion.lr"
    with pytest.raises(InputError, match=r"\(seed: 0 there, 3 here, and 1 more\); choose another"):
        Run.create(tmp_path, resolve_config("smoke", ["seed=3", f"{rate}=0.5"]))
    with pytest.raises(InputError, match=rf"\({rate}: 0\.001 there, 0\.5 here\)"):
        Run.create(tmp_path, resolve_config("smoke", [f"{rate}=0.5"]))
