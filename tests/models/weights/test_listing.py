"""`emotion weights list`: every source with all that is known of it, in lines that a terminal can show."""

import json

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from emotion_utils.cli import main
from emotion_utils.models.card import save_model
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.network import make_network
from emotion_utils.models.weights.cache import weights_dir
from emotion_utils.models.weights.listing import format_weights, list_earlier_runs, list_local_files, list_weights
from emotion_utils.models.weights.registry import SOURCES

CLASSES = ("happy", "sad")


@pytest.fixture
def reports(tmp_path):
    """One earlier run with a trained ResNet18."""
    design = {"architecture": "resnet18", "num_classes": 2, "dropout": 0.0}
    provenance = {"name": "random", "kind": "random", "sentence": "ResNet18, random weights from seed 0"}
    save_model(
        make_network(design, IMAGENET.at(32), provenance, seed=0), tmp_path / "fer/models/r18_pre_emotion", CLASSES
    )
    return tmp_path


def test_command_tells_of_every_source_and_of_what_else_can_be_named():
    result = CliRunner().invoke(main, ["weights", "list"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    assert "\n    licence " in result.output
    for source in SOURCES.values():
        for part in (f"{source.name}: ", source.file_name, *source.addresses):
            assert part in result.output
    for part in ("224 px, RGB, 0 to 1, mean 0.485 0.456 0.406, std 0.229 0.224 0.225", "f37072fd", "FILE", "MODEL_DIR"):
        assert part in result.output


@pytest.mark.parametrize("width", [80, 100, 120])
def test_no_line_is_wider_than_the_terminal_but_for_an_address_alone(width):
    for row in list_weights():
        for line in format_weights(row, width).splitlines():
            assert len(line) <= width or "://" in line, line


def test_other_files_in_the_folders_are_listed_with_what_they_are(tmp_path, monkeypatch):
    weights_dir().mkdir(parents=True)
    save_file({"a": torch.ones(3)}, weights_dir() / "converted.safetensors")
    (tmp_path / "page.h5").write_bytes(b"<!DOCTYPE html>")
    (tmp_path / SOURCES["vggface_keras"].file_name).write_bytes(b"of a source: not listed twice")
    monkeypatch.setenv("EMOTION_WEIGHTS_DIR", str(tmp_path))
    rows = list_local_files()
    assert [row["name"].rpartition("/")[2] for row in rows] == ["page.h5", "converted.safetensors"]
    assert "found an HTML page" in rows[0]["title"]
    assert rows[1]["title"] == "safetensors"


def test_models_of_earlier_runs_are_listed_with_their_past(reports):
    (row,) = list_earlier_runs(reports)
    assert row["name"] == str(reports / "fer/models/r18_pre_emotion")
    assert row["title"] == "resnet18 trained on happy, sad"
    assert "random weights from seed 0" in row["trained_on"]
    assert "32 px, RGB" in format_weights(row, 120)


def test_damaged_earlier_run_does_not_spoil_the_list(reports):
    card = reports / "fer/models/r18_pre_emotion/model.json"
    card.write_text(json.dumps({"design": {}}))
    assert "model.json is damaged" in list_earlier_runs(reports)[0]["title"]
