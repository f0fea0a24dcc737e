"""Whatever a name holds, a terminal shows it as letters."""

import os
import re
import subprocess

import pytest
from click.testing import CliRunner
from face_files import encode, make_image

from emotion_utils.cli import main
from emotion_utils.errors import EmotionError
from emotion_utils.printable import printable, shell_word
from emotion_utils.report.checksums import read_checksums
from emotion_utils.report.names import safe
from emotion_utils.sources.source import open_source


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode 开心 😀 نص", "plain, ünïcode 开心 😀 نص"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("\x07\x7f\x9b", r"\x07\x7f\x9b"),
        ("line\nbreak\u2028", r"line\x0abreak\u2028"),
        ("\u202eturned", r"\u202eturned"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_only_what_cannot_be_shown_is_written_as_its_number(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_errors_and_pages_show_names_so():
    assert str(EmotionError("no \x1b]0;title\x07 here\nor there")) == r"no \x1b]0;title\x07 here or there"
    assert safe("\x1b[2J<b>") == r"<bdi>\x1b[2J&lt;b&gt;</bdi>"


@pytest.mark.fault(
    "escape codes of terminals in the names of files and folders",
    "R",
    "written as \\xNN in terminal, logs, tables and pages",
    group="strangers",
)
def test_escape_codes_in_the_names_of_files_and_folders_reach_neither_tables_nor_terminal(tmp_path):
    for number, label in enumerate(("happy/p", "sad/s\x1b[31md")):
        folder = tmp_path / "fa\x1b[1mces" / label
        folder.mkdir(parents=True)
        (folder / "0\x9b.png").write_bytes(encode(make_image(number)))
    source = open_source(str(tmp_path / "fa\x1b[1mces"))
    assert r"sad/s\x1b[31md/0\x9b.png" in set(source.table["path"])
    assert all(source.read(path).startswith(b"\x89PNG") for path in source.table["path"])
    for arguments in (["predict", "no\x1bmodel", "x"], ["run", "--data", "no\x1bdata"], ["ver\x1bify", "no\x9bthing"]):
        outcome = CliRunner().invoke(main, arguments)
        assert outcome.exit_code == 2
        assert "\x1b" not in outcome.output
        assert "\x9b" not in outcome.output


def test_what_an_error_quotes_at_length_loses_its_middle():
    message = str(EmotionError(f"seed: {'9' * 5000} is no number"))
    assert len(message) < 250
    assert re.fullmatch(r"seed: 9{60} \.\.\. \(4,880 characters\) \.\.\. 9{60} is no number", message)
    assert len(str(EmotionError("12 34 " * 2304))) < 3100
    path = "/".join(["n" * 255] * 9)
    assert str(EmotionError(f"{path}: there is no such file")) == f"{path}: there is no such file"


@pytest.mark.parametrize("name", ["reports/demo", "my run", "it's", "a\nb c", "\x1b[31m'\\x", "ü\u202ey", "caf\udce9"])
def test_suggested_commands_name_the_folder_whatever_it_is_called(name, tmp_path):
    result = subprocess.run(["bash", "-c", f"printf %s {shell_word(name)}"], capture_output=True)
    assert os.fsdecode(result.stdout) == name
    with pytest.raises(EmotionError) as refused:
        read_checksums(tmp_path / name)
    assert f"--output {shell_word(tmp_path / name)}` first" in str(refused.value)
