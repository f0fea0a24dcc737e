import csv
import io
import sys
import types

import numpy as np
import pandas as pd
import pytest
from face_files import encode, faces, make_image, write_folder, write_tar, write_zip

from emotion_utils.audit.class_sizes import refuse_small_classes
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.source import open_source

FER_HEADER = "emotion,pixels,Usage"


def open_as(kind, tmp_path, files, **options):
    """The same files as a folder or an archive."""
    if kind == "folder":
        return open_source(str(write_folder(tmp_path / "data", files)), **options)
    if kind == "zip":
        return open_source(str(write_zip(tmp_path / "data.zip", files)), **options)
    return open_source(str(write_tar(tmp_path / "data.tar.gz", files, "w:gz")), **options)


def fer_csv(*rows):
    return "\n".join((FER_HEADER, *rows)).encode() + b"\n"


def fer_row(emotion=3, value=7, usage="Training"):
    return f"{emotion},{' '.join([str(value)] * 2304)},{usage}"


def labels_csv(*rows, header=("path", "label")):
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue().encode()


# -- folders and archives --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize("wrapper", ["", "outer/", "outer/inner/"])
def test_class_folders_make_a_table_whatever_wraps_them(tmp_path, kind, wrapper):
    files = faces("happy", "sad/deeper")
    source = open_as(kind, tmp_path, {wrapper + name: data for name, data in files.items()})
    assert source.classes == ("happy", "sad")
    assert list(source.table.columns) == ["path", "label", "group", "split"]
    assert source.table["path"].tolist() == sorted(files)
    assert {path: source.read(path) for path in source.table["path"]} == files
    assert (source.table[["group", "split"]] == "").all(axis=None)


def test_fingerprint_is_that_of_the_content(tmp_path):
    files = faces("happy", "sad")
    prints = {open_as(kind, tmp_path / kind, files).fingerprint() for kind in ("folder",)}
    (tmp_path / "a").mkdir()
    prints.add(open_as("zip", tmp_path / "a", {f"wrapped/{name}": data for name, data in files.items()}).fingerprint())
    prints.add(open_as("tar", tmp_path / "a", files).fingerprint())
    assert len(prints) == 1
    changed = files | {"sad/0.png": encode(make_image(99))}
    assert open_as("folder", tmp_path / "b", changed).fingerprint() not in prints
    moved = {name.replace("sad/0", "happy/7"): data for name, data in files.items()}
    assert open_as("folder", tmp_path / "c", moved).fingerprint() not in prints


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "VALIDATION", "testing"), ("train", "dev", "Test")]
)
def test_official_split_is_kept(tmp_path, names):
    source = open_as("zip", tmp_path, faces(*(f"faces/{name}/{label}" for name in names for label in ("happy", "sad"))))
    splits = dict(zip(names, ("train", "val", "test"), strict=True))
    assert source.table["split"].tolist() == [splits[path.split("/")[0]] for path in source.table["path"]]
    assert set(source.table["label"]) == {"happy", "sad"}


def test_train_and_validation_without_test_are_kept(tmp_path):
    source = open_as("folder", tmp_path, faces("train/happy", "train/sad", "valid/happy", "valid/sad"))
    assert set(source.table["split"]) == {"train", "val"}


def test_a_lone_training_part_counts_as_not_split(tmp_path):
    source = open_as("folder", tmp_path, faces("train/happy", "train/sad"))
    assert set(source.table["split"]) == {""}
    assert any("split anew" in note for note in source.notes)


def test_folders_of_persons_above_the_classes_are_seen_through(tmp_path):
    source = open_as("folder", tmp_path, faces("Ann/happy", "Ann/Anger", "Bob/happy"))
    assert source.classes == ("angry", "happy")
    assert source.table["path"].iloc[0] == "Ann/Anger/0.png"


def test_junk_and_other_files_are_left_out_and_counted(tmp_path):
    junk = {"__MACOSX/happy/._0.png": b"", "happy/.DS_Store": b"", ".cache/happy/0.png": b"", "sad/Thumbs.db": b""}
    other = {"README.md": b"", "happy/labels.csv": b"x,y\n", "stray.png": encode(make_image(1))}
    for kind in ("folder", "zip"):
        source = open_as(kind, tmp_path, faces("happy", "sad") | junk | other)
        assert len(source.table) == 4
        assert (
            "not read: 1 table that is not understood, e.g. happy/labels.csv (name the columns of labels path, label); "
            "1 other file, e.g. README.md" in source.notes
        )
        assert "left out 1 image outside of the class folders, e.g. stray.png" in source.notes


