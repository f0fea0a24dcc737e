"""`emotion run --like`: the settings of another run.json, and what is not as in its run."""

import json

import pytest
from click.testing import CliRunner

from emotion_utils import pipeline
from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.like import Original
from emotion_utils.run import Run

MODEL = "models/r18_scratch_emotion/predictions.csv"


@pytest.fixture
def theirs(tmp_path):
    """theirs(**facts) -> the run.json of somebody's run, trained with 3 threads by another torch."""

    def write(*settings, **facts):
        run = Run.create(tmp_path / "theirs", resolve_config("smoke", ["epochs=1", "seed=7", *settings]))
        trained = {"seconds": 1.0, "outputs": {MODEL: "a" * 64}, "trained_on": {"device": "cuda", "threads": 3}}
        run.record(stages={"03_resnet18_scratch": trained}, environment={"versions": {"torch": "2.10.0"}}, **facts)
        return run.root / "run.json"

    return write


@pytest.fixture
def repeat(tmp_path, monkeypatch):
    """repeat(*arguments) -> (exit status, lines said, the new run); no notebook runs, but a model of it is recorded."""

    def fill(run, *_):
        trained = {"seconds": 1.0, "outputs": {MODEL: "a" * 64}, "trained_on": {"device": "cpu", "threads": 3}}
        run.record(stages={"03_resnet18_scratch": trained})

    def command(*arguments):
        monkeypatch.setattr(pipeline, "_run_stages", fill)
        words = [str(word) for word in ("run", "--output", tmp_path / "ours", *arguments)]
        result = CliRunner().invoke(main, words)
        lines = (result.stdout + result.stderr).splitlines()
        return result.exit_code, lines, tmp_path / "ours"

    return command


def test_same_settings_and_threads_are_taken_and_other_versions_data_and_device_are_named(theirs, repeat):
    path = theirs(data={"fingerprint": "b" * 64})
    status, lines, folder = repeat("--like", path)
    assert status == 0, lines
    config, original = Run.open(folder).config, Run.open(path.parent).config
    assert config == original.model_copy(update={"threads": 3})
    named = [line.removeprefix(f"not as in {path}: ") for line in lines]
    torch = json.loads((folder / "run.json").read_text(encoding="utf-8"))  # nothing of the environment was recorded
    assert "environment" not in torch
    assert any(line.startswith("torch: 2.10.0 there, ") for line in named)
    assert any(line.startswith(f"data, sha256: {'b' * 12} there, ") for line in named)
    assert "device of 03_resnet18_scratch: cuda there, cpu here" in named
    assert lines[-1] == f"beside {path}: the same to the last bit: {MODEL}"
    assert len(lines) == len(set(lines))


def test_changed_setting_is_named_and_other_predictions_are_called_so(theirs, repeat):
    path = theirs()
    _, lines, folder = repeat("--like", path.parent, "--epochs", 2)
    assert f"not as in {path}: setting epochs: 1 there, 2 here" in lines
    run = Run.open(folder)
    run.record(stages={"03_resnet18_scratch": {"seconds": 1.0, "outputs": {MODEL: "c" * 64}}})
    assert Original.read(path).outcome(run) == [f"not the same: {MODEL}"]


@pytest.mark.parametrize(
    ("settings", "arguments", "named"),
    [
        ((), ["--profile", "demo"], "leave out --profile"),
        (("data=/home/anna/faces.zip",), [], "/home/anna/faces.zip, are not on this machine: say with --data where"),
    ],
)
def test_what_cannot_be_repeated_is_one_line_with_status_two(theirs, repeat, settings, arguments, named):
    status, lines, folder = repeat("--like", theirs(*settings), *arguments)
    assert (status, len(lines)) == (2, 1)
    assert named in lines[0]
    assert not folder.exists()


def test_networks_of_somebody_elses_code_are_not_run_unasked(theirs, repeat, tmp_path):
    code, trap = tmp_path / "net.py", tmp_path / "ran"
    code.write_text(f"open({str(trap)!r}, 'w')", encoding="utf-8")
    path = theirs()
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["config"]["modules"] = [str(code)]
    path.write_text(json.dumps(facts), encoding="utf-8")
    status, lines, _ = repeat("--like", path)
    assert (status, trap.exists()) == (2, False)
    assert "--trust-code" in lines[0]
