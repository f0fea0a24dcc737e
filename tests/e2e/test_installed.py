"""`pip install .`: a wheel in an environment of its own, without a checkout around it, makes a report."""

import json
import os
import subprocess
import sys
import sysconfig
from importlib.util import find_spec

import pytest

from emotion_utils import __version__
from emotion_utils.provenance import NOTEBOOKS_DIR, PROJECT_DIR

pytestmark = pytest.mark.e2e
MODELS = "models=[r18_scratch_emotion,r18_pre_emotion]"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment with this project's wheel alone; all else is seen in that of the tests."""
    folder = tmp_path_factory.mktemp("installed")
    isolated = [] if not find_spec("hatchling") else ["--no-build-isolation"]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", *isolated, "--wheel-dir", folder, PROJECT_DIR], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (wheel,) = folder.glob("*.whl")
    pip += ["--python", folder / "env" / "bin" / "python"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = folder.glob("env/lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def emotion(installed):
    """emotion(*arguments) -> the finished command of the wheel, in a folder that holds nothing of the project."""
    (installed / "here").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["EMOTION_CACHE_DIR"] = str(installed / "cache")

    def run(*arguments):
        command = [installed / "env" / "bin" / "emotion", *map(str, arguments)]
        return subprocess.run(command, cwd=installed / "here", env=environment, capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def made(emotion, installed):
    """The folder of a finished run, where the wheel puts it by itself."""
    completed = emotion("run", "--profile", "smoke", "--set", MODELS)
    assert completed.returncode == 0, completed.stderr + completed.stdout
    return installed / "here" / "reports" / "smoke"


@pytest.mark.slow
def test_wheel_makes_a_report_that_verifies_beside_where_it_was_started(emotion, made):
    assert (made / "report.html").exists()
    facts = json.loads((made / "run.json").read_text(encoding="utf-8"))
    assert facts["environment"]["version"] == __version__
    assert facts["environment"]["git_revision"] == "unknown"  # that of no repository which happens to lie around it
    verified = emotion("verify", made)
    assert verified.returncode == 0, verified.stderr


def test_notebooks_of_the_wheel_are_those_of_the_project_and_a_changed_one_stays(emotion, installed):
    assert emotion("notebooks", "mine").returncode == 0
    copies = {path.name: path.read_bytes() for path in (installed / "here" / "mine").iterdir()}
    assert copies == {path.name: path.read_bytes() for path in NOTEBOOKS_DIR.glob("*.ipynb")}
    changed = installed / "here" / "mine" / "03_resnet18_scratch.ipynb"
    changed.write_text("mine", encoding="utf-8")
    refused = emotion("notebooks", "mine")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "03_resnet18_scratch.ipynb" in refused.stderr
    assert changed.read_text(encoding="utf-8") == "mine"