def test_synonyms_are_levelled_and_told(tmp_path):
    source = open_as("folder", tmp_path, faces("Joy", "Sadness", "sad"))
    assert source.classes == ("happy", "sad")
    assert source.table["label"].tolist() == ["happy"] * 2 + ["sad"] * 4
    assert "class names taken as: Joy -> happy, Sadness -> sad" in source.notes


def test_names_in_other_scripts_and_names_that_differ_in_case_only_work(tmp_path):
    files = faces("радость", "怒り")
    files |= {"怒り/Face.png": encode(make_image(50)), "怒り/face.PNG": encode(make_image(51))}
    for kind in ("folder", "zip", "tar"):
        source = open_as(kind, tmp_path, files)
        assert source.classes == ("радость", "怒り")
        assert {path: source.read(path) for path in source.table["path"]} == files


def test_file_name_that_is_no_utf8_can_be_read_and_written_down(tmp_path):
    root = write_folder(tmp_path / "data", faces("happy", "sad"))
    try:
        (root / "sad" / "caf\udce9.png").write_bytes(b"coffee")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    source = open_source(str(root))
    path = next(path for path in source.table["path"] if "caf" in path)
    assert source.read(path) == b"coffee"
    assert path.encode("utf-8")


def test_link_in_a_circle_ends(tmp_path):
    root = write_folder(tmp_path / "data", faces("happy", "sad"))
    (root / "happy" / "again").symlink_to(root)
    source = open_source(str(root))
    assert {"happy/0.png", "sad/1.png"} <= set(source.table["path"])
    assert len(source.table) < 20


def test_chosen_classes_come_in_the_order_asked_for_by_any_name(tmp_path):
    source = open_as("folder", tmp_path, faces("happy", "sad", "anger", "fear"), classes=("Sadness", "joy"))
    assert source.classes == ("sad", "happy")
    assert set(source.table["label"]) == {"happy", "sad"}
    assert "left out 4 images of other classes (angry 2, fear 2)" in source.notes


def test_class_in_another_language_is_told_unless_it_was_asked_for(tmp_path):
    files = faces("happy", "Freude", "sad")
    told = open_as("folder", tmp_path, files)
    assert told.classes == ("Freude", "happy", "sad")
    assert told.notes[-1].startswith("not among the known words for emotions")
    assert not open_as("folder", tmp_path, files, classes=("Freude", "sad")).notes[1:]


def test_two_names_of_one_class_are_told(tmp_path):
    source = open_as("folder", tmp_path, faces("happy", "sad"), classes=("Happy", "joyful", "sad"))
    assert source.classes == ("happy", "sad")
    assert "--classes: Happy and joyful mean one class, happy" in source.notes


def test_missing_class_is_named_with_what_there_is(tmp_path):
    with pytest.raises(InputError, match=r"--classes bored: not in the data, which has happy, sad"):
        open_as("folder", tmp_path, faces("happy", "sad"), classes=("happy", "bored"))


def test_two_names_of_one_class_are_not_two_classes(tmp_path):
    with pytest.raises(InputError, match="1 class "):
        open_as("folder", tmp_path, faces("happy", "sad"), classes=("joy", "happy"))


def test_flat_folder_of_two_thousand_files_is_explained(tmp_path):
    root = write_folder(tmp_path / "data", {f"{number}.jpg": b"" for number in range(2000)})
    with pytest.raises(
        InputError, match=r"2000 images are in one flat folder, without classes; expected class/\*\.jpg"
    ):
        open_source(str(root))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no files are in it"),
        ({"happy/notes.txt": b""}, "no images among 1 file;"),
        ({"happy/0.png": b"", "happy/1.png": b""}, r"1 class \(happy\), 2 to 10 are needed"),
        ({f"person{number}/0.png": b"" for number in range(11)}, "11 classes .*choose some with --classes"),
    ],
)
def test_useless_folders_are_refused(tmp_path, files, words):
    (tmp_path / "data").mkdir()
    with pytest.raises(InputError, match=words):
        open_as("folder", tmp_path, files)


def test_what_is_no_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_source(str(tmp_path / "nothing"))
    (tmp_path / "page.zip").write_bytes(b"<html>")
    with pytest.raises(InputError, match="not an archive despite its name"):
        open_source(str(tmp_path / "page.zip"))
    (tmp_path / "face.jpg").write_bytes(encode(make_image(0), "JPEG"))
    with pytest.raises(InputError, match="not a folder, an archive or a CSV"):
        open_source(str(tmp_path / "face.jpg"))


