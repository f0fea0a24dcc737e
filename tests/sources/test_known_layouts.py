"""Known data sets as they are handed out, each rebuilt small: what is read, by its labels, split and persons."""

import io

import numpy as np
import pytest
from face_files import encode, make_image, write_folder, write_zip

from emotion_utils.errors import InputError
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.known_layouts import _count_ferplus
from emotion_utils.sources.source import open_source

FERPLUS_HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def images(*names):
    return {name: encode(make_image(seed), "JPEG") for seed, name in enumerate(names)}


def read(tmp_path, files, **options):
    """The source of these files as a folder; a zip of them in a further folder gives the same table."""
    source = open_source(str(write_folder(tmp_path / "data", files)), **options)
    packed = open_source(
        str(write_zip(tmp_path / "data.zip", {f"wrapped/{n}": d for n, d in files.items()})), **options
    )
    assert packed.table.equals(source.table)
    assert packed.found == source.found
    return source


def labels(source):
    return {
        path.rpartition("/")[2]: label for path, label in zip(source.table["path"], source.table["label"], strict=True)
    }


def splits(source):
    return {
        path.rpartition("/")[2]: split for path, split in zip(source.table["path"], source.table["split"], strict=True)
    }


# -- RAF-DB ------------------------------------------------------------------------------------------

RAF_LIST = b"train_00001.jpg 5\ntrain_00002.jpg 4\ntest_0001.jpg 1\ntest_0002.jpg 4\n"
RAF_NAMES = ("train_00001", "train_00002", "test_0001", "test_0002")
RAF_LABELS = dict(zip(RAF_NAMES, ("sad", "happy", "surprise", "happy"), strict=True))


@pytest.mark.fault(
    "folders of parts with the labels in a list beside (RAF-DB)",
    "R",
    "read with its labels and its split",
    group="data",
)
@pytest.mark.parametrize("parts", [("train", "valid"), ("", "")])
def test_raf_db_aligned_is_read_with_its_list(tmp_path, parts):
    folder = dict(zip(("train", "test"), parts, strict=True))
    files = images(*(f"raf/{folder[name.split('_')[0]]}/{name}_aligned.jpg".replace("//", "/") for name in RAF_NAMES))
    source = read(tmp_path, files | {"raf/list_patition_label.txt": RAF_LIST})
    assert labels(source) == {f"{name}_aligned.jpg": label for name, label in RAF_LABELS.items()}
    assert splits(source) == {f"{name}_aligned.jpg": name.split("_")[0] for name in RAF_NAMES}
    assert source.found == "read as RAF-DB, aligned: 2 train, 2 test, 3 classes (happy 2, sad 1, surprise 1)"


@pytest.mark.fault(
    "the same images twice in a data set, aligned and original",
    "R W",
    "the aligned ones are taken, the others named",
    group="data",
)
def test_raf_db_archive_takes_the_aligned_images_and_names_the_others(tmp_path):
    files = images(*(f"basic/Image/aligned/{name}_aligned.jpg" for name in RAF_NAMES))
    files |= images(*(f"basic/Image/original/{name}.jpg" for name in RAF_NAMES))
    source = read(tmp_path, files | {"basic/EmoLabel/list_patition_label.txt": RAF_LIST})
    assert len(source.table) == 4
    assert set(source.classes) == {"sad", "happy", "surprise"}
    assert any("left out 4 images that are not aligned, e.g. " in note and "original" in note for note in source.notes)


def test_raf_db_original_alone_is_read_as_such(tmp_path):
    files = images(*(f"Image/original/{name}.jpg" for name in RAF_NAMES))
    source = read(tmp_path, files | {"EmoLabel/list_patition_label.txt": RAF_LIST.replace(b"\n", b"\r\n")})
    assert source.found == "read as RAF-DB, not aligned: 2 train, 2 test, 3 classes (happy 2, sad 1, surprise 1)"


