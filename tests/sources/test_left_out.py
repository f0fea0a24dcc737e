"""Files that nobody reads are named: how many of which kind, one of them, and what to do."""

import re

import numpy as np
import pytest
from face_files import encode, faces, make_image, write_folder, write_zip

from emotion_utils.errors import InputError
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.source import open_source

FACES = faces("happy", "sad")
CONTENT = {"raw/IMG_1.NEF": b"II*\0"}  # begins as a TIFF does
KINDS = {
    "clip01.MP4": r"1 video, e\.g\. clip01\.MP4 \(save single frames of it as JPEG or PNG\)",
    "raw/IMG_1.NEF": r"1 camera raw file, e\.g\. raw/IMG_1\.NEF \(export it",
    "happy/more.zip": r"1 archive within, e\.g\. happy/more\.zip \(unpack it",
    "faces.rar": r"1 archive within, e\.g\. faces\.rar",
    "x.7z": r"1 archive within",
    "X_train.npy": r"1 file of arrays, e\.g\. X_train\.npy \(save images in it as PNG in class folders\)",
    "faces.mat": "1 file of arrays",
    "labels.xlsx": r"1 spreadsheet or database, e\.g\. labels\.xlsx \(save labels in it as a CSV",
    "labels.json": r"1 text or JSON file, e\.g\. labels\.json \(write labels in it into a CSV",
    "labels.txt": r"1 text or JSON file, e\.g\. labels\.txt",
    "notes.csv": r"1 table that is not understood, e\.g\. notes\.csv",
    "LICENSE": r"1 other file, e\.g\. LICENSE",
}  # fmt: skip


@pytest.mark.parametrize("pack", [write_folder, write_zip])
@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_named_beside_images_that_are_read(tmp_path, name, pack):
    source = open_source(str(pack(tmp_path / "data", {**FACES, name: CONTENT.get(name, b"a,b\n1,2\n")})))
    assert len(source.table) == len(FACES)
    assert any(re.search(f"^not read: {KINDS[name]}", note) for note in source.notes)


def test_all_kinds_stand_in_one_line_with_their_counts(tmp_path):
    files = {f"clips/{number}.avi": b"RIFF" for number in range(12)} | {"a/b/deep.zip": b"PK", "a/b/deep.tar": b""}
    [line] = [note for note in open_source(str(write_folder(tmp_path, FACES | files))).notes if "not read" in note]
    assert line.startswith("not read: 12 videos, e.g. clips/0.avi (save single frames")
    assert "; 2 archives within, e.g. a/b/deep.tar (" in line


@pytest.mark.parametrize("name", KINDS)
def test_folder_of_nothing_else_is_refused_with_the_same_line(tmp_path, name):
    with pytest.raises(InputError, match=rf"no images among 1 file; not read: {KINDS[name]}"):
        open_source(str(write_folder(tmp_path, {name: CONTENT.get(name, b"a,b\n1,2\n")})))


def test_file_given_by_itself_is_named(tmp_path):
    write_folder(tmp_path, {"clip.mov": b"moov", "faces.npz": b"PK"})
    with pytest.raises(InputError, match=r"clip\.mov: is a video: save single frames of it"):
        open_source(str(tmp_path / "clip.mov"))


def test_table_of_labels_names_what_it_does_not_need(tmp_path):
    rows = "".join(f"{name},{name.partition('/')[0]}\n" for name in FACES)
    files = FACES | {"labels.csv": f"path,label\n{rows}".encode(), "clip.mkv": b"", "notes.txt": b""}
    notes = open_source(str(write_folder(tmp_path, files))).notes
    assert any(note.startswith("not read: 1 video, e.g. clip.mkv") and "notes.txt" in note for note in notes)
    assert not any("labels.csv" in note for note in notes)


def test_empty_class_folders_are_named(tmp_path):
    root = write_folder(tmp_path, FACES)
    for name in ("surprise", "neutral", ".cache"):
        (root / name).mkdir()
    assert "2 folders are empty, e.g. neutral" in open_source(str(root)).notes


