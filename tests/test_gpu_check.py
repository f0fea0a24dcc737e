"""The script that checks a machine with a GPU: what it says, and that a check that fails is named."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_check.py"
SHELL = SCRIPT.with_suffix(".sh")


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_check_becomes_a_row_and_a_failed_one_is_named(script, tmp_path, capsys, monkeypatch):
    def fail(folder, data):
        raise script.Failure("the fan is off")

    def skip(folder, data):
        raise script.Skip("1 GPU")

    script.CHECKS.clear()
    monkeypatch.setattr(script, "USUAL", script.CHECKS)
    script.CHECKS.update({"one": lambda folder, data: f"of {data}", "second-check": fail, "third": skip})
    assert script.main(["--output", str(tmp_path), "--data", "faces"]) == 1
    lines = capsys.readouterr().out.splitlines()
    table = [line.split(None, 3) for line in lines[lines.index("third ...") + 1 :][:4]]
    assert [row[0] for row in table] == ["check", "one", "second-check", "third"]
    assert [row[1] for row in table[1:]] == ["ok", "FAILED", "skipped"]
    assert [row[3] for row in table[1:]] == ["of faces", "the fan is off", "1 GPU"]
    assert lines[-1] == "failed: second-check"
    assert script.main(["--output", str(tmp_path), "--only", "one", "third"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing failed: 1 passed, 1 skipped"


def test_without_a_device_nothing_else_is_checked(script, tmp_path, capsys, monkeypatch):
    def fail(folder, data):
        raise script.Failure("no GPU")

    monkeypatch.setattr(script, "USUAL", ["device", "bench"])
    script.CHECKS.update({"device": fail, "bench": lambda folder, data: pytest.fail("went on")})
    assert script.main(["--output", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "failed: device"


def test_a_command_that_fails_says_its_last_line_and_where_the_rest_is(script, tmp_path):
    log = tmp_path / "it.log"
    code = "import sys; print('first'); print('emotion: no such file'); print(); sys.exit(3)"
    with pytest.raises(script.Failure, match=f"status 3: emotion: no such file; see {log}"):
        script.call(log, [sys.executable, "-c", code])
    assert log.read_text().startswith("first\n")
    assert script.call(log, [sys.executable, "-c", "print('well')"]) == "well\n"


def test_a_command_that_hangs_is_ended(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "LIMIT_S", 0.5)
    with pytest.raises(script.Failure, match=r"took longer than 0\.5 s"):
        script.call(tmp_path / "it.log", [sys.executable, "-c", "import time; time.sleep(60)"])


@pytest.mark.slow
def test_without_a_gpu_the_first_line_says_so(script, tmp_path, monkeypatch):
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("a GPU is here")
    monkeypatch.delenv("EMOTION_DEVICE", raising=False)
    with pytest.raises(script.Failure, match=r"cpu, GPUs: 0, torch .*: no GPU is used here"):
        script.check_device(tmp_path, None)
    monkeypatch.setenv("EMOTION_DEVICE", "cpu")
    assert script.check_device(tmp_path, None).startswith("cpu, GPUs: 0, torch ")
    with pytest.raises(script.Skip, match="no GPU"):
        script.check_processes(tmp_path, None)


@pytest.mark.slow
def test_a_killed_training_is_compared_with_a_whole_one(script, tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert script.check_resume(tmp_path, None).endswith("both times")
    events = (tmp_path / "killed/models/r18_scratch_emotion/events.jsonl").read_text()
    assert '"kind": "resumed"' in events


@pytest.mark.parametrize("arguments", [["--wheels"], ["--wheels="], ["--wheels", ""]])
def test_wheels_without_a_folder_are_refused(arguments):
    done = subprocess.run([SHELL, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: --wheels needs a folder\n")


def test_a_folder_without_wheels_is_refused(tmp_path):
    done = subprocess.run([SHELL, "--wheels", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no wheels in" in done.stderr
    assert "gpu_wheels.sh" in done.stderr