@pytest.mark.parametrize("with_tables", [True, False])
def test_raf_db_of_kaggle_has_numbered_folders(tmp_path, with_tables):
    files = images(*(
        f"DATASET/{name.split('_')[0]}/{code}/{name}_aligned.jpg"
        for name, code in zip(RAF_NAMES, (5, 4, 1, 4), strict=True)
    ))  # fmt: skip
    if with_tables:
        files["train_labels.csv"] = b"image,label\ntrain_00001_aligned.jpg,5\ntrain_00002_aligned.jpg,4\n"
        files["test_labels.csv"] = b"image,label\ntest_0001_aligned.jpg,1\ntest_0002_aligned.jpg,4\n"
    source = read(tmp_path, files)
    assert labels(source) == {f"{name}_aligned.jpg": label for name, label in RAF_LABELS.items()}
    assert splits(source) == {f"{name}_aligned.jpg": name.split("_")[0] for name in RAF_NAMES}
    assert source.dataset.name == "RAF-DB"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"train_00001.jpg happy\n", "line 1 is 'train_00001.jpg happy'"),
        (b"", "it is empty"),
        (b"train_00001.jpg 9\n", "from 1 to 7"),
        (b"train_00001.jpg\n", "line 1"),
    ],
)
def test_label_file_that_is_not_understood_is_named(tmp_path, content, words):
    files = images(*(f"{name.split('_')[0]}/{name}_aligned.jpg" for name in RAF_NAMES))
    root = write_folder(tmp_path, files | {"list_patition_label.txt": content})
    with pytest.raises(InputError, match=r"list_patition_label\.txt was meant to hold the labels") as error:
        open_source(str(root))
    assert words in str(error.value)


def test_raf_db_image_without_a_line_is_set_aside(tmp_path):
    files = images(*(f"{name}_aligned.jpg" for name in (*RAF_NAMES, "test_0003")))
    source = read(tmp_path, files | {"list_patition_label.txt": RAF_LIST})
    assert source.faults == {"test_0003_aligned.jpg": "no label: list_patition_label.txt has none for it"}
    assert "1 without a label" in source.found


# -- FERPlus -----------------------------------------------------------------------------------------

VOTES = {
    "fer0000000.png": ("Training", "4,0,0,1,3,2,0,0,0,0", ""),  # 4 of 9 that are not single
    "fer0000001.png": ("Training", "6,0,1,1,0,0,0,0,2,0", "neutral"),  # 6 of 8
    "fer0000002.png": ("PublicTest", "0,9,1,0,0,0,0,0,0,0", "happy"),
    "fer0000003.png": ("PrivateTest", "0,0,0,8,1,1,0,0,0,0", "sad"),
    "fer0000004.png": ("PrivateTest", "0,0,0,0,0,0,0,0,8,2", ""),
}
PARTS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}


def ferplus_files():
    return images(*(f"data/{PARTS[usage]}/{name}" for name, (usage, _, _) in VOTES.items()))


def check_ferplus(source):
    assert labels(source) == {name: label for name, (_, _, label) in VOTES.items()}
    expected = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    assert splits(source) == {name: expected[usage] for name, (usage, _, _) in VOTES.items()}
    assert "FERPlus" in source.found
    assert "2 without a label" in source.found
    votes = dict(zip(source.table["path"].str[-14:], source.table["votes"], strict=True))
    assert votes["fer0000001.png"] == '{"neutral": 6, "surprise": 1, "sad": 1, "unknown": 2}'
    faults = {path[-14:]: reason for path, reason in source.faults.items()}
    assert faults["fer0000000.png"].startswith("no majority: 4 neutral")
    assert faults["fer0000004.png"].startswith("no majority")


@pytest.mark.fault(
    "folders of parts with votes in a table beside (FERPlus)",
    "R Q",
    "the majority is the label; images without one are set aside",
    group="data",
)
def test_ferplus_is_read_by_its_votes(tmp_path):
    rows = "".join(f"{usage},{name},{votes}\n" for name, (usage, votes, _) in VOTES.items())
    rows += "Training,,0,0,0,0,0,0,0,0,0,10\n"
    check_ferplus(read(tmp_path, ferplus_files() | {"fer2013new.csv": (FERPLUS_HEAD + rows).encode()}))