def test_file_that_vanished_is_a_fault(tmp_path):
    source = open_as("folder", tmp_path, faces("happy", "sad"))
    (tmp_path / "data" / "sad" / "0.png").unlink()
    with pytest.raises(ImageFault, match="cannot be read: No such file"):
        source.read("sad/0.png")


def test_table_that_vanished_is_named(tmp_path):
    from emotion_utils.sources.trees import FolderTree

    (tmp_path / "labels.csv").write_text("path,label\n")
    tree = FolderTree(tmp_path)
    (tmp_path / "labels.csv").unlink()
    for read in (tree.open, tree.peek):
        with pytest.raises(InputError, match=r"labels\.csv: cannot be read \(No such file or directory\)"):
            read("labels.csv")


# -- fer2013.csv -----------------------------------------------------------------------------------


def test_fer_rows_become_images_with_their_official_split(tmp_path):
    rows = [fer_row(3, 7), fer_row(0, 255, "PublicTest"), fer_row(6, 0, "PrivateTest"), fer_row(3, 100, "PrivateTest")]
    for name, data in (
        ("fer2013.csv", fer_csv(*rows)),
        ("windows.csv", fer_csv(*rows, "", "").replace(b"\n", b"\r\n")),
    ):
        (tmp_path / name).write_bytes(data)
        source = open_source(str(tmp_path / name))
        facts = source.table.set_index("path")
        assert facts["label"].to_dict() == {
            "PrivateTest/happy/00004.pgm": "happy", "PrivateTest/neutral/00003.pgm": "neutral",
            "PublicTest/angry/00002.pgm": "angry", "Training/happy/00001.pgm": "happy",
        }  # fmt: skip
        assert facts["split"].tolist() == ["test", "test", "val", "train"]
        assert np.array_equal(decode_rgb(source.read("Training/happy/00001.pgm")), np.full((48, 48, 3), 7))
        assert np.array_equal(decode_rgb(source.read("PublicTest/angry/00002.pgm")), np.full((48, 48, 3), 255))


def test_fer_columns_may_stand_in_any_order_and_in_an_archive(tmp_path):
    table = pd.DataFrame({"emotion": [3, 4], "Usage": ["Training"] * 2, "pixels": [" ".join(["9"] * 2304)] * 2})
    data = table.rename(columns={"Usage": " Usage", "pixels": " pixels"}).to_csv(index=False).encode()
    for path in (
        write_zip(tmp_path / "f.zip", {"fer2013/fer2013.csv": data}),
        write_tar(tmp_path / "f.tgz", {"fer2013/fer2013.csv": data, "fer2013/README": b"x"}, "w:gz"),
    ):
        source = open_source(str(path))
        assert source.kind == "fer2013.csv"
        assert (decode_rgb(source.read("Training/sad/00002.pgm")) == 9).all()
        assert set(source.table["split"]) == {""}


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (" ".join(["1"] * 2303), "2303 values, expected 2304"),
        (" ".join(["1"] * 2209), "2209 values"),
        ("", "0 values"),
        (" ".join(["1"] * 2303 + ["256"]), "'256' is not a number from 0 to 255"),
        (" ".join(["1"] * 2303 + ["x"]), "'x' is not a number"),
        (" ".join(["1"] * 2303 + ["-1"]), "'-1' is not a number"),
    ],
)
def test_fer_row_with_wrong_pixels_is_a_fault_of_that_row_alone(tmp_path, pixels, words):
    (tmp_path / "fer2013.csv").write_bytes(fer_csv(fer_row(3), f"4,{pixels},Training", fer_row(4)))
    source = open_source(str(tmp_path / "fer2013.csv"))
    with pytest.raises(ImageFault, match=words):
        source.read("Training/sad/00002.pgm")
    assert decode_rgb(source.read("Training/sad/00003.pgm")).shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"pixels\n1 2 3\n", "column emotion is missing; found pixels: these images have no labels"),
        (b"emotion,pix,Usage\n", "column path is missing; found emotion, pix, Usage"),
        (fer_csv("8,1 2,Training"), "line 2: emotion '8' is not a number from 0 to 7"),
        (fer_csv(fer_row(), "3,1 2,Holdout"), "line 3: Usage 'Holdout' is not Training"),
        (fer_csv(fer_row(), "3,1 2 3"), "line 3: 2 fields, expected 3; is it cut short"),
    ],
)
def test_fer_table_that_contradicts_itself_is_refused(tmp_path, data, words):
    (tmp_path / "fer2013.csv").write_bytes(data)
    with pytest.raises(InputError, match=words):
        open_source(str(tmp_path / "fer2013.csv"))


