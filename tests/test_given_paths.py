"""Paths as people write them, and what stands in place of a file that is to be written."""

import os

import pytest
from click.testing import CliRunner

from emotion_utils.cli import main
from emotion_utils.deploy.export_files import check_output
from emotion_utils.errors import InputError
from emotion_utils.files import write_csv, write_json
from emotion_utils.given_paths import expand


def test_home_folders_are_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand("~/a.jpg") == tmp_path / "a.jpg"


@pytest.mark.fault(
    "a path of a variable that is not set, or in the home of nobody", "E", "refused by name", group="strangers"
)
@pytest.mark.parametrize(
    "words",
    [
        ("run", "--data", ""), ("run", "--set", "data="), ("run", "--set", "votes="), ("run", "--output", ""),
        ("run", "--set", 'data="a\\0b"'), ("run", "--data", "~nobody-here/x"), ("predict", ""),
        ("predict", "~nobody-here/a.jpg"), ("predict", "a.jpg", "--output", ""), ("video", "", "--output", "x"),
        ("video", "~nobody-here/a.mp4", "--output", "x"), ("evaluate", "", "--data", "x"), ("verify", ""),
        ("bench", "--csv", ""), ("bench", "train", "--data", ""), ("weights", "convert", "", ""), ("notebooks", ""),
    ],
)  # fmt: skip
def test_empty_paths_and_homes_of_nobody_are_refused(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, list(words))
    assert (result.exit_code, result.stderr.count("\n"), os.listdir(tmp_path)) == (2, 1, [])
    assert any(text in result.stderr for text in ("empty path", "at least 1 char", "null char", "no home folder"))


@pytest.mark.fault(
    "a device, pipe or link where a table or model is to be written", "E", "refused; it stays", group="strangers"
)
@pytest.mark.parametrize("kind", ["pipe", "link", "dangling link", "folder"])
def test_nothing_but_a_file_is_replaced(kind, tmp_path):
    place, mine = tmp_path / "out.csv", tmp_path / "mine"
    mine.write_text("mine")
    {
        "pipe": lambda: os.mkfifo(place), "link": lambda: place.symlink_to(mine),
        "dangling link": lambda: place.symlink_to("away"), "folder": place.mkdir,
    }[kind]()  # fmt: skip
    before = place.lstat()
    for write in (write_json, write_csv):
        with pytest.raises(InputError, match=f"is a {kind.split()[-1]}, which .* replace"):
            write(place, {})
    with pytest.raises(InputError, match="replace"):
        check_output(place, ".csv")
    for words in (("predict", "a.jpg", "--output"), ("bench", "--csv")):
        result = CliRunner().invoke(main, [*words, str(place)])
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert "replace" in result.stderr
    assert (place.lstat(), mine.read_text(), len(os.listdir(tmp_path))) == (before, "mine", 2)