def test_ferplus_with_a_list_in_each_part(tmp_path):
    files = ferplus_files()
    for usage, part in PARTS.items():
        rows = [f'{name},"(0, 0, 48, 48)",{votes}\n' for name, (use, votes, _) in VOTES.items() if use == usage]
        files[f"data/{part}/label.csv"] = "".join(rows).encode()
    check_ferplus(read(tmp_path, files))


def test_ferplus_votes_are_joined_to_fer2013_by_the_order_of_rows(tmp_path):
    pixels = "".join(
        f"{seed % 7},{' '.join([str(seed * 9)] * 2304)},{u}\n" for seed, (u, _, _) in enumerate(VOTES.values())
    )
    rows = "".join(f"{usage},{name},{votes}\n" for name, (usage, votes, _) in VOTES.items())
    files = {
        "fer2013.csv": b"emotion,pixels,Usage\n" + pixels.encode(),
        "fer2013new.csv": (FERPLUS_HEAD + rows).encode(),
    }
    source = read(tmp_path, files)
    found = dict(zip(source.table["path"].str[-9:-4].astype(int) - 1, source.table["label"], strict=True))
    assert list(dict(sorted(found.items())).values()) == [label for _, _, label in VOTES.values()]
    path = source.table["path"][source.table["label"] == "sad"].item()
    assert (decode_rgb(source.read(path)) == 27).all()
    with pytest.raises(InputError, match=r"fer2013new\.csv has 6 rows, the table of pixels 5"):
        read(tmp_path / "b", files | {"fer2013new.csv": (FERPLUS_HEAD + rows + rows.split("\n")[0] + "\n").encode()})


@pytest.mark.parametrize("vote", ["\x1c0", "many", "\u0663", "1e3", "nan"])
def test_a_vote_that_is_no_number_sets_its_image_aside(vote):
    columns = ["neutral", "happiness"]
    assert _count_ferplus(columns, ["9", vote]) == ("", "", f"its votes are no numbers: {vote!r}")
    label, votes, fault = _count_ferplus(columns, ["9", " "])
    assert (label, fault) == ("neutral", "")
    assert "happiness" not in votes


def test_fer2013_with_contempt_has_the_labels_of_ferplus(tmp_path):
    source = read(tmp_path, images("train/contempt/fer0000001.png", "train/happy/fer0000002.png"))
    assert source.dataset.name == "FERPlus"


# -- AffectNet ---------------------------------------------------------------------------------------


def npy(value):
    buffer = io.BytesIO()
    np.save(buffer, value)
    return buffer.getvalue()


@pytest.mark.parametrize("store", [str, int, lambda code: [code]])
def test_affectnet_is_read_by_its_annotations(tmp_path, store):
    codes = {"train_set": (1, 7, 0), "val_set": (6, 1)}
    files = {}
    for part, numbers in codes.items():
        for place, code in enumerate(numbers):
            files[f"AffectNet/{part}/images/{place}.jpg"] = encode(make_image(place), "JPEG")
            files[f"AffectNet/{part}/annotations/{place}_exp.npy"] = npy(np.array(store(code)))
            files[f"AffectNet/{part}/annotations/{place}_val.npy"] = npy(np.array("0.3"))
    source = read(tmp_path, files)
    facts = source.table.set_index("path")
    assert facts["label"].to_dict() == {
        "train_set/images/0.jpg": "happy", "train_set/images/1.jpg": "contempt", "train_set/images/2.jpg": "neutral",
        "val_set/images/0.jpg": "angry", "val_set/images/1.jpg": "happy",
    }  # fmt: skip
    counts = "angry 1, contempt 1, happy 2, neutral 1"
    assert source.found == f"read as AffectNet, with its annotations: 3 train, 2 val, 4 classes ({counts})"