# -- relabelling CSV -------------------------------------------------------------------------------


def test_relabelling_csv_overrules_the_folders(tmp_path):
    files = faces("faces/happy", "faces/sad")
    rows = [[path, "Sad" if "0" in path else "joy", "ann", "training"] for path in files]
    rows[-1][-1] = "test"
    data = labels_csv(*rows, header=("Path", " LABEL ", "group", "split"))
    write_folder(tmp_path / "d", files | {"relabelled.csv": b"\xef\xbb\xbf" + data})
    for spec in (
        tmp_path / "d" / "relabelled.csv",
        tmp_path / "d",
        write_zip(
            tmp_path / "d.zip", {f"wrap/{n}": d for n, d in {**files, "l.csv": data.replace(b",", b";")}.items()}
        ),
    ):
        source = open_source(str(spec))
        assert source.kind == "labels.csv"
        assert source.table["label"].tolist() == ["sad", "happy", "sad", "happy"]
        assert source.table["group"].tolist() == ["ann"] * 4
        assert source.table["split"].tolist() == ["train"] * 3 + ["test"]
        assert {path: source.read(path) for path in source.table["path"]} == files


def test_missing_files_and_files_without_rows_are_errors_or_faults(tmp_path):
    files = faces("a", "b")
    rows = [("a/0.png", "happy"), ("a/1.png", "sad"), ("b/0.png", "sad")]
    path = write_folder(tmp_path, files | {"l.csv": labels_csv(*rows)}) / "l.csv"
    with pytest.raises(InputError, match=r"1 image has no row, e\.g\. b/1\.png"):
        open_source(str(path))
    path.write_bytes(labels_csv(*rows, ("b/1.png", "sad"), ("b/9.png", "sad")))
    with pytest.raises(InputError, match=r"1 row names a file that is not there, e\.g\. b/9\.png"):
        open_source(str(path))
    path.write_bytes(labels_csv(*rows, ("b/9.png", "sad")))
    source = open_source(str(path), lenient=True)
    assert len(source.table) == 5
    assert dict(source.faults) == {
        "b/1.png": "no row in the CSV", "b/9.png": "the CSV names this file, but it is not there",
    }  # fmt: skip
    assert source.fingerprint() == open_source(str(path), lenient=True).fingerprint()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"path,feeling\na/0.png,sad\n", "column label is missing; found path, feeling"),
        (b"", "column path, label is missing"),
        (labels_csv(), "no rows below the header"),
        (labels_csv(("a/0.png", "happy"), ("a/0.png", "sad")), "line 3: a/0.png is listed twice"),
        (labels_csv(("../a/0.png", "happy")), "relative to the folder of the CSV"),
        (labels_csv(("/a/0.png", "happy")), "relative to the folder of the CSV"),
        (labels_csv(("a/0.png", "")), "line 2: no label"),
        (b"path,label\na/0.png\n", "line 2: 1 field, expected 2"),
        (b'path,label\n"a/0.png,sad\n', "is it cut short"),
        (
            labels_csv(("a/0.png", "sad", "later"), header=("path", "label", "split")),
            "split 'later' is not train, val",
        ),
        (b"path,label\na/0.png,\xe9\n", "UTF-8"),
    ],
)
def test_relabelling_csv_that_is_wrong_is_refused(tmp_path, data, words):
    path = write_folder(tmp_path, faces("a") | {"l.csv": data}) / "l.csv"
    with pytest.raises(InputError, match=words):
        open_source(str(path))


def test_table_of_other_images_is_left_out(tmp_path):
    files = faces("happy", "sad") | {"index.csv": labels_csv(("/elsewhere/happy/0.png", "3"), ("x/1.png", "4"))}
    source = open_as("zip", tmp_path, files)
    assert source.kind == "zip"
    assert source.notes == ("index.csv is a table of labels, but names none of these images: it is not used",)


def test_folder_with_nothing_but_an_archive_is_that_archive(tmp_path):
    (tmp_path / "d").mkdir()
    write_zip(tmp_path / "d" / "faces.zip", faces("happy", "sad"))
    assert open_source(str(tmp_path / "d")).kind == "zip"


