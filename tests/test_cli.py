"""The command itself: what it prints, and its exit status."""

import json

import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.evaluation.published import read_published


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
    assert "432 pictures is the smallest of 57 sizes" in said


def test_audit_of_a_table_with_a_wrong_figure_names_it_with_status_one(emotion, table):
    status, said, complaint = emotion(
        "audit-table", table(lambda t: t["table_2_VGG16_emotion"]["sad"].__setitem__(1, 0.9))
    )
    assert status == 1
    assert "VGG16_emotion, sad: Recall 0.9000 of 134 pictures would be 120.60 of them" in said
    assert complaint.startswith("emotion: ")
    assert complaint.count("\n") == 1


def test_audit_of_what_is_no_table_is_one_line_with_status_two(emotion, tmp_path):
    (tmp_path / "notes.txt").write_text("no table\n", encoding="utf-8")
    for file in ("none.json", "notes.txt"):
        status, said, complaint = emotion("audit-table", tmp_path / file)
        assert (status, said) == (2, "")
        assert file in complaint
        assert complaint.count("\n") == 1