def test_affectnet_of_csv_files_has_their_labels(tmp_path):
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    files = images(
        "Manually_Annotated_Images/103/29a.jpg",
        "Manually_Annotated_Images/7/b.jpg",
        "Manually_Annotated_Images/7/c.jpg",
    )
    files["training.csv"] = (head + "103/29a.jpg,1,2,3,4,1;2,happy,0.1,0.2\n7/b.jpg,1,2,3,4,1;2,sad,0.1,0.2\n").encode()
    files["validation.csv"] = (head + "7/c.jpg,1,2,3,4,1;2,sad,0.1,0.2\n").encode()
    source = read(tmp_path, files)
    assert labels(source) == {"29a.jpg": "happy", "b.jpg": "sad", "c.jpg": "sad"}
    assert splits(source) == {"29a.jpg": "train", "b.jpg": "train", "c.jpg": "val"}


def test_numbers_in_affectnets_own_tables_are_known(tmp_path):
    head = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal\n"
    numbers = (0, 1, 6, 8, 10)
    files = images(*(f"Manually_Annotated_Images/7/{number}.jpg" for number in numbers))
    files["training.csv"] = (head + "".join(f"7/{n}.jpg,1,2,3,4,1;2,{n},0.1,0.2\n" for n in numbers)).encode()
    source = read(tmp_path, files)
    assert labels(source) == {"0.jpg": "neutral", "1.jpg": "happy", "6.jpg": "angry", "8.jpg": "", "10.jpg": ""}
    assert source.found.startswith("read as AffectNet, training.csv")
    assert [fault[-1] for fault in sorted(source.faults.values())] == ["0", "8"]


def test_affectnet_of_kaggle_has_a_table_beside_its_folders(tmp_path):
    files = images("anger/image0.png", "happy/image1.png", "happy/image2.png")
    files["labels.csv"] = (
        b",pth,label,relFCs\n0,anger/image0.png,anger,0.87\n1,happy/image1.png,happy,0.8\n2,happy/image2.png,anger,0.7\n"
    )
    assert labels(read(tmp_path, files)) == {"image0.png": "angry", "image1.png": "happy", "image2.png": "angry"}


# -- posed sets, whose names hold the person ---------------------------------------------------------


def test_ck_plus_labels_the_peak_of_each_sequence(tmp_path):
    frames = [f"cohn-kanade-images/{p}/001/{p}_001_{n:08d}.png" for p in ("S005", "S010") for n in (1, 2, 3)]
    files = images(*frames)
    files["Emotion/S005/001/S005_001_00000003_emotion.txt"] = b"   3.0000000e+00\n"
    files["Emotion/S010/001/S010_001_00000003_emotion.txt"] = b"   7.0000000e+00\n"
    source = read(tmp_path, files)
    assert labels(source) == {"S005_001_00000003.png": "disgust", "S010_001_00000003.png": "surprise"}
    assert source.table["group"].tolist() == ["S005", "S010"]
    assert any("4 frames that are not the labelled peak" in note for note in source.notes)


def test_ck_plus_in_class_folders_names_its_persons(tmp_path):
    source = read(tmp_path, images("CK+48/anger/S010_004_00000017.png", "CK+48/happy/S010_006_00000013.png"))
    assert source.found == "read as CK+, class folders: 2 images, 2 classes (angry 1, happy 1)"
    assert source.table["group"].tolist() == ["S010"] * 2


def test_ck_plus_as_a_table_warns_that_it_names_nobody(tmp_path):
    rows = "".join(f"{code},{' '.join(['9'] * 2304)},Training\n" for code in (0, 7, 5))
    (tmp_path / "ckextended.csv").write_text("emotion,pixels,Usage\n" + rows)
    source = open_source(str(tmp_path / "ckextended.csv"))
    assert source.classes == ("angry", "contempt", "surprise")
    assert source.dataset.name == "CK+"
    assert any("do not name them" in note for note in source.notes)


@pytest.mark.fault("persons in file names alone (JAFFE)", "R", "each person is in one split", group="data")
@pytest.mark.parametrize("folder", ["jaffe/", "jaffe/images/", "neutral_and_angry_of/jaffe/"])
def test_jaffe_is_read_by_its_names(tmp_path, folder):
    source = read(tmp_path, images(*(folder + n for n in ("KA.AN1.39.tiff", "KA.HA2.30.tiff", "YM.FE3.69.tiff"))))
    assert labels(source) == {"KA.AN1.39.tiff": "angry", "KA.HA2.30.tiff": "happy", "YM.FE3.69.tiff": "fear"}
    assert source.table["group"].tolist() == ["KA", "KA", "YM"]