def test_two_tables_in_one_place_ask_which(tmp_path):
    table = labels_csv(("a/0.png", "happy"))
    root = write_folder(tmp_path, faces("a", "b") | {"one.csv": table, "two.csv": table})
    with pytest.raises(InputError, match=r"several tables \(one\.csv, two\.csv\)"):
        open_source(str(root))


# -- rendered faces --------------------------------------------------------------------------------


@pytest.fixture
def drawing(monkeypatch):
    """A stand-in for synthetic.py that counts what it draws."""
    module = types.ModuleType("emotion_utils.synthetic.faces")
    module.EMOTIONS = ("angry", "fear", "happy", "sad")
    module.drawn = []

    def synthetic_table(num_images, classes, seed):
        rows = [
            (f"{classes[n % len(classes)]}/p_{n:03d}.png", classes[n % len(classes)], "p", "")
            for n in range(num_images)
        ]
        return pd.DataFrame(rows, columns=["path", "label", "group", "split"])

    def render_path(path, seed, size_px):
        module.drawn.append(path)
        return make_image(seed + len(path) * 1000 + sum(path.encode()), size_px)

    module.synthetic_table, module.render_path = synthetic_table, render_path
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("emotion_utils.synthetic.faces", module, raising=False)
    return module


def test_rendered_faces_are_the_studys_three_classes_unless_asked(drawing):
    source = open_source("synthetic", seed=1, synthetic_images=12)
    assert source.classes == ("angry", "happy", "sad")
    assert len(source.table) == 12
    assert decode_rgb(source.read(source.table["path"][0])).shape == (96, 96, 3)
    assert open_source("synthetic", classes=("sadness", "fear"), synthetic_images=6).classes == ("sad", "fear")


def test_rendered_faces_are_drawn_once_for_audit_and_store(drawing):
    source = open_source("synthetic", synthetic_images=12)
    first = [source.read(path) for path in source.table["path"]]
    count = len(drawing.drawn)
    assert [source.read(path) for path in source.table["path"]] == first
    assert len(drawing.drawn) == count == 12


def test_fingerprint_of_rendered_faces_follows_the_seed_and_the_drawing(drawing, monkeypatch):
    def fingerprint(seed):
        return open_source("synthetic", seed=seed, synthetic_images=6).fingerprint()

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)
    before = fingerprint(0)
    monkeypatch.setattr(drawing, "render_path", lambda path, seed, size_px: make_image(5, size_px))
    assert fingerprint(0) != before


# -- real data -------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_fer2013_zip_opens_with_its_official_split(shared_data):
    source = open_source(str(shared_data / "fer2013_original.zip"))
    assert source.table["split"].value_counts().to_dict() == {"train": 28709, "val": 3589}
    assert source.classes == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert source.table["path"][0].startswith("train/angry/")


# -- tables of pixels in other forms -------------------------------------------------------------------

VALUES = [[(7 * row + at) % 256 for at in range(48 * 48)] for row in range(4)]


def join(values, form):
    return {"list": str(values), "commas": ",".join(map(str, values)), "floats": " ".join(f"{v}.0" for v in values),
            "array": f"[{' '.join(f'{v}.' for v in values)}]", "plain": " ".join(map(str, values))}[form]  # fmt: skip


@pytest.mark.parametrize("form", ["list", "commas", "floats", "array", "plain"])
@pytest.mark.parametrize("quote", ['"', ""])
@pytest.mark.parametrize("head", ["emotion,pixels,Usage\n", "sep=,\nemotion,pixels,Usage\n", "", "What,Werte,Teil\n"])
def test_pixels_in_lists_and_without_header(tmp_path, form, quote, head):
    is_known = "pixels" in head
    if not quote and (form == "commas" or (form == "list" and not is_known)):
        pytest.skip("nothing tells these commas from those between fields")

    def write(labels):
        rows = [
            f"{labels[n % 2]},{quote}{join(values, form)}{quote},{('Training', 'Prueba')[n // 2]}"
            for n, values in enumerate(VALUES)
        ]
        (tmp_path / "f.csv").write_text(head + "\n".join(rows) + "\n")

    write((3, 4))
    if not is_known:  # nothing names the labels
        with pytest.raises(
            InputError, match="column emotion is missing; found What" if head else "write emotion,pixels,Usage above"
        ) as caught:
            open_source(str(tmp_path / "f.csv"))
        assert len(str(caught.value)) < 400
        write(("happy", "sad"))
    source = open_source(str(tmp_path / "f.csv"))
    assert source.table["label"].tolist() == ["sad" if "sad" in path else "happy" for path in source.table["path"]]
    assert sorted(source.table["split"]) == ["test", "test", "train", "train"]
    pixels = {source.read(path)[-48 * 48 :] for path in source.table["path"]}
    assert pixels == {bytes(values) for values in VALUES}


