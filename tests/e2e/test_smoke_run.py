"""Whole runs through ./run_all.sh: what a person gets, checked as a person would check it."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import papermill
import pytest
from PIL import Image
from pypdf import PdfReader

from emotion_utils.model_table import STUDY_MODELS
from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.run import Run

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A cache that the runs of this module share, as the runs of one person do."""
    return {**os.environ, "EMOTION_CACHE_DIR": str(tmp_path_factory.mktemp("e2e-cache"))}


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Four classes of real files: rendered faces in folders with other names, and one broken image among them."""
    from emotion_utils.synthetic.faces import render_path, synthetic_table

    root = tmp_path_factory.mktemp("faces")
    table = synthetic_table(80, ("angry", "fear", "happy", "sad"), 3)
    for row in table.itertuples():
        path = root / {"happy": "Happiness"}.get(row.label, row.label) / row.path.split("/")[-1]
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(render_path(row.path, 3, 48)).save(path)
    (root / "sad" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    return root


@pytest.fixture(scope="module")
def finished(environment, faces, tmp_path_factory):
    """A finished run on those faces, without a network where that can be had."""
    root = tmp_path_factory.mktemp("run") / "smoke"
    completed = run_all(environment, "--profile", "smoke", "--data", str(faces), "--output", str(root), alone=True)
    assert completed.returncode == 0, completed.stderr + completed.stdout
    return root, completed


WITHOUT_NETWORK = ["unshare", "--net", "--map-root-user"]  # a namespace of its own, in which no interface is up


def can_be_alone():
    """Whether this machine gives processes network namespaces of their own."""
    return shutil.which("unshare") and subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True).returncode == 0


def run_all(environment, *arguments, cwd=None, alone=False):
    command = [str(PROJECT_DIR / "run_all.sh"), *arguments]
    if alone and can_be_alone():
        command = [*WITHOUT_NETWORK, *command]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=600)


def test_a_run_needs_no_network(finished):
    """Not even a connection to this machine itself: the run above had no interface that was up."""
    if not can_be_alone():
        pytest.skip("no network namespaces here")
    reach = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    tried = subprocess.run([*WITHOUT_NETWORK, sys.executable, "-c", reach], capture_output=True, text=True)
    assert "Network is unreachable" in tried.stderr
    assert (finished[0] / "report.html").exists()


def test_every_artefact_is_there_and_keeps_its_schema(finished):
    run = Run.open(finished[0])
    manifest = run.read("manifest")
    assert run.class_names() == ("angry", "fear", "happy", "sad")
    assert sorted(run.read("audit")["classes"]) == ["angry", "fear", "happy", "sad"]
    for model in STUDY_MODELS:
        assert len(run.read("history", model)) == 2
        predictions = run.read("predictions", model)
        held_out = manifest[manifest["split"].isin(["val", "test"])]
        assert sorted(predictions["id"]) == sorted(held_out["id"])
        assert (run.model_dir(model) / "model.safetensors").stat().st_size > 1_000_000
        assert run.read("model_card", model)
    facts = run.facts
    assert facts["environment"]["versions"]["torch"]
    assert all(stage["seconds"] > 0 for stage in facts["stages"].values())


def test_no_person_is_in_two_splits(finished):
    kept = Run.open(finished[0]).read("manifest").query("status == 'kept'")
    assert (kept["group"] != "").all()
    assert (kept.groupby("group")["split"].nunique() == 1).all()


def test_broken_image_is_set_aside_with_its_reason_and_counted(finished):
    run = Run.open(finished[0])
    broken = run.read("manifest").query("status == 'quarantined'")
    assert [path.split("/")[-1] for path in broken["path"]] == ["broken.png"]
    assert broken["reason"].iloc[0]
    assert run.read("audit")["quarantined"] == 1


def test_best_epoch_of_the_history_is_the_model_that_predicted(finished):
    run = Run.open(finished[0])
    for model in STUDY_MODELS:
        val = run.read("predictions", model).query("split == 'val'")
        accuracy = float(np.mean(val["label"] == val["predicted"]))
        assert accuracy == pytest.approx(run.read("history", model)["val_acc"].max(), abs=1e-9)


def test_pdf_text_holds_the_numbers_of_the_predictions(finished):
    run = Run.open(finished[0])
    text = re.sub(r"\s+", " ", " ".join(page.extract_text() for page in PdfReader(finished[0] / "report.pdf").pages))
    for model in STUDY_MODELS:
        test = run.read("predictions", model).query("split == 'test'")
        assert model in text
        assert f"{np.mean(test['label'] == test['predicted']):.4f}" in text
    assert "proxy" in text.lower()


def test_html_is_there_and_loads_nothing(finished):
    html = (finished[0] / "report.html").read_text(encoding="utf-8")
    assert all(model in html for model in STUDY_MODELS)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", re.sub(r"<a\b[^>]*>", "", html))


def test_progress_tells_notebook_epoch_and_end(finished):
    said = finished[1].stdout
    assert "02_vggface_finetuned: epoch 2/2" in said
    assert said.splitlines()[-1].startswith("done in")


def test_second_run_with_nothing_changed_runs_no_notebook(finished, environment, faces):
    before = (finished[0] / "report.html").read_bytes()
    again = run_all(environment, "--profile", "smoke", "--data", str(faces), "--output", str(finished[0]))
    assert again.returncode == 0
    assert again.stdout.count("up to date") == 6
    assert (finished[0] / "report.html").read_bytes() == before


@pytest.mark.slow
def test_verify_holds_after_notebooks_were_run_again_by_hand(finished, environment, faces, tmp_path, monkeypatch):
    root = finished[0]
    monkeypatch.setenv("EMOTION_CACHE_DIR", environment["EMOTION_CACHE_DIR"])
    for name in ("01_data_preparation", "03_resnet18_scratch", "05_creative_element"):
        given = {"run_dir": str(root)} | ({"profile": "smoke", "data": str(faces)} if name.startswith("01") else {})
        papermill.execute_notebook(
            PROJECT_DIR / "notebooks" / f"{name}.ipynb", tmp_path / "executed.ipynb", given,
            cwd=PROJECT_DIR / "notebooks", progress_bar=False,
        )  # fmt: skip
    command = [sys.executable, "-m", "emotion_utils", "verify", str(root)]
    verified = subprocess.run(command, env=environment, cwd=PROJECT_DIR, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--data", "no/such/place"], "no/such/place"),
        pytest.param(["--data", "{empty}"], "--data", marks=pytest.mark.slow),
        pytest.param(["--profile", "large"], "smoke, demo, thorough, paper", marks=pytest.mark.slow),
        pytest.param(["--set", "epoch=3"], "did you mean 'epochs'", marks=pytest.mark.slow),
        (["--data", "{faces}", "--classes", "happy,bored"], "bored"),
        pytest.param(
            ["--data", "{faces}", "--set", "min_images_per_class=50"], "50 are needed", marks=pytest.mark.slow
        ),
        pytest.param(["--output", "/proc/emotion"], "--output", marks=pytest.mark.slow),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_bad_input_is_one_line_status_two_and_nothing_written(environment, faces, tmp_path, arguments, named):
    empty = tmp_path / "empty"
    empty.mkdir()
    output = tmp_path / "run"
    filled = [text.format(empty=empty, faces=faces) for text in arguments]
    if "--output" not in filled:
        filled += ["--output", str(output)]
    completed = run_all(environment, "--profile", "smoke", *filled, cwd=tmp_path)
    assert completed.returncode == 2, completed.stderr
    assert named in completed.stderr
    assert len(completed.stderr.strip().splitlines()) == 1
    assert not output.exists()