def test_flat_folder_whose_files_are_named_after_emotions_is_told_apart(tmp_path):
    files = {f"{name}_{number}.png": b"" for name in ("happy", "Sad") for number in range(3)}
    with pytest.raises(InputError, match=r"most are named after one, e\.g\. Sad_0\.png: move each into a folder"):
        open_source(str(write_folder(tmp_path, files)))


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_thumbnail_of_a_camera_raw_file_is_not_taken_for_the_image(tags):
    with pytest.raises(ImageFault, match=r"a camera's raw file.*export it"):
        decode_rgb(encode(make_image(0), "TIFF", tiffinfo=tags))
    assert isinstance(decode_rgb(encode(make_image(0), "TIFF", tiffinfo={254: 0})), np.ndarray)


FLAT = {f"{number}.png": b"\x89PNG\r\n\x1a\n" for number in range(4)}
ROWS = "0.png,happy\n1.png,sad\n2.png,happy\n3.png,sad\n"
NOT_USED = {  # a table beside images without classes: its content, and what is said of it first
    "of other images": ("file,emotion\na.jpg,sad\nb.jpg,sad\n", r"2 rows name files that are not there, e\.g\. a\.jpg"),
    "of one other image": ("path,label\na.jpg,sad\n", r"1 row names a file that is not there, e\.g\. a\.jpg"),
    "comments above": (f"# mine\nfile,emotion\n{ROWS}", ".*: line 1 is a comment: remove those above the header"),
    "blanks": ("file emotion\n0.png sad\n", ".*: line 1 is separated by blanks: separate the columns by commas"),
    "unknown columns": ("file,a,b\n0.png,x,y\n", "column label is missing; found file, a, b"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_USED)
def test_table_that_may_have_been_meant_is_what_is_said_first(tmp_path, case):
    text, words = NOT_USED[case]
    files = FLAT | {"t.csv": text.encode()}
    with pytest.raises(InputError, match=rf"without classes; t\.csv: {words}"):
        open_source(str(write_folder(tmp_path, files)))


@pytest.mark.parametrize("spec", ["", "t.csv"])
def test_quote_that_is_not_closed_is_told_with_its_line(tmp_path, spec):
    files = FLAT | {"t.csv": f'file,emotion\n{ROWS}"3.png,sad\n'.encode()}
    with pytest.raises(InputError, match=r"t\.csv, line 6: .*or a quote not closed\?"):
        open_source(str(write_folder(tmp_path, files) / spec))


@pytest.mark.parametrize(
    ("name", "words"), [("t.xlsx", "1 spreadsheet or database, e.g. t.xlsx"), ("t.csv", "t.csv is not UTF-8: save it")]
)
def test_table_in_another_format_beside_images_without_classes_is_said_first(tmp_path, name, words):
    files = FLAT | {name: "was,ist\nfröhlich,1\n".encode("latin-1")}
    with pytest.raises(InputError, match=f"without classes; not read: {re.escape(words)}"):
        open_source(str(write_folder(tmp_path, files)))


@pytest.mark.parametrize("name", ["faces.rar", "faces.7z"])
def test_archive_of_another_kind_given_by_itself_is_to_be_unpacked(tmp_path, name):
    with pytest.raises(InputError, match="not read: unpack it, and give the folder"):
        open_source(str(write_folder(tmp_path, {name: b"Rar!"}) / name))


def test_harmless_files_get_no_advice(tmp_path):
    files = {"README.dataset.txt": b"x", "LICENSE.txt": b"", "results.csv": b"epoch,loss\n1,0.2\n"}
    [line] = [note for note in open_source(str(write_folder(tmp_path, FACES | files))).notes if "not read" in note]
    assert "(" not in line


def test_empty_folder_is_said_to_be_empty(tmp_path):
    with pytest.raises(InputError, match="no files are in it"):
        open_source(str(tmp_path))
