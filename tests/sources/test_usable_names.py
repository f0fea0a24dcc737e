"""Class names that a run could not hold are refused, each with what would mend it."""

import pytest
from face_files import encode, make_image

from emotion_utils.artefacts import ARTEFACTS
from emotion_utils.deploy.predict_files import FACE_COLUMNS
from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source
from emotion_utils.sources.usable_names import COLUMNS


@pytest.fixture
def open_classes(tmp_path):
    """open_classes(names) -> the classes of a label table with an image of each."""

    def opened(*names):
        (tmp_path / "a.png").write_bytes(encode(make_image(1)))
        (tmp_path / "b.png").write_bytes(encode(make_image(2)))
        rows = "".join(f'{file},"{name}"\n' for file, name in zip(("a.png", "b.png"), names, strict=True))
        (tmp_path / "labels.csv").write_text(f"path,label\n{rows}", encoding="utf-8")
        return open_source(str(tmp_path / "labels.csv")).classes

    return opened


def test_every_column_beside_those_of_the_classes_is_reserved():
    assert {"reason", *FACE_COLUMNS, *ARTEFACTS["predictions"].columns} <= COLUMNS


@pytest.mark.parametrize("name", ["label", "Predicted", "split", "id", "path", "reason", "face"])
def test_name_of_a_column_is_refused(open_classes, name):
    with pytest.raises(InputError, match=f"a class is called '{name}'.*rename it"):
        open_classes("happy", name)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("a\x1b[31mb", "control character U+001B"),
        ("a\x85b", "control character U+0085"),
        ("a\x00b", "control character U+0000"),
        ("a\ue000", "private-use character U+E000"),
        ("\U000f1234", "private-use character U+F1234"),
        ("a\u2028b", "line-breaking character U+2028"),
    ],
)
def test_name_that_no_font_prints_is_refused_in_plain_letters(open_classes, name, named):
    with pytest.raises(InputError, match=named.replace("+", r"\+")) as refused:
        open_classes("happy", name)
    assert str(refused.value).isascii()


def test_names_in_any_script_are_left_as_they_are(open_classes):
    names = ("\u0634\u0627\u062f\u200c\u062a\u0631", "开心")  # Persian with a mark that joins nothing
    assert open_classes(*names) == names


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A0", "@SUM(1)", "-2+3", "+1+cmd", "=1"])
def test_name_that_begins_as_a_formula_is_refused(open_classes, name):
    with pytest.raises(InputError, match="begins as the formula of a spreadsheet does: rename it"):
        open_classes("happy", name)


def test_numbers_with_a_sign_are_names(open_classes):
    assert open_classes("-1", "+1") == ("+1", "-1")


def test_name_that_turns_what_follows_is_refused(open_classes):
    with pytest.raises(InputError, match=r"direction-turning character U\+202E"):
        open_classes("happy", "\u202eyppah")
