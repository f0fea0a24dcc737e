"""Help, versions and mistakes on the command line, and what a terminal gets of colour."""

import io
import sys

import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.terminal import output


@pytest.mark.parametrize("group", [[], ["weights"]])
def test_a_group_alone_prints_its_help_in_lines_and_status_two(group):
    alone, asked = CliRunner().invoke(main, group), CliRunner().invoke(main, [*group, "--help"])
    assert (alone.exit_code, alone.stdout, asked.exit_code) == (2, "", 0)
    assert alone.stderr == asked.stdout
    assert "..." not in asked.stdout.replace("[ARGS]...", "")  # no sentence is broken off
    assert max(map(len, asked.stdout.splitlines())) <= 80


def test_version_is_asked_for_as_everywhere():
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("emotion 0.")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train"], "Missing argument 'MODEL'; usage: emotion train --run DIR [OPTIONS] MODEL"),
        (["train", "r18_pre_emotion"], "Missing option '--run': The prepared run folder; usage: emotion train"),
        (["weights", "fetch"], "usage: emotion weights fetch [OPTIONS] NAME"),
        (["runn"], "Did you mean 'run'?"),
        (["help"], "No such command 'help'; did you mean 'emotion --help'?"),
        (["verison"], "did you mean 'emotion --version'?"),
        (["weights", "show"], "No such command 'show'; emotion weights --help lists them"),
        (["run", "smoke"], "did you mean '--profile smoke'?"),
        (["run", "/"], "did you mean '--data /'?"),
        (["run", "--data", "my", "faces"], "names with spaces or brackets need quotes"),
        (["run", "--set", "models=[a,", "b]"], "--set 'key=[a, b]'"),
        (["run", "-profile", "smoke"], "did you mean '--profile'?"),
        (["run", "--learning-rate", "1"], "did you mean '--lr'?"),
        (["run", "--batch-size", "8"], "did you mean '--set batch_size=...'?"),
        (["run", "--dropout=0.1"], "did you mean '--set recipes.MODEL.dropout=...'?"),
        (["run", "--config", "a.yaml"], "No such option '--config'; emotion run --help lists them"),
        (["predict", "--lr", "1"], "No such option '--lr'; emotion predict --help lists them"),
    ],
)
def test_what_is_missing_is_said_with_how_it_is_written(arguments, line):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert line in result.stderr
    assert result.stderr.count("\n") == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert output.paint("a", Terminal(), fg="red") == "\x1b[31ma\x1b[0m"
    assert output.paint("a", io.StringIO(), fg="red") == "a"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("a", Terminal(), fg="red") == "a"
    monkeypatch.setenv("NO_COLOR", "")  # no-color.org: an empty one asks for nothing
    assert output.paint("a", Terminal(), fg="red") != "a"
    monkeypatch.setenv("TERM", "dumb")
    assert output.paint("a", Terminal(), fg="red") == "a"


def test_an_error_is_one_line_whose_quoted_codes_stay_harmless(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(SystemExit):
        output.fail("a\x1b[2Jb\nc", 2)
    assert "\x1b[2J" not in stream.getvalue()
    assert "a\\x1b[2Jb c" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
