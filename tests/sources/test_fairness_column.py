"""The column of a table of labels that groups persons: by path, refused where it is missing or no group."""

import re

import pytest
from PIL import Image

from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import source_of

ROWS = ["path,label,age,skin tone,id"] + [
    f"{name}/{number}.png,{name},{'old' if number % 2 else 'young'},{'' if number else 'dark'},{name}{number}"
    for name in ("happy", "sad") for number in range(12)
]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    for name in ("happy", "sad"):
        (tmp_path / name).mkdir()
        for number in range(12):
            Image.new("RGB", (50, 50), (20 * number, 7, 9)).save(tmp_path / name / f"{number}.png")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(ROWS) + "\n")
    return path


def open_with(data, column):
    return source_of(resolve_config("smoke", data=str(data), fairness=column))


def test_groups_go_with_the_images(table):
    for data in (table, table.parent):
        found = open_with(data, "age").table.set_index("path")["fairness"]
        assert (found["happy/3.png"], found["sad/4.png"]) == ("old", "young")
    notes = open_with(table, "age").notes
    assert "age: old 12, young 12" in notes[-1]
    assert notes[0] == "labels.csv: columns that are not used: skin tone, id"
    assert "fairness" not in source_of(resolve_config("smoke", data=str(table))).table


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("ages", r"fairness=ages: labels\.csv has no such column; it has path, label, age, skin tone, id"),
        ("skin tone", "1 value .dark., 2 to 20 are needed"),
        ("id", r"24 values .happy0, happy1, happy10 \.\.\.., 2 to 20"),
    ],
)
def test_column_that_groups_nobody_is_refused(table, column, message):
    with pytest.raises(InputError, match=message):
        open_with(table, column)


def test_data_without_a_table_are_refused(table):
    table.unlink()
    with pytest.raises(InputError, match="fairness=age: needs a table of labels with that column"):
        open_with(table.parent, "age")
    with pytest.raises(InputError, match="fairness=age: needs a table"):
        open_with("synthetic", "age")


def test_two_values_for_one_image_are_refused(table):
    table.write_text(table.read_text().replace("path,label", "file,emotion") + "happy/0.png,happy,old,,x\n")
    with pytest.raises(InputError, match=r"line 26: another value than before"):
        open_with(table, "age")


def test_images_without_a_value_are_counted(table):
    lines = table.read_text().splitlines()
    column = lines[0].split(",").index("age")
    for row in (1, 2):
        values = lines[row].split(",")
        values[column] = ""
        lines[row] = ",".join(values)
    table.write_text("\n".join(lines))
    note = open_with(table, "age").notes[-1]
    assert note.endswith("; without a value, in no group: 2")
    assert sum(map(int, re.findall(r"\d+", note))) == 24
