"""Names, links and lists made to hang or to break what reads them: each is read or refused within a moment."""

import inspect
import signal
import sys
from functools import partial

import pytest
from face_files import encode, faces, make_image, write_folder, write_zip

from emotion_utils.audit.groups import find_groups
from emotion_utils.deploy.listing import list_images
from emotion_utils.errors import InputError
from emotion_utils.sources.beside import _without_class
from emotion_utils.sources.class_names import class_key
from emotion_utils.sources.source import open_source
from emotion_utils.sources.split_words import split_of

NUMBERED = faces("0", "1", "2", count=1)


@pytest.fixture(autouse=True)
def within_a_moment():
    """What hung took hours; a moment is long, as other work may run beside."""

    def stop(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.fault("names that make a search for words take years", "R", "read at once", group="data")
def test_names_are_searched_in_linear_time():
    for unit in ("\u3000", "_", " ", "😀 ", "faces_", ",", "dataset", "0 "):
        long = f"喜{unit * 5_000}b"
        assert class_key(long) == long
        assert split_of(long) is None
        assert _without_class(long + " 1").startswith(long.rstrip("b")[:9])
    assert class_key("Happy\u3000😀 faces") == class_key("0_happy 😀 ✨") == "happy"
    assert (split_of("FER2013TrainDatasetImages"), split_of("datasetimagestest")) == ("train", "test")
    assert [_without_class(line) for line in ("a.jpg 3", "a b.jpg,\t3", "a.jpg,3,4", "a.jpg", "")] == [
        "a.jpg", "a b.jpg", "a.jpg", "a.jpg", "",
    ]  # fmt: skip


BOMB = "a0: &a0 [x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


@pytest.mark.fault(
    "a list of classes in YAML, JSON or CSV made to explode", "R", "is no list; read without it", group="data"
)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.yaml", BOMB), ("classes.yaml", "<<: &a {0: a, 1: b}\n2: *a"), ("classes.yaml", "[" * 3000),
        ("classes.yaml", '!!int "": a'), ("classes.yaml", "!!timestamp x: 1"), ("classes.yaml", f"0x{'f' * 5000}: a"),
        ("classes.json", "[" * 30_000), ("classes.json", f'{{"{"1" * 5000}": "a"}}'),
        ("classes.csv", f"{'1' * 5000},a"),
    ],
)  # fmt: skip
def test_lists_of_classes_that_explode_name_nothing(tmp_path, name, text):
    assert open_source(str(write_folder(tmp_path, {**NUMBERED, name: text.encode()}))).classes == ("0", "1", "2")


@pytest.mark.parametrize("ending", ["", ".0"])
def test_labels_of_thousands_of_digits_are_refused(tmp_path, ending):
    rows = "".join(f"{n}.png,{str(n) * 5000}{ending}\n" for n in (1, 2))
    files = {f"{n}.png": encode(make_image(n)) for n in (1, 2)} | {"labels.csv": f"path,label\n{rows}".encode()}
    with pytest.raises(InputError, match=r"the class name '1{20}' \.\.\. has 5,00\d characters"):
        open_source(str(write_folder(tmp_path, files)))


@pytest.mark.fault("links that make billions of paths, or that lead to the whole disk", "E R",
                   "refused by name; not followed to folders above", group="data")  # fmt: skip
def test_links_end(tmp_path):
    data = write_folder(tmp_path / "data", faces("happy", "sad"))
    (data / "happy" / "up").symlink_to(tmp_path)
    source = open_source(str(data))
    assert (len(source.table), source.classes) == (len(faces("happy", "sad")), ("happy", "sad"))
    assert "not followed: 1 link to folders above, e.g. happy/up" in source.notes
    (data / "dia/d25").mkdir(parents=True)
    for level in range(25):
        (data / f"dia/d{level}").mkdir(parents=True)
        for name in "ab":
            (data / f"dia/d{level}" / name).symlink_to(data / f"dia/d{level + 1}")
    with pytest.raises(InputError, match="links lead to the same folders more than 10,000 times"):
        open_source(str(data))


def test_folds_made_of_links_are_read_each(tmp_path):
    data = write_folder(tmp_path / "data", faces("happy", "sad"))
    for part in ("train", "test"):
        (tmp_path / "split").mkdir(exist_ok=True)
        (tmp_path / "split" / part).symlink_to(data)
    assert set(open_source(str(tmp_path / "split")).table["split"]) == {"train", "test"}


@pytest.mark.fault("a thousand folders in each other", "E", "refused by name; `predict` reads them", group="data")
def test_deep_folders(tmp_path, request):
    write_folder(tmp_path / "data", faces("happy", "sad"))
    deep = tmp_path / "data/sad" / ("d/" * 300)
    deep.mkdir(parents=True)
    (deep / "x.png").write_bytes(b"")
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(len(inspect.stack(0)) + 200)
    images, _ = list_images([tmp_path / "data"])
    assert len(images) == len(faces("happy", "sad")) + 1
    packed = write_zip(tmp_path / "x.zip", {"a/" * 30_000 + "x.png": b"", **faces("happy", "sad")})
    for place in (tmp_path / "data", packed):
        with pytest.raises(InputError, match=r"a path of .* folders, of which 4,096 and 100 are read"):
            open_source(str(place))


@pytest.mark.fault("control characters in the name of a class folder", "E", "refused as in a table", group="data")
@pytest.mark.parametrize("name", ["happy\n", "s\x1b[31mad", "happy\u202e", "happy\u2028"])
def test_folders_with_control_characters_are_no_classes(tmp_path, name):
    write_folder(tmp_path, faces(name, "angry"))
    with pytest.raises(InputError, match=r"holds the [-\w]+ character U\+[0-9A-F]{4}, which no font prints: rename it"):
        open_source(str(tmp_path))


@pytest.mark.fault("two files whose names are shown alike", "W", "one is read, the other is named", group="data")
def test_names_that_are_shown_alike(tmp_path):
    literal, control = encode(make_image(1)), encode(make_image(2))
    write_folder(tmp_path, {**faces("happy", "sad"), "sad/\\x0a.png": literal, "sad/\n.png": control})
    source = open_source(str(tmp_path))
    assert source.table["path"].is_unique
    assert source.read("sad/\\x0a.png") == literal
    assert any("1 file whose name is shown as that of another, e.g. sad/\\x0a.png" in note for note in source.notes)


def test_long_names_are_no_persons():
    import pandas as pd

    table = pd.DataFrame({"path": [f"{'-1' * 9000} {n}.png" for n in range(3)], "label": "happy", "group": ""})
    assert set(find_groups(table)[0]) == {""}


@pytest.mark.fault("a list whose lines each name columns of their own", "E", "refused before memory ends", group="data")
def test_lines_of_json_with_many_columns_are_refused(tmp_path):
    lines = "".join(f'{{"image": "{n}.jpg", "label": "happy", "k{n}": 1}}\n' for n in range(8_000))
    images = {f"{n}.jpg": encode(make_image(n), "JPEG") for n in range(2)}
    with pytest.raises(InputError, match=r"labels\.jsonl has 8,002 different keys in 8,000 lines"):
        open_source(str(write_folder(tmp_path / "faces", images | {"labels.jsonl": lines.encode()})))