@pytest.mark.fault("one person under two names (KDEF)", "R", "counted as one", group="data")
def test_kdef_counts_both_sessions_as_one_person(tmp_path):
    names = ("KDEF/AF01/AF01ANS.JPG", "KDEF/BF01/BF01AFFL.JPG", "KDEF/AM12/AM12SUHR.JPG")
    source = read(tmp_path, images(*names))
    assert labels(source) == {"AF01ANS.JPG": "angry", "BF01AFFL.JPG": "fear", "AM12SUHR.JPG": "surprise"}
    assert source.table.set_index("path")["group"].to_dict() == {
        "AF01/AF01ANS.JPG": "F01", "BF01/BF01AFFL.JPG": "F01", "AM12/AM12SUHR.JPG": "M12",
    }  # fmt: skip


@pytest.mark.parametrize("folder", ["", "happy or not/", "{}/"])
def test_rafd_is_read_by_its_names_or_in_class_folders(tmp_path, folder):
    words = {"angry": "angry", "contemptuous": "contempt", "happy": "happy"}
    names = [f"{folder.format(word)}Rafd090_0{n}_Caucasian_female_{word}_frontal.jpg" for n, word in enumerate(words)]
    source = read(tmp_path, images(*names))
    assert list(labels(source).values()) == list(words.values())
    assert source.table["group"].tolist() == ["00", "01", "02"]
    assert source.dataset.name == "RaFD"


# -- ExpW --------------------------------------------------------------------------------------------


def test_expw_has_a_row_for_each_face_of_an_image(tmp_path):
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:40, 20:45] = make_image(3)[:30, :25]
    files = {"image/party angry 4.png": encode(image), "image/sad_1.png": encode(make_image(4))}
    rows = [
        "party angry 4.png 0 10 20 45 40 61.5 3",
        "party angry 4.png 1 50 90 99 70 40.0 0",
        "sad_1.png 0 0 0 20 20 9 4",
    ]
    source = read(tmp_path, files | {"label/label.lst": "\n".join(rows).encode()})
    assert labels(source) == {"party angry 4.png#0": "happy", "party angry 4.png#1": "angry", "sad_1.png#0": "sad"}
    path = next(path for path in source.table["path"] if path.endswith("4.png#0"))
    assert np.array_equal(decode_rgb(source.read(path)), image[10:40, 20:45])
    with pytest.raises(InputError, match="box outside"):
        source.read(next(path for path in source.table["path"] if path.endswith("4.png#1")))


# -- FER2013 -----------------------------------------------------------------------------------------


def pixel_row(code, value=7, usage=None):
    return f"{code}" + (f",{usage}" if usage else "") + f",{' '.join([str(value)] * 2304)}\n"


COMPETITION = {
    "train.csv": "emotion,pixels\n" + pixel_row(3) + pixel_row(4),
    "test.csv": "pixels\n" + pixel_row("")[1:],
    "icml_face_data.csv": "emotion, Usage, pixels\n" + pixel_row(3, 1, "Training") + pixel_row(4, 2, "PublicTest")
    + pixel_row(0, 3, "PrivateTest"),
    "example_submission.csv": "id,emotion\n1,0\n",
}  # fmt: skip


def test_fer2013_of_the_competition_takes_the_table_that_holds_all(tmp_path):
    source = read(tmp_path, {name: text.encode() for name, text in COMPETITION.items()})
    assert source.table["split"].value_counts().to_dict() == {"train": 1, "val": 1, "test": 1}
    assert any("test.csv is not used" in note and "no labels" in note for note in source.notes)
    assert source.dataset.name == "FER2013"


@pytest.mark.fault("a table of pixels without its column of splits", "R", "read, and split anew", group="data")
def test_fer2013_without_usage_is_not_split(tmp_path):
    files = {name: COMPETITION[name].encode() for name in ("train.csv", "test.csv")}
    for source in (read(tmp_path, files), open_source(str(tmp_path / "data" / "train.csv"))):
        assert source.classes == ("happy", "sad")
        assert set(source.table["split"]) == {""}
    assert any("test.csv" in note for note in read(tmp_path / "again", files).notes)


