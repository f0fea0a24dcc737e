"""A table that labels folders: videos or persons."""

import pytest
from face_files import faces, write_folder

from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source

LABELS = {"P01": "happy", "P02": "sad", "P03": "happy", "P04": "sad"}


def read(tmp_path, table, images=None, spec=""):
    files = (images or faces(*LABELS)) | {"labels.csv": table.encode()}
    return open_source(str(write_folder(tmp_path / "data", files) / spec))


def rows(head, form="{},{}"):
    return "\n".join([head, *(form.format(*row) for row in LABELS.items())]) + "\n"


@pytest.mark.parametrize("spec", ["", "labels.csv"])
@pytest.mark.parametrize(
    ("head", "form"),
    [("video,emotion", "{},{}"), ("name,emotion", "{}/,{}"), ("subject;label", "{};{}"), ("path,label", "./{},{}"),
     ("emotion,clip,fps", "{1},{0},25")],
)  # fmt: skip
def test_images_get_the_label_of_their_folder_which_is_their_person(tmp_path, head, form, spec):
    table = read(tmp_path, rows(head, form), spec=spec).table
    assert table["label"].tolist() == [LABELS[path.partition("/")[0]] for path in table["path"]]
    assert table["group"].tolist() == [path.partition("/")[0] for path in table["path"]]


def test_folders_below_parts_and_a_column_of_persons(tmp_path):
    images = faces("train/P01", "train/P02", "test/P03", "test/P04", "test/P05", count=1)
    text = rows("video,emotion,subject", "{0},{1},S{0}").replace("P04,", "P09,")
    source = read(tmp_path, text, images)
    assert source.table.set_index("path")["split"].to_dict() == {path: path.partition("/")[0] for path in images}
    assert source.table["group"].tolist() == ["SP03", "", "", "SP01", "SP02"]
    assert set(source.faults) == {"test/P04/0.png", "test/P05/0.png"}
    assert "labels.csv: 1 folder without images, e.g. p09" in source.notes


def test_a_folder_with_two_labels_and_too_few_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"labels\.csv: P01 is happy \(line 2\) and sad \(line 6\)"):
        read(tmp_path / "two", rows("video,emotion") + "P01,sad\n")
    more = faces(*LABELS, *(f"Q{n}" for n in range(5)), count=1)
    with pytest.raises(InputError, match=r"labels\.csv labels folders \(column video\), and 5 of 9 images .*Q0/0\.png"):
        read(tmp_path / "few", rows("video,emotion"), more)


def test_folders_of_emotions_and_tables_about_persons_stay_what_they_are(tmp_path):
    images = faces("P01/happy", "P01/sad", "P02/happy", "P02/sad")
    assert read(tmp_path, "id,class\nP01,old\nP02,young\n", images).classes == ("happy", "sad")
