"""A table that was cut off goes on where it was, to the same bytes; anything else is begun again."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from emotion_utils.cli import main
from emotion_utils.deploy import classifier
from emotion_utils.deploy.part_table import PartTable
from emotion_utils.deploy.torch_network import TorchNetwork
from emotion_utils.synthetic.faces import render_face


@pytest.fixture
def folder(tmp_path):
    """Eleven faces and a file that is refused."""
    (tmp_path / "faces").mkdir()
    for number in range(11):
        Image.fromarray(render_face("happy", number, number, 48)).save(tmp_path / "faces" / f"{number:02d}.png")
    (tmp_path / "faces" / "01b.png").write_bytes(b"")
    return tmp_path / "faces"


def predict(*arguments):
    return CliRunner().invoke(main, ["predict", *map(str, arguments)])


def stop_at_batch(monkeypatch, number):
    """Interrupts the prediction at this batch, counted from 1; returns a list that grows with each."""
    answer, calls = TorchNetwork.predict, []

    def predict_or_stop(net, faces):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return answer(net, faces)

    monkeypatch.setattr(TorchNetwork, "predict", predict_or_stop)
    return calls


def test_table_that_was_cut_off_goes_on_to_the_same_bytes(model_dir, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "IMAGES_AT_ONCE", 2)
    predict(model_dir, folder, "--output", tmp_path / "whole.csv")
    output, part = tmp_path / "out.csv", tmp_path / "out.csv.part"
    calls = stop_at_batch(monkeypatch, 3)
    predict(model_dir, folder, "--output", output)
    assert not output.exists()
    assert part.read_text().count("\n") == 1 + 4
    with part.open("a") as file:
        file.write("a line that a kill cut o")
    result = predict(model_dir, folder, "--output", output)
    assert result.exit_code == 0
    assert f"{output}: 4 of 12 images were predicted before" in result.stderr
    assert "1 of 12 images is refused" in result.stderr
    assert "11 faces, 1 files refused" in result.stdout
    assert len(calls) == 3 + 4
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not list(tmp_path.glob("out.csv.*"))


@pytest.mark.parametrize("notes", [b"", b"{", b"[1]", b'{"key": 1, "done": 4, "bytes": 9}', b'{"key": null}'])
def test_part_of_something_else_is_begun_again(model_dir, folder, tmp_path, notes):
    output = tmp_path / "out.csv"
    (tmp_path / "out.csv.part").write_text("another table\n")
    (tmp_path / "out.csv.part.json").write_bytes(notes)
    result = predict(model_dir, folder, "--output", output)
    assert result.exit_code == 0
    assert "before" not in result.stderr
    assert output.read_text() == predict(model_dir, folder).stdout
    assert not list(tmp_path.glob("out.csv.*"))


def test_part_is_kept_for_its_own_key_alone(tmp_path):
    def opened(key):
        table = PartTable(tmp_path / "out.csv")
        table.resume(key)
        return table

    table = opened("one")
    table.append("a,b\n", 1)
    table.append("1,2\n", 5)
    table.abandon()
    table = opened("one")
    assert (table.done, table.read().to_dict("list")) == (5, {"a": ["1"], "b": ["2"]})
    table.abandon()
    table = opened("two")
    assert table.done == 0
    table.append("c\n", 1)
    table.finish()
    assert (tmp_path / "out.csv").read_text() == "c\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_state_that_somebody_changed_is_not_gone_on_with(tmp_path):
    state, notes = {"frames": 5, "boxes": [[1, 2.5, None]]}, tmp_path / "out.csv.part.json"
    for change in (lambda told: told, lambda told: told["state"].pop("boxes"), lambda told: told.pop("state_sha256")):
        table = PartTable(tmp_path / "out.csv")
        table.resume("key")
        table.append("a\n", 1, state)
        table.abandon()
        told = json.loads(notes.read_text())
        is_whole = change(told) is told
        notes.write_text(json.dumps(told))
        table = PartTable(tmp_path / "out.csv")
        table.resume("key")
        assert (table.done, table.state) == ((1, state) if is_whole else (0, None))
        table.restart()
        table.abandon()


def test_nothing_is_left_where_nothing_was_done(model_dir, folder, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("{}")
    result = predict(tmp_path / "broken", folder, "--output", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert not list(tmp_path.glob("out*"))


def test_folders_that_were_made_for_a_refused_table_go_again(tmp_path):
    table = PartTable(tmp_path / "a" / "b" / "out.csv")
    (tmp_path / "a" / "mine.txt").touch()
    table.abandon()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("change", ["columns", "paths", "bytes", "more rows", "nothing"])
def test_part_that_somebody_else_changed_is_begun_again(model_dir, folder, tmp_path, monkeypatch, change):
    predict(model_dir, folder, "--output", tmp_path / "whole.csv")
    output, part, notes = (tmp_path / f"out.csv{end}" for end in ("", ".part", ".part.json"))
    monkeypatch.setattr(classifier, "IMAGES_AT_ONCE", 4)
    stop_at_batch(monkeypatch, 2)
    predict(model_dir, folder, "--output", output)
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes({
        "columns": b"path,reason\n" + b"x,\n" * 4,
        "paths": b"".join([lines[0], *(line.replace(b"/0", b"/9") for line in lines[1:])]),
        "bytes": b"\xff\xfe\0\"" * 40,
        "more rows": b"".join(lines) + lines[1].replace(b"/00", b"/77"),
        "nothing": b"",
    }[change])  # fmt: skip
    notes.write_text(json.dumps(json.loads(notes.read_text()) | {"bytes": part.stat().st_size}))
    result = predict(model_dir, folder, "--output", output)
    assert (result.exit_code, result.exception) == (0, None)
    assert "is not what this command wrote" in result.stderr
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
