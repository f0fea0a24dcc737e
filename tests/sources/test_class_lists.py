"""Names of classes that are numbers, from a file beside the images."""

import json

import pytest
from face_files import encode, faces, make_image, write_folder

from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source

NAMES = ("angry", "happy", "sad")
JSON_LIST, BY_NUMBER = list(NAMES), {str(n): name for n, name in enumerate(NAMES)}
LISTS = {
    "classes.txt": "angry\nhappy\nsad\n",
    "labels.txt": "0 angry\r\n1 happy\r\n2 sad\r\n",
    "class_names.txt": "0: Angry\n1: Happy\n2: Sad",
    "emotion_labels.txt": "angry 0\nhappy 1\nsad 2\n",
    "label_map.txt": "0\tangry\n1\thappy\n2\tsad\n",
    "obj.names": "\ufeffangry\nhappy\n\nsad\n",
    "data.yaml": "train: ../train/images\nnc: 3\nnames: ['angry', 'happy', 'sad']\n",
    "dataset.yml": "names:\n  0: angry\n  1: happy\n  2: sad\n",
    "classes.json": json.dumps(JSON_LIST),
    "class_to_idx_labels.json": json.dumps({name: n for n, name in enumerate(NAMES)}),
    "config.json": json.dumps({"id2label": BY_NUMBER, "x": 1}),
    "README.md": "# Faces\n\n1. Download\n2. Unpack\n\nLabels: 0: angry, 1: happy, 2: sad. 48 images.\n",
    "Readme.txt": "0=Angry\n1=Happy\n2=Sad\n",
    "readme.rst": "| 0 | angry |\n| 1 | happy |\n| 2 | sad |\n",
}


def read(tmp_path, files, *folders):
    return open_source(str(write_folder(tmp_path / "data", files | faces(*folders))))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", LISTS)
def test_numbered_folders_get_the_names_beside_them(tmp_path, name, encoding):
    files = {name: LISTS[name].removeprefix("\ufeff").encode(encoding)}
    source = read(tmp_path, files, *(f"{part}/{n}" for part in ("train", "test") for n in range(3)))
    assert source.classes == NAMES
    assert all(path.split("/")[1] == str(NAMES.index(label)) for path, label in source.table[["path", "label"]].values)
    assert f"with names from {name}" in source.found
    assert any("0 is " in note and "2 is " in note for note in source.notes)
    assert not any("not read" in note for note in source.notes)


def test_numbers_in_a_table_and_in_votes_get_names(tmp_path):
    images = {f"images/{n}.png": encode(make_image(n)) for n in range(3)}
    rows = "".join(f"{n}.png,{n},{n},{(n + 1) % 3}\n" for n in range(3)).encode()
    files = images | {"classes.txt": LISTS["classes.txt"].encode()}
    source = read(tmp_path / "a", files | {"l.csv": b"image,label_1,label_2,label_3\n" + rows})
    assert source.classes == NAMES
    assert json.loads(source.table["votes"].iloc[0]) == {"angry": 2, "happy": 1}


def test_names_count_from_one_where_the_folders_do(tmp_path):
    assert read(tmp_path, {"classes.txt": b"angry\nhappy\nsad"}, "1", "2", "3").table["label"].iloc[0] == "angry"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "angry\nhappy\n"),  # too few
        ("classes.txt", "0 angry\n1 happy\n3 sad\n"),
        ("classes.txt", "0 angry\n1 happy\n2 happiness\n"),  # two of one name
        ("classes.txt", "0 angry\n1 happy\n1 calm\n2 sad\n"),
        ("labels.txt", "0/0.png 0\n0/1.png 1\n"),
        ("README.md", "0: open the door\n1: close it\n2: go away\n"),  # no emotions
        ("data.yaml", "names: [angry\n"),
        ("classes.json", "[1, 2, 3]"),
        ("classes.json", '{"0": "angry", "1": "", "2": "sad"}'),
    ],
)
def test_what_is_not_clear_names_nothing(tmp_path, name, text):
    source = read(tmp_path, {name: text.encode()}, "0", "1", "2")
    assert source.classes == ("0", "1", "2")
    assert any("not read" in note and name in note for note in source.notes)


def test_names_for_folders_from_one_that_may_count_from_nought_are_not_taken(tmp_path):
    assert read(tmp_path, {"classes.txt": b"angry\nhappy\nsad\ncalm"}, "1", "2", "3").classes == ("1", "2", "3")


def test_files_that_contradict_each_other_are_refused(tmp_path):
    files = {"classes.txt": b"angry\nhappy\nsad\n", "README.md": b"0: happy, 1: angry, 2: sad"}
    with pytest.raises(InputError, match=r"class 0 is happy in README\.md and angry in classes\.txt"):
        read(tmp_path, files, "0", "1", "2")


def test_folders_with_words_need_no_list(tmp_path):
    assert read(tmp_path, {"classes.txt": b"a\nb\n"}, "happy", "sad").classes == ("happy", "sad")


def test_numbers_in_a_table_of_pixels_get_names(tmp_path):
    rows = "".join(f"{n},{' '.join([str(10 * n + 1)] * 2304)}\n" for n in range(3))
    files = {"f.csv": f"emotion,pixels\n{rows}".encode()}
    assert read(tmp_path / "a", files).classes == ("angry", "disgust", "fear")  # FER2013's, if nothing else is said
    source = read(tmp_path / "b", files | {"classes.txt": b"sad\nhappy\ncalm\n"})
    assert dict(zip(source.table["label"], (source.read(path)[-1] for path in source.table["path"]), strict=True)) == {
        "sad": 1, "happy": 11, "calm": 21,
    }  # fmt: skip
    assert "classes.txt: 0 is sad, 1 is happy, 2 is calm" in source.notes


@pytest.mark.parametrize(
    ("name", "text"),
    [("label_map.csv", "label,name\n0,angry\n1,happy\n2,sad\n"), ("labels.csv", "id;name\n0;angry\n1;happy\n2;sad\n"),
     ("mapping.tsv", "angry\t0\nhappy\t1\nsad\t2\n")],
)  # fmt: skip
def test_a_table_of_numbers_and_names_gives_the_names(tmp_path, name, text):
    source = read(tmp_path, {name: text.encode()}, "0", "1", "2")
    assert source.classes == NAMES
    assert not any("not used" in note or "not read" in note for note in source.notes)


def test_numbers_without_names_say_what_would_name_them_and_why_a_list_did_not(tmp_path):
    said = "classes are numbers (0, 1, 2): put a labels.txt beside"
    alone, beside = (read(tmp_path / str(len(files)), files, "0", "1", "2").notes
                     for files in ({}, {"classes.txt": b"angry\nhappy\n"}))  # fmt: skip
    assert any(note.startswith(said) for note in alone)
    assert any(note.startswith(said) and "classes.txt does not name each of them once" in note for note in beside)


def test_numbers_of_pixels_are_told_with_a_warning_where_some_of_the_seven_are_missing(tmp_path):
    rows = [f"{n},{' '.join([str(10 * n + 1)] * 2304)}" for n in range(7)]
    for count in (3, 7):
        table = "\n".join(["emotion,pixels", *rows[:count]]).encode()
        notes = read(tmp_path / str(count), {"f.csv": table}).notes
        assert any(note.startswith("emotion as in FER2013: 0 is angry, 1 is disgust, 2 is fear") for note in notes)
        assert any("(only 0, 1, 2)" in note and "labels.txt" in note for note in notes) == (count == 3)
