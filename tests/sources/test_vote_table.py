"""Votes in a table of their own, beside data that have labels."""

import pytest
from face_files import encode, make_image, write_folder

from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources import vote_table
from emotion_utils.sources.source import open_source, source_of
from emotion_utils.sources.votes import read_votes

NAMES = [f"fer{number:07d}.png" for number in range(8)]
PATHS = [f"{'train' if number < 6 else 'validation'}/{'angry' if number % 2 else 'sad'}/{name}"
         for number, name in enumerate(NAMES)]  # fmt: skip
HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def row(number, votes="0,0,0,7,2,0,0,1,0,0", usage=None, name=None):
    usage = usage or ("Training" if number < 6 else "PublicTest")
    return f"{usage},{name or NAMES[number]},{votes}"


def rows(*changed):
    return [HEAD, *[row(number) for number in range(8)], *changed]


@pytest.fixture
def read(tmp_path):
    data = write_folder(tmp_path / "data", {path: encode(make_image(n)) for n, path in enumerate(PATHS)})

    def run(lines, *settings):
        (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")
        return source_of(resolve_config("smoke", [f"votes={tmp_path / 'votes.csv'}", *settings], data=str(data)))

    return run


def test_votes_are_found_by_the_name_of_the_image_and_labels_stay(read):
    source = read([HEAD, *[row(number) for number in range(7)]])
    votes = source.table.set_index("path")["votes"]
    assert read_votes(votes["train/sad/fer0000000.png"]) == {"sad": 7, "angry": 2, "contempt": 1}
    assert votes["validation/angry/fer0000007.png"] == ""
    assert source.table["label"].tolist() == ["angry" if "angry" in path else "sad" for path in source.table["path"]]
    assert "votes from votes.csv for 7 images; 1 have none" in source.notes


def test_a_row_that_is_there_twice_counts_once(read):
    assert read(rows(row(3))).table.equals(read(rows()).table)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (rows(row(3, votes="1,0,0,0,0,0,0,0,0,0")), "fer0000003 has several rows"),
        ([HEAD, *[row(number, name=f"other{number}.png") for number in range(8)]], "0 of 8 images"),
        ([HEAD, *[row(number, usage="Training") for number in range(8)]], "is in val, and its row says Training"),
        (["Image name,comment", *[f"{name},fine" for name in NAMES]], "a column of numbers for each class"),
        (["neutral,anger", "1,2"], "a column with the name of the image"),
        ([HEAD], "^votes .*no rows below the header"),
        (rows(row(7, votes="-1,0,0,7,2,0,0,1,0,0")), "line 10: neutral has '-1' votes; a number from 0 up"),
        (rows(row(7, votes="nan,0,0,7,2,0,0,1,0,0")), "line 10: neutral has 'nan' votes"),
        (["file,angry,angry,sad", *[f"{name},1,2,3" for name in NAMES]], "two columns are called 'angry'"),
        (["file,happy,fear", *[f"{name},1,2" for name in NAMES]], "none is a class of the data .angry, sad."),
    ],
)
def test_what_is_not_understood_or_of_other_images_is_refused(read, lines, message):
    with pytest.raises(InputError, match=message):
        read(lines)


def test_a_table_of_gigabytes_is_refused_unread(read, monkeypatch):
    monkeypatch.setattr(vote_table, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="larger than"):
        read(rows())


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        source_of(resolve_config("smoke", [f"votes={tmp_path / 'none.csv'}"]))


def test_votes_as_targets_need_votes():
    with pytest.raises(InputError, match="targets=both: the data have no votes"):
        source_of(resolve_config("smoke", ["targets=both"]))


def test_rows_of_pixels_are_joined_by_their_order(tmp_path):
    pixels = ["emotion,pixels,Usage"]
    for number in range(8):
        values = " ".join(map(str, make_image(number, 48)[..., 0].ravel()))
        pixels.append(f"{'angry' if number % 2 else 'sad'},{values},{'Training' if number < 6 else 'PublicTest'}")
    (tmp_path / "fer2013.csv").write_text("\n".join(pixels) + "\n")
    lines = [HEAD, *[row(number, votes=f"0,0,0,{number + 1},9,0,0,0,0,0", name=" ") for number in range(8)]]
    (tmp_path / "votes.csv").write_text("\n".join(lines) + "\n")
    settings = [f"votes={tmp_path / 'votes.csv'}"]
    source = source_of(resolve_config("smoke", settings, data=str(tmp_path / "fer2013.csv")))
    plain = open_source(str(tmp_path / "fer2013.csv"))
    assert source.table.drop(columns="votes").equals(plain.table)
    sad = {
        path: read_votes(votes)["sad"] for path, votes in zip(source.table["path"], source.table["votes"], strict=True)
    }
    assert sorted(sad.values()) == list(range(1, 9))
    assert [sad[path] for path in sorted(sad, key=lambda path: path.rpartition("/")[2])] == list(range(1, 9))


@pytest.mark.fault("votes for names that several images have", "E", "refused where folders do not tell", group="data")
def test_a_name_that_several_images_have_needs_its_folder(tmp_path):
    paths = [f"{part}/{label}/{n}.jpg" for part in ("train", "test") for label in ("happy", "sad") for n in range(2)]
    data = write_folder(tmp_path / "data", {path: encode(make_image(n), "JPEG") for n, path in enumerate(paths)})

    def read(*rows):
        (tmp_path / "votes.csv").write_text("\n".join(["image,happy,sad,arousal", *rows]) + "\n")
        return source_of(resolve_config("smoke", [f"votes={tmp_path / 'votes.csv'}"], data=str(data)))

    with pytest.raises(InputError, match=r"line 2: 0\.jpg may be test/happy/0\.jpg or test/sad/0\.jpg: write"):
        read("0.jpg,10,0,0.2", "1.jpg,0,10,0.3")
    source = read(*(f"data/{path},{number},9,0.{number}" for number, path in enumerate(paths, start=1)))
    votes = dict(zip(source.table["path"], map(read_votes, source.table["votes"]), strict=True))
    assert votes == {path: {"happy": number, "sad": 9} for number, path in enumerate(paths, start=1)}
    assert any(note.endswith("columns that are not used: arousal") for note in source.notes)