@pytest.mark.fault("a table of images without labels", "E", "refused as that", group="data")
def test_fer2013_test_table_is_named_as_without_labels(tmp_path):
    files = {"test.csv": COMPETITION["test.csv"].encode()}
    root = write_folder(tmp_path / "data", files)
    for spec in (root, root / "test.csv", write_zip(tmp_path / "d.zip", files)):
        with pytest.raises(InputError, match=r"without labels|have no labels"):
            open_source(str(spec))


def test_fer2013_in_folders_of_kaggle(tmp_path):
    source = read(tmp_path, images(
        "train/angry/Training_3908.jpg", "train/happy/Training_1.jpg", "test/angry/PrivateTest_7.jpg",
        "test/happy/PublicTest_8.jpg",
    ))  # fmt: skip
    assert (
        source.found == "read as FER2013, folders of splits and classes: 2 train, 2 test, 2 classes (angry 2, happy 2)"
    )


def test_expw_face_that_is_listed_twice_counts_once_and_another_of_its_number_is_its_own(tmp_path):
    rows = ["a.png 0 2 3 30 31 61.5 3", "a.png -0 2 3 30 31 61.5 3", "a.png 0 5 5 30 31 61.5 4"]
    files = {"image/a.png": encode(make_image(1)), "label.lst": "\n".join(rows).encode()}
    assert labels(read(tmp_path, files)) == {"a.png#0": "happy", "a.png#0+": "sad"}


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00\x06\x00{'a':(", b"3"])
def test_annotation_that_is_damaged_is_named(tmp_path, damage):
    files = images("train_set/images/0.jpg") | {"train_set/annotations/0_exp.npy": damage}
    with pytest.raises(InputError, match=r"0_exp\.npy was meant to hold the labels"):
        open_source(str(write_folder(tmp_path, files)))


# -- numbers and names that are not the authors' -----------------------------------------------------

RAF_WORDS = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")


@pytest.mark.fault(
    "classes of a known data set, numbered anew", "E", "refused, unless a file beside names each", group="data"
)
@pytest.mark.parametrize("layout", ["folders", "tables"])
def test_raf_db_numbered_from_nought_is_refused_or_named(tmp_path, layout):
    places = {(part, code): f"{part}/{code}/{part}_{code:05d}_aligned.jpg" if layout == "folders" else
              f"{part}/{part}_{code:05d}_aligned.jpg" for part in ("train", "test") for code in range(7)}  # fmt: skip
    files = images(*places.values())
    for part in ("train", "test") if layout == "tables" else ():
        rows = [f"{places[part, code].rpartition('/')[2]},{code}" for code in range(7)]
        files[f"{part}_labels.csv"] = "\n".join(["image,label", *rows]).encode()
    with pytest.raises(InputError, match=r"RAF-DB numbers its classes from 1 \(.* here 0, 1, .* labels\.txt"):
        open_source(str(write_folder(tmp_path / "bare", files)))
    files["labels.txt"] = "".join(f"{code} {word}\n" for code, word in enumerate(RAF_WORDS)).encode()
    assert list(labels(read(tmp_path, files)).values()) == [*RAF_WORDS, *RAF_WORDS]


def test_fer2013_numbered_from_one_is_refused(tmp_path):
    with pytest.raises(InputError, match="FER2013 numbers its classes from 0"):
        open_source(str(write_folder(tmp_path, images(*(f"train/{n}/Training_{n}.jpg" for n in range(1, 8))))))
    rows = "".join(pixel_row(number) for number in range(1, 8))
    root = write_folder(tmp_path / "pixels", {"t.csv": f"emotion,pixels\n{rows}".encode()})
    for spec in (root, root / "t.csv"):
        with pytest.raises(InputError, match="classes are numbered from 1 to 7, FER2013's from 0"):
            open_source(str(spec))


@pytest.mark.fault(
    "one table of pixels as a file and in its folder, a list of names beside", "R E", "one reading", group="data"
)
def test_names_beside_a_table_of_pixels_count_for_the_file_too_and_may_not_contradict_fer2013(tmp_path):
    table = "emotion,pixels\n" + pixel_row(0) + pixel_row(1)
    files = {"x.csv": table.encode(), "classes.txt": b"calm\nhappy\n"}
    root = write_folder(tmp_path / "x", files)
    assert open_source(str(root)).classes == open_source(str(root / "x.csv")).classes == ("calm", "happy")
    root = write_folder(tmp_path / "fer", {"fer2013.csv": table.encode(), "classes.txt": files["classes.txt"]})
    for spec in (root, root / "fer2013.csv"):
        with pytest.raises(InputError, match=r"class 0 is calm in classes\.txt and angry in fer2013\.csv"):
            open_source(str(spec))
    numbered = images("train/0/Training_1.jpg", "train/1/Training_2.jpg") | {"classes.txt": files["classes.txt"]}
    with pytest.raises(InputError, match=r"class 0 is calm in classes\.txt and angry in FER2013"):
        open_source(str(write_folder(tmp_path / "folders", numbered)))


@pytest.mark.fault(
    "names of images that repeat in each part (FERPlus)", "R", "each part has its own table", group="data"
)
def test_ferplus_names_that_repeat_in_each_part_have_their_own_labels(tmp_path):
    names = [f"{part}/fer{number:07d}.png" for part in PARTS.values() for number in range(3)]
    files = images(*names)
    for place, part in enumerate(PARTS.values()):
        votes = [
            ",".join("10" if column == (place + number) % 7 else "0" for column in range(10)) for number in range(3)
        ]
        rows = [f'fer{number:07d}.png,"(0, 0, 48, 48)",{votes[number]}\n' for number in range(3)]
        files[f"{part}/label.csv"] = "".join(rows).encode()
    source = read(tmp_path, files)
    words = ("neutral", "happy", "surprise", "sad", "angry")
    expected = {name: words[place // 3 + place % 3] for place, name in enumerate(names)}
    assert dict(zip(source.table["path"], source.table["label"], strict=True)) == expected
    assert not source.faults
    rows = "".join(f"{usage},fer0000001.png,{votes[1]}\n" for usage in PARTS)
    whole = images(*names[1::3], "FER2013Test/more/fer0000001.png") | {"fer2013new.csv": (FERPLUS_HEAD + rows).encode()}
    with pytest.raises(InputError, match=r"may mean FER2013Test/fer0000001\.png or FER2013Test/more/fer0000001\.png"):
        open_source(str(write_folder(tmp_path / "whole", whole)))


def affectnet(*values):
    files = {}
    for number, value in enumerate(values):
        files[f"train_set/images/{number}.jpg"] = encode(make_image(number), "JPEG")
        files |= {f"train_set/annotations/{number}_{what}.npy": npy(np.array(value)) for what in ("exp", "val", "lnd")}
    return files


@pytest.mark.parametrize(("value", "said"), [(0.5, "whole number .*not 0.5"), (float("nan"), "whole number .*not nan"),
                                             (11, "from 0 to 10 .*not 11"), ("x", "whole number")])  # fmt: skip
def test_annotation_that_is_no_code_is_named(tmp_path, value, said):
    with pytest.raises(InputError, match=rf"1_exp\.npy was meant to hold the labels and is not understood: .*{said}"):
        open_source(str(write_folder(tmp_path, affectnet(1, value))))


def test_images_of_affectnet_without_an_emotion_are_told_by_their_own_annotation(tmp_path):
    files = affectnet(1, 2.0, 8, 4)
    del files["train_set/annotations/3_exp.npy"]
    source = read(tmp_path, files)
    assert {path[-5:]: reason for path, reason in source.faults.items()} == {
        "2.jpg": "no emotion: train_set/annotations/2_exp.npy says 8", "3.jpg": "no label: 3_exp.npy is not there",
    }  # fmt: skip
    assert not any("not read" in note for note in source.notes)