def test_words_beside_numbers_and_folds_in_a_table_of_pixels(tmp_path):
    words = {3: "happy", 4: "sad"}
    rows = [f"{(3, 4)[n % 2]},{words[(3, 4)[n % 2]]},{n},{join(v, 'plain')}" for n, v in enumerate(VALUES)]
    path = tmp_path / "f.csv"
    path.write_text("\n".join(["label,emotion,fold,pixels", *rows]))
    source = open_source(str(path))
    assert source.classes == ("happy", "sad")
    assert any(note.endswith("column fold (0, 1, 2 ...) is no split and not used") for note in source.notes)
    path.write_text("\n".join(["label,emotion,fold,pixels", *rows, rows[0].replace("happy", "sad")]))
    with pytest.raises(InputError, match="do not go together: 3 stands beside happy"):
        open_source(str(path))


@pytest.mark.parametrize("spec", ["synthetic", "nowhere"])
@pytest.mark.parametrize(
    "classes", [("happy", "joy"), ("Sad", "sadness", "sad faces"), ("0_angry", "anger"), ("x", "X")]
)
def test_names_of_one_class_are_refused_before_anything_is_read(spec, classes):
    with pytest.raises(InputError, match=r"1 class is chosen .*mean one class, .*, 2 to 10 are needed"):
        open_source(spec, classes=classes)


def test_synonyms_beside_another_class_are_merged():
    assert open_source("synthetic", classes=("angry", "happy", "joy"), synthetic_images=20).classes == (
        "angry",
        "happy",
    )


def fer_rows(count, form="{label},{pixels}\n"):
    return "".join(form.format(label=n % 3, pixels=" ".join(str((n * 37 + at) % 256) for at in range(256)))
                   for n in range(count)).encode()  # fmt: skip


@pytest.mark.parametrize("names", [("train.csv", "test.csv"), ("fer_train.csv", "fer_test.csv")])
def test_two_tables_of_pixels_named_after_splits_are_read_together(tmp_path, names):
    head, legend = b"emotion,pixels\n", b"0 angry\n1 happy\n2 sad\n"
    files = {name: head + fer_rows(count) for name, count in zip(names, (6, 3), strict=True)}
    source = open_source(str(write_folder(tmp_path, files | {"labels.txt": legend})))
    assert source.table["split"].value_counts().to_dict() == {"train": 6, "test": 3}
    assert source.classes == ("angry", "happy", "sad")
    images = decode_rgb(source.read(source.table["path"].iloc[0]))
    assert images[0, :2, 0].tolist() == [0, 1]
    assert not any("not read" in note or "not used" in note for note in source.notes)


PIXEL_COLUMNS = ",".join(f"pixel{at}" for at in range(256)).encode()


@pytest.mark.parametrize("spec", ["", "x.csv"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (fer_rows(4, "{label},{pixels},Training\n"), "write emotion,pixels,Usage above the first line"),
        (fer_rows(4), "write emotion,pixels above the first line"),
        (b"emotion,%s\n1,%s\n" % (PIXEL_COLUMNS, b",".join([b"7"] * 256)), "one column for each pixel is not read"),
    ],
)
def test_table_of_pixels_without_header_or_with_a_column_each_is_told_what_to_write(tmp_path, spec, data, words):
    with pytest.raises(InputError, match=words) as refused:
        open_source(str(write_folder(tmp_path, {"x.csv": data}) / spec))
    assert len(str(refused.value).removeprefix(f"--data {tmp_path}")) < 250


def test_label_with_a_slip_is_told_with_its_line_and_what_it_may_mean(tmp_path):
    files = faces("angry", "happy", count=10)
    rows = [f"{path},{path.partition('/')[0]}" for path in files]
    rows[4] = rows[4].replace(",angry", ",angy")
    write_folder(tmp_path, {path.replace("/", "_"): data for path, data in files.items()})
    (tmp_path / "labels.csv").write_text("\n".join(["file,emotion", *rows]).replace("/", "_"))
    source = open_source(str(tmp_path))
    with pytest.raises(InputError, match=r"class 'angy' has 1 image \(labels\.csv, line 6; did you mean 'angry'\?\)"):
        refuse_small_classes(source, resolve_config("smoke", [], data=str(tmp_path)))
