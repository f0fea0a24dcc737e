"""Options that stand for settings: they set what --set would, and contradict nothing silently."""

import os

import pandas as pd
import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.run import Run


@pytest.fixture
def configured(monkeypatch):
    """configured(*options) -> the settings of the run that the command would make, or its complaint."""
    made = []
    monkeypatch.setattr("emotion_utils.pipeline.run_pipeline", lambda root, config, **_: made.append(config))

    def call(*options):
        result = CliRunner().invoke(main, ["run", "--profile", "smoke", *options])
        return made[-1] if result.exit_code == 0 else result.stderr

    return call


def test_options_of_a_run_are_short_forms_of_its_settings(configured):
    found = configured("--models", "r18_pre_emotion,tiny_emotion", "--lr", "3e-4", "--epochs", "3", "--seed", "7")
    assert found == resolve_config(
        "smoke",
        [
            "models=[r18_pre_emotion, tiny_emotion]", "epochs=3", "seed=7", "recipes.tiny_emotion.lr=3e-4",
            "recipes.r18_pre_emotion.lr=3e-4",
        ],
    )  # fmt: skip


def test_a_rate_of_one_model_overrules_that_of_all(configured):
    found = configured("--lr", "3e-4", "--set", "recipes.VGG16_emotion.lr=1e-4")
    assert {name: found.recipes[name].lr for name in found.models} == {
        "VGG16_emotion": 1e-4, "r18_scratch_emotion": 3e-4, "r18_pre_emotion": 3e-4
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--epochs", "3", "--set", "epochs=4"], "--epochs and --set epochs=... are the same setting"),
        (["--seed", "3", "--set", "seed=3"], "--seed and --set seed=..."),
        (["--lr", "fast"], "'fast' is not a number"),
        (["--lr", "nan"], "lr: "),
        (["--epochs", "2.5"], "'2.5' is not a whole number"),
        (["--models", "r18"], "did you mean 'r18_scratch_emotion'"),
    ],
)
def test_what_contradicts_or_is_no_value_is_one_line(configured, options, line):
    complaint = configured(*options)
    assert line in complaint
    assert complaint.count("\n") == 1


def test_device_is_named_for_this_process_and_those_that_it_starts(configured, monkeypatch):
    monkeypatch.setenv("EMOTION_DEVICE", "cuda:7")  # restored afterwards
    assert configured() is not None
    assert os.environ["EMOTION_DEVICE"] == "cuda:7"
    configured("--device", "cpu")
    assert os.environ["EMOTION_DEVICE"] == "cpu"


def test_one_training_takes_rate_and_epochs_for_its_model_alone(tmp_path, monkeypatch):
    Run.create(tmp_path / "run", resolve_config("smoke"))
    trained = []

    def train(run, model, **_):
        trained.append(run.config)
        return pd.DataFrame({"val_acc": [0.5]})

    monkeypatch.setattr("emotion_utils.training.trainer.train_model", train)
    monkeypatch.setattr("emotion_utils.evaluation.predict.predict_splits", lambda run, model: None)
    command = ["train", "r18_pre_emotion", "--run", str(tmp_path / "run"), "--lr", "0.01", "--epochs", "5"]
    assert CliRunner().invoke(main, command).exit_code == 0
    changed = trained[0].recipes
    assert (changed["r18_pre_emotion"].lr, changed["r18_pre_emotion"].epochs) == (0.01, 5)
    assert changed["VGG16_emotion"] == resolve_config("smoke").recipes["VGG16_emotion"]
