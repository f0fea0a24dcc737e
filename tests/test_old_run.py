"""A run folder and a model's folder that e052922 wrote, read by the code of today; tests/fixtures/README.md."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from fake_run import NOTEBOOK, execute
from filled_weights import fill_weights
from safetensors.torch import save_file

from emotion_utils.cli import main
from emotion_utils.files import file_sha256
from emotion_utils.model_table import STUDY_MODELS
from emotion_utils.models.zoo import build_model, load_model
from emotion_utils.report.page.render import render_report
from emotion_utils.run import Run

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def old(tmp_path):
    """A copy of the run."""
    return Run.open(shutil.copytree(FIXTURES / "run_e052922", tmp_path / "run"))


@pytest.fixture(scope="module")
def old_model(tmp_path_factory):
    """The model's folder with its weights, which are made again; its card is as it was written."""
    folder = tmp_path_factory.mktemp("old") / "model"
    shutil.copytree(FIXTURES / "model_e052922", folder)
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=48, weights="random", seed=0)
    fill_weights(net.network)
    save_file(net.network.state_dict(), folder / "model.safetensors")
    return folder


def test_settings_of_the_old_run_are_read(old):
    recipe = old.config.recipes["r18_pre_emotion"]
    assert [(step.epoch, step.size_px) for step in recipe.progressive_resizing] == [(1, 32), (2, 48)]
    assert [(phase.epoch, phase.train_from) for phase in recipe.phases] == [(1, "layer3"), (2, "stem")]
    assert [each.config.seed for each in (old, *old.replicas())] == [0, 1]


def test_old_run_is_verified(old):
    result = CliRunner().invoke(main, ["verify", str(old.root)])
    assert result.exit_code == 0, result.output
    assert "agree" in result.output


def test_verify_finds_a_changed_figure_in_an_old_run(old):
    path = old.model_dir("r18_pre_emotion") / "history.csv"
    history = pd.read_csv(path)
    history["val_acc"] = 0.5
    history.to_csv(path, index=False)
    result = CliRunner().invoke(main, ["verify", str(old.root)])
    assert result.exit_code == 1


def test_report_of_an_old_run_is_rendered_anew(old, monkeypatch):
    monkeypatch.setattr("emotion_utils.report.page.render.print_pdf", lambda page, path: (None, ["no paper"]))
    page = (old.root / "report.html").read_text(encoding="utf-8")
    render_report(old, execute(NOTEBOOK, old, old.notebooks_dir / NOTEBOOK.name))
    anew = (old.root / "report.html").read_text(encoding="utf-8")
    assert anew != page
    for model in STUDY_MODELS:
        test = old.read("predictions", model).query("split == 'test'")
        assert f"{(test['label'] == test['predicted']).mean():.4f}" in anew


def test_old_weights_are_those_of_the_old_card(old_model):
    net, card = load_model(old_model)
    assert card["sha256"] == file_sha256(old_model / "model.safetensors")
    assert net.design["num_classes"] == 3


def test_old_model_predicts_what_it_predicted(old_model, monkeypatch):
    monkeypatch.chdir(old_model)
    expected = pd.read_csv("predictions.csv")
    result = CliRunner().invoke(main, ["predict", ".", "faces", "--output", "again.csv"])
    assert result.exit_code == 0, result.output
    pd.testing.assert_frame_equal(pd.read_csv("again.csv")[expected.columns], expected, atol=1e-4, rtol=0)
