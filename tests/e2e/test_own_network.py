"""A network from a file outside the package, from `emotion run` to `emotion predict`: the one that docs/ shows."""

import json
import re

import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from emotion_utils import model_table
from emotion_utils.cli import main
from emotion_utils.errors import InputError
from emotion_utils.model_table import MODELS
from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.run import Run
from emotion_utils.synthetic.faces import render_path, synthetic_table

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def emotion(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """my_net.py as the documentation has it, and a finished run `run` that compares it with a small one."""
    folder = tmp_path_factory.mktemp("own")
    page = (PROJECT_DIR / "docs" / "own_network.md").read_text(encoding="utf-8")
    (folder / "my_net.py").write_text(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    settings = [f"modules=[{folder / 'my_net.py'}]", "models=[tiny_emotion, my_net]", "recipes.my_net.lr=2e-3"]
    options = [option for setting in settings for option in ("--set", setting)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOTION_CACHE_DIR", str(folder / "cache"))
        finished = emotion("run", "--profile", "smoke", "--output", folder / "run", *options)
    assert finished.exit_code == 0, finished.output
    yield folder
    for name in [name for name, spec in MODELS.items() if spec.module]:
        del MODELS[name]


def test_report_compares_it_and_verify_finds_every_number_again(folder):
    html = (folder / "run" / "report.html").read_text(encoding="utf-8")
    assert "network of two convolutions" in html
    assert (folder / "run" / "notebooks" / "04_my_net.html").exists()
    assert emotion("verify", folder / "run").exit_code == 0


def test_its_recipe_is_its_row_with_what_was_set(folder):
    recipe = json.loads((folder / "run" / "run.json").read_text(encoding="utf-8"))["config"]["recipes"]["my_net"]
    assert (recipe["lr"], recipe["phases"]) == (2e-3, [{"epoch": 1, "train_from": "body"}])


def test_predict_runs_its_file_only_where_the_person_names_it(folder, tmp_path, monkeypatch):
    path = synthetic_table(30, ("angry", "happy"), 1)["path"].iloc[0]
    Image.fromarray(render_path(path, 1, 64)).save(tmp_path / "face.png")
    model, table = folder / "run" / "models" / "my_net", tmp_path / "table.csv"
    monkeypatch.delitem(MODELS, "my_net")
    refused = emotion("predict", model, tmp_path / "face.png")
    assert refused.exit_code == 2
    assert f"the network is built by code, {folder / 'my_net.py'}; read it, and" in refused.stderr
    assert "my_net" not in MODELS
    (folder / "my_net.py").rename(folder / "moved.py")
    given = ["--trust-code", folder / "moved.py", "--output", table]
    assert emotion("predict", model, tmp_path / "face.png", *given).exit_code == 0
    assert list(pd.read_csv(table)["path"]) == [str(tmp_path / "face.png")]
    assert emotion("verify", folder / "run").exit_code == 0
    (folder / "moved.py").rename(folder / "my_net.py")


def test_train_and_notebook_run_what_run_json_names_only_where_the_person_names_it(folder, monkeypatch):
    monkeypatch.delitem(MODELS, "my_net")
    monkeypatch.setattr(model_table, "_IMPORTED", {})  # as in a process that has not run the file
    refused = emotion("train", "my_net", "--run", folder / "run")
    assert refused.exit_code == 2
    assert f"the settings of the run name code, {folder / 'my_net.py'}; read it, and" in refused.stderr
    with pytest.raises(InputError, match="the settings of the run name code"):
        Run.open(folder / "run", ["epochs=3"])
    assert "my_net" not in MODELS
    assert Run.open(folder / "run", [f"modules=[{folder / 'my_net.py'}]"]).config.modules
    assert "my_net" in MODELS
