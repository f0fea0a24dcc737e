"""The command itself: what it prints, and its exit status."""

import errno
import json
import os

import pandas as pd
import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.published.study import read_published
from emotion_utils.run import Run


@pytest.fixture
def emotion():
    """emotion(*arguments) -> (exit status, what was printed, what was said on standard error)."""

    def run(*arguments):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def table(tmp_path):
    """table(change) -> the study's tables in a file, changed."""

    def write(change=lambda tables: None):
        tables = read_published()
        change(tables)
        path = tmp_path / "table.json"
        path.write_text(json.dumps(tables), encoding="utf-8")
        return path

    return write


def test_audit_of_the_published_tables_is_told_in_lines_with_status_zero(emotion, table):
    status, said, complaint = emotion("audit-table", table())
    assert (status, complaint) == (0, "")
    assert said.splitlines()[0].startswith("64 of 64 checks agree")
    assert "Exactly one confusion matrix" in said
    assert "432 images is the smallest of 57 sizes" in said


def test_audit_of_a_table_with_a_wrong_figure_names_it_with_status_one(emotion, table):
    status, said, complaint = emotion(
        "audit-table", table(lambda t: t["table_2_VGG16_emotion"]["sad"].__setitem__(1, 0.9))
    )
    assert status == 1
    assert "VGG16_emotion, sad: Recall 0.9000 of 134 images would be 120.60 of them" in said
    assert complaint.startswith("emotion: ")
    assert complaint.count("\n") == 1


def test_audit_of_what_is_no_table_is_one_line_with_status_two(emotion, tmp_path):
    (tmp_path / "notes.txt").write_text("no table\n", encoding="utf-8")
    for file in ("none.json", "notes.txt"):
        status, said, complaint = emotion("audit-table", tmp_path / file)
        assert (status, said) == (2, "")
        assert file in complaint
        assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("rank", "done"), [(None, ["train", "predict"]), ("0", ["train", "predict"]), ("1", ["train"])]
)
def test_of_several_processes_the_first_alone_predicts(emotion, tmp_path, monkeypatch, rank, done):
    Run.create(tmp_path / "run", resolve_config("smoke"))
    calls = []
    monkeypatch.setenv("RANK", rank) if rank else monkeypatch.delenv("RANK", raising=False)

    def train(run, model, progress):
        calls.append("train")
        return pd.DataFrame({"val_acc": [0.25, 0.5, 0.5]})

    monkeypatch.setattr("emotion_utils.training.trainer.train_model", train)
    monkeypatch.setattr("emotion_utils.evaluation.predict.predict_splits", lambda run, model: calls.append("predict"))
    status, said, _ = emotion("train", "r18_scratch_emotion", "--run", tmp_path / "run")
    assert status == 0
    assert calls == done
    assert ("seed 0: best epoch 2 of 3, val accuracy 0.500; " in said) == ("predict" in done)


def test_a_search_needs_a_prepared_run_and_a_sampler_that_there_is(emotion, tmp_path):
    status, _, complaint = emotion("search", "r18_scratch_emotion", "--run", tmp_path / "none")
    assert status == 2
    assert "run notebook 01_data_preparation first" in complaint
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    status, _, complaint = emotion("search", "r18_scratch_emotion", "--run", run.root, "--sampler", "magic")
    assert status == 2
    assert "choose one of tpe, grid" in complaint


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_place_that_cannot_be_written_is_one_line_that_names_it(monkeypatch, number):
    def refuse(**options):
        raise OSError(number, os.strerror(number), "runs/a/.lock")

    monkeypatch.setattr(main.commands["settings"], "callback", refuse)
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"emotion: runs/a/.lock: {os.strerror(number)}: change its permissions")
    assert result.stderr.count("\n") == 1
