"""Which columns of numbers are votes for classes, and which merely stand beside them."""

import pytest
from face_files import encode, faces, make_image, write_folder

from emotion_utils.errors import InputError
from emotion_utils.sources.columns import understand
from emotion_utils.sources.source import open_source
from emotion_utils.sources.text_tables import parse_start

ONE_HOT = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
VOTES = [(8, 2, 0), (1, 6, 3), (7, 0, 1), (2, 3, 5), (0, 9, 1), (4, 4, 1)]
MEASURES = [(0.31, 0.77, 0.5), (0.9, 0.05, 0.4), (0.33, 0.5, 0.61), (0.72, 0.9, 0.1), (0.2, 0.4, 0.8), (0.6, 0.1, 0.3)]


def columns_of(head, rows):
    lines = [",".join([f"{number}.jpg", *map(str, row)]) for number, row in enumerate(rows)]
    return understand(parse_start("\n".join([f"image,{head}", *lines, ""]).encode(), "l.csv"))


def shares_of(head, rows):
    columns = columns_of(head, rows)
    return ",".join(columns.names[at] for at in columns.shares)


@pytest.mark.fault(
    "a table of measures, none of which is a class", "E W", "no labels: refused, or folders count", group="data"
)
@pytest.mark.parametrize(
    "head",
    ["valence,arousal,dominance", "AU01,AU02,AU12", "AU01_r,AU02_r,AU12_r", "blur,quality,noise", "cluster,score,x"],
)
@pytest.mark.parametrize("rows", [MEASURES, [(0, 1, 1), (1, 0, 1), (0, 0, 1), (1, 1, 0)], [(48, 48, 3)] * 4])
def test_measures_are_no_votes(head, rows):
    assert not columns_of(head, rows).labels_files


@pytest.mark.fault("a number beside one-hot labels or votes", "W", "not a class: not used, and named", group="data")
@pytest.mark.parametrize("name", ["index", "Unnamed: 0", "trial", "pid", "frame", "intensity", "faces", "arousal"])
@pytest.mark.parametrize("rows", [ONE_HOT, VOTES])
@pytest.mark.parametrize(
    "numbers", [range(6), range(1, 7), [1] * 6, [0.3, 0.1, 0.9, 0.4, 0.5, 0.2], [0, 0, 0, 3, 0, 0]]
)
def test_a_number_beside_columns_of_emotions_is_no_class(name, rows, numbers):
    beside = [(number, *row) for number, row in zip(numbers, rows, strict=True)]
    columns = columns_of(f"{name},happy,sad,angry", beside)
    assert [columns.names[at] for at in columns.shares] == ["happy", "sad", "angry"]
    assert columns.unused == [name]


def test_a_class_of_an_unknown_word_counts_where_it_fills_the_votes_of_each_row():
    assert shares_of("happy,Ahegao,sad", ONE_HOT) == "happy,Ahegao,sad"
    indexed = [(number, *row) for number, row in enumerate(ONE_HOT)]
    assert shares_of("trial,happy,sad,Ahegao", indexed) == "happy,sad,Ahegao"
    assert shares_of("froh,traurig,zornig", ONE_HOT) == "froh,traurig,zornig"
    assert shares_of("happy,sad,NF", VOTES) == "happy,sad,NF"


@pytest.mark.parametrize("words", [("False", "True"), ("false", "TRUE")])
def test_a_one_hot_table_of_pandas_holds_true_and_false(tmp_path, words):
    images = {f"{number}.jpg": encode(make_image(number), "JPEG") for number in range(4)}
    rows = "".join(f"{number}.jpg,{words[number % 2]},{words[1 - number % 2]}\n" for number in range(4))
    root = write_folder(tmp_path / "faces", images | {"l.csv": f"image,happy,sad\n{rows}".encode()})
    assert open_source(str(root)).table.set_index("path")["label"].to_dict() == {
        "0.jpg": "sad", "1.jpg": "happy", "2.jpg": "sad", "3.jpg": "happy"
    }  # fmt: skip


def test_votes_that_are_no_numbers_from_nought_up_are_refused(tmp_path):
    images = {f"{number}.jpg": encode(make_image(number), "JPEG") for number in range(4)}
    for place, value in enumerate(("-1.5", "?")):
        rows = "".join(f"{name},1,{value if name == '2.jpg' else 0}\n" for name in images)
        root = write_folder(tmp_path / str(place), images | {"l.csv": f"image,happy,sad\n{rows}".encode()})
        with pytest.raises(
            InputError, match=r"l\.csv, line 4: sad has '(-1\.5|\?)' votes; a number from 0 up is needed"
        ):
            open_source(str(root))


@pytest.mark.fault(
    "a table that says nothing of emotions beside folders of emotions",
    "E W",
    "folders count, or it is refused",
    group="data",
)
def test_folders_of_emotions_are_not_overridden(tmp_path):
    images = faces("happy", "sad", "angry")

    def read(name, head, row):
        table = "\n".join([head, *(row.format(path, n, "ab"[n % 2]) for n, path in enumerate(images))])
        return open_source(str(write_folder(tmp_path / name, images | {"v.csv": table.encode()})))

    source = read("numbers", "image,valence,arousal", "{0},0.{1},0.3")
    assert source.classes == ("angry", "happy", "sad")
    assert any(note.startswith("not read") and "v.csv" in note for note in source.notes)
    for head, row in (("image,category", "{0},{2}"), ("file,age,label", "{0},4{1},{2}"), ("image,label", "{0},{1}")):
        with pytest.raises(InputError, match=r"the labels of v\.csv are no emotions .*folders .*angry, happy, sad"):
            read(head, head, row)
    assert open_source(str(tmp_path / "image,category" / "v.csv")).classes == ("a", "b")
    assert read("own", "path,label", "{0},{2}").classes == ("a", "b")
