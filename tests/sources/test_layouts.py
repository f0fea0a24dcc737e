"""Folders of everybody's own: which level holds the classes, which the split, and what is never a class."""

import os
import shlex
import socket
import struct
import unicodedata

import pytest
from face_files import encode, faces, make_image, write_folder, write_tar, write_zip

from emotion_utils.audit.groups import find_groups
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source, source_of
from emotion_utils.sources.split_words import split_of


def read(tmp_path, *folders, **options):
    return open_source(str(write_folder(tmp_path / "data", faces(*folders))), **options)


def test_the_refusal_of_unknown_parts_gives_an_expression_that_finds_the_persons(tmp_path):
    folder = write_folder(
        tmp_path, faces(*(f"{who}/{name}" for who in ("Anna", "O'Neil (2)") for name in ("happy", "sad")))
    )
    with pytest.raises(InputError, match="if they are persons, --set group=none if they are neither") as refused:
        open_source(str(folder))
    words = shlex.split(str(refused.value).partition("or add ")[2].partition(" if they are persons")[0])
    assert words[0] == "--set"
    config = resolve_config("smoke", words[1:], data=str(folder))
    groups, _ = find_groups(source_of(config).table, config.group)
    assert set(groups) == {"Anna", "O'Neil (2)"}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training set", "train"), ("train_set", "train"), ("trainset", "train"),
        ("TrainingData", "train"), ("train_images", "train"), ("01_train", "train"), ("train2017", "train"),
        ("FER2013Train", "train"), ("images_train", "train"), ("trainImages", "train"), ("train-data-2", "train"),
        ("valid", "val"), ("Validation Folder", "val"), ("val_set", "val"), ("PublicTest", "val"),
        ("public_test", "val"), ("FER2013Valid", "val"), ("dev set", "val"),
        ("test", "test"), ("Test set", "test"), ("testset", "test"), ("PrivateTest", "test"), ("test-1", "test"),
        ("images", None), ("data", None), ("trainer", None), ("contest", None), ("happy_train", None), ("0", None),
        ("", None), ("Valentina", None), ("latest", None), ("train test", None), ("set", None),
    ],
)  # fmt: skip
def test_names_of_splits(name, split):
    assert split_of(name) == split
    assert split_of(name.upper()) in (split, None)  # a capital within a word is lost


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        ("train_set", "test_set", ("Angry", "Happy", "Ahegao")),
        ("Training set", "Test set", ("0", "1", "2", "3")),
        ("train/train", "test/test", ("0", "1", "2", "3")),
        ("data/train/images", "data/test/images", ("happy", "sad")),
        ("Training_Data", "Testing_Data", ("a", "b", "c")),
        ("1_train", "2_test", ("0_happy", "1_sad")),
        ("train", "validation", ("happy_faces", "sad_faces")),
        ("train", "test/images", ("happy", "sad")),
        ("train", "test/testing data/img", ("x", "y")),
    ],
)
def test_split_words_with_others_around_are_the_split_whatever_the_classes(tmp_path, train, test, classes):
    source = read(tmp_path, *(f"{part}/{name}" for part in (train, test) for name in classes))
    assert len(source.classes) == len(classes)
    second = "val" if "valid" in test else "test"
    assert source.table["split"].value_counts().to_dict() == {"train": 2 * len(classes), second: 2 * len(classes)}
    assert "folders of splits and classes" in source.found


def test_split_below_the_classes_is_read_too(tmp_path):
    source = read(tmp_path, *(f"{name}/{part}" for part in ("train", "test") for name in ("happy", "bored")))
    assert source.classes == ("bored", "happy")
    assert source.table["split"].value_counts().to_dict() == {"train": 4, "test": 4}


def test_persons_above_the_classes_are_seen_through_though_a_class_is_misspelt(tmp_path):
    source = read(tmp_path, *(f"p{n:02d}/{name}" for n in range(12) for name in ("happy", "sad", "neural")))
    assert source.classes == ("happy", "neural", "sad")
    assert any("taken for neither class nor split: p00, p01, p02, p03 ... 12 in all" in n for n in source.notes)
    assert find_groups(source.table)[0].nunique() == 12


def test_persons_above_classes_without_any_known_word(tmp_path):
    source = read(tmp_path, *(f"p{n:02d}/{name}" for n in range(12) for name in ("a", "b", "c")))
    assert source.classes == ("a", "b", "c")


def test_folder_of_a_split_beside_classes_is_never_a_class(tmp_path):
    files = faces("happy", "sad", "angry") | {"test/7.png": encode(make_image(70))}
    source = open_source(str(write_folder(tmp_path / "data", files)))
    assert source.classes == ("angry", "happy", "sad")
    assert "left out 1 image outside of the class folders, e.g. test/7.png" in source.notes


# -- parts of the data in other languages, and in words that nobody listed ----------------------------

PARTS = [
    ("Entrenamiento", "Validación", "Prueba"), ("entrenamiento", "validacion", "pruebas"),
    ("Treino", "Validação", "Teste"), ("Entraînement", "Validation", "Test"), ("entrainement", "validation", "essai"),
    ("Addestramento", "Convalida", "Prova"), ("Trening", "Validering", "Testing"), ("Trening", "Walidacja", "Testowy"),
    ("Trainingsdaten", "Validierung", "Testdaten"), ("Training", "Validierungsbilder", "Prüfdaten"),
    ("训练集", "验证集", "测试集"), ("訓練データ", "検証データ", "テストデータ"), ("学習用", "検証用", "評価用"),
    ("Обучение", "Валидация", "Тест"), ("ОБУЧАЮЩАЯ_ВЫБОРКА", "валидационная", "тестовая"),
    ("eğitim", "doğrulama", "s\u0131nama"), ("EĞİTİM", "DOĞRULAMA", "TEST"), ("latih", "validasi", "uji"),
    ("data_latih", "data_validasi", "data_uji"), ("التدريب", "التحقق", "الاختبار"), ("훈련", "검증", "테스트"),
    ("प्रशिक्षण", "सत्यापन", "परीक्षण"), ("huấn luyện", "xác thực", "kiểm tra"), ("אימון", "אימות", "מבחן"),
    ("Conjunto de entrenamiento", "Conjunto de validación", "Conjunto de prueba"), ("Träning", "validering", "test"),
    ("01_Trénink", "02_validace", "03_testování"), ("εκπαίδευση", "επικύρωση", "δοκιμή"), ("ฝึก", "ตรวจสอบ", "ทดสอบ"),
]  # fmt: skip


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("parts", PARTS, ids="-".join)
def test_splits_are_known_in_the_large_languages(parts, form):
    assert [split_of(unicodedata.normalize(form, name)) for name in parts] == ["train", "val", "test"]
    assert {split_of(name.upper()) for name in parts} <= {"train", "val", "test"}


def test_splits_in_another_language_are_no_classes(tmp_path):
    for number, (train, val, test) in enumerate(PARTS[::7]):
        source = read(
            tmp_path / str(number), *(f"{part}/{name}" for part in (train, val, test) for name in ("a", "b", "c"))
        )
        assert source.classes == ("a", "b", "c")
        assert source.table["split"].value_counts().to_dict() == {"train": 6, "val": 6, "test": 6}


@pytest.mark.parametrize(
    "name",
    ["feliz", "triste", "enojado", "colère", "peur", "traurig", "überrascht", "angst", "高兴", "怒り", "грусть",
     "mutlu", "senang", "سعيد", "행복", "probably", "trenta", "detest", "valley", "prude", "unsure", "legit"],
)  # fmt: skip
def test_other_words_are_no_splits(name):
    assert split_of(name) is None


@pytest.mark.parametrize("classes", [("happy", "sad"), ("a", "b"), ("0", "1", "2")])
@pytest.mark.parametrize("parts", [("alpha", "beta"), ("Blau", "Rot", "Gelb"), ("big", "test")])
def test_folders_that_hold_the_same_classes_are_asked_about(tmp_path, parts, classes):
    with pytest.raises(InputError, match=r"hold the same folders \(.*rename parts of the data to train, val, test"):
        read(tmp_path, *(f"{part}/{name}" for part in parts for name in classes))


def test_folders_that_lack_a_class_are_asked_about_too_and_groups_of_classes_are_not(tmp_path):
    folders = [f"{part}/{name}" for part in ("uno", "dos") for name in ("happy", "sad", "angry", "fear")]
    with pytest.raises(InputError, match="the folders dos, uno hold the same folders"):
        read(tmp_path / "a", *folders[:-1])
    source = read(tmp_path / "b", "good/happy", "good/neutral", "bad/sad", "bad/angry")
    assert source.classes == ("angry", "happy", "neutral", "sad")


def test_who_says_that_they_are_no_persons_is_not_asked(tmp_path):
    folders = [f"{part}/{name}" for part in ("male", "female") for name in ("happy", "sad")]
    source = read(tmp_path, *folders, ask=False)
    assert source.classes == ("happy", "sad")
    assert any("taken for neither class nor split: female, male" in note for note in source.notes)


@pytest.mark.parametrize(
    "person", ["p{}", "S00{}", "subject {}", "Teilnehmer{}", "person_{}", "video_{}", "F0{}", "人{}"]
)
@pytest.mark.parametrize("classes", [("happy", "sad"), ("x", "y", "z")])
def test_few_persons_above_the_classes_are_seen_through(tmp_path, person, classes):
    source = read(tmp_path, *(f"{person.format(n)}/{name}" for n in range(1, 5) for name in classes))
    assert source.classes == classes


def test_persons_below_classes_that_nobody_knows(tmp_path):
    assert read(tmp_path, *(f"{name}/p{n}" for n in range(4) for name in "ab")).classes == ("a", "b")


def test_folds_are_no_splits_and_no_classes(tmp_path):
    source = read(tmp_path, *(f"fold_{n}/{name}" for n in range(5) for name in ("happy", "sad")))
    assert source.classes == ("happy", "sad")
    assert any("taken for neither class nor split: fold_0, fold_1" in note for note in source.notes)


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        (("Training/happy", "Training/sad", "Kontrolle/happy", "Kontrolle/sad"),
         r"Kontrolle/happy/0\.png lies in the folder of a class, but in none of the splits: rename Kontrolle to train"),
        (("happy", "sad", "Kontrolle/happy", "Kontrolle/sad"),
         r"class folders of two levels, e\.g\. happy/0\.png and Kontrolle/happy/0\.png"),
        (("train_happy", "train_sad", "test_happy", "test_sad"), "test_happy and train_happy seem to be one class"),
        (("happy_train", "sad_train", "happy_test"), "happy_test and happy_train seem to be one class"),
        (("happy", "sad", "sad_prueba"), "sad and sad_prueba seem to be one class"),
        (("a", "b", "Kontrolle/a", "Kontrolle/b"), "Kontrolle lies beside the classes and holds some"),
        (("happy", "sad", "test/happy", "test/sad"), "test lies beside the classes and holds some"),
        (("train/happy", "train/sad", "happy"), r"happy/0\.png lies .* in none of the splits"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_understood_is_never_left_out_silently(tmp_path, folders, complaint):
    with pytest.raises(InputError, match=complaint):
        read(tmp_path, *folders)


@pytest.mark.parametrize("folders", [("train", "valid"), ("train", "test", "valid"), ("x/train", "x/test"), ("test",)])
def test_nothing_but_folders_of_splits_is_refused(tmp_path, folders):
    with pytest.raises(InputError, match=r"without classes|images lie in class folders"):
        read(tmp_path, *folders)


def test_most_images_outside_of_the_classes_is_refused(tmp_path):
    files = faces("happy", "sad") | faces("test", count=9)
    with pytest.raises(InputError, match=r"only 4 of 13 images lie in class folders \(happy, sad, test\); test/0\.png"):
        open_source(str(write_folder(tmp_path / "data", files)))


def test_folders_of_two_splits_around_one_image_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"lies in folders of two splits \(train, test\)"):
        read(tmp_path, "train/test/happy", "train/test/sad", "train/train/happy", "train/train/sad")


def test_a_split_that_is_not_used_is_said(tmp_path):
    source = read(tmp_path, "Training set/happy", "Training set/sad")
    assert "the data have only train: they are split anew" in source.notes


@pytest.mark.parametrize(
    ("name", "form"),
    [("train/_annotations.coco.json", "COCO"), ("data.yaml", "YOLO"), ("train/a.tfrecord", "TFRecord")],
)
def test_exports_that_are_not_read_are_named(tmp_path, name, form):
    files = faces("train/images", "valid/images") | {name: b"{}"}
    with pytest.raises(InputError, match=f"{name} is of the form {form}"):
        open_source(str(write_folder(tmp_path / "data", files)))


def test_roboflows_class_folders_are_read_though_a_readme_lies_beside(tmp_path):
    files = faces("train/happy", "train/sad", "valid/happy", "valid/sad") | {"README.roboflow.txt": b"x"}
    assert set(open_source(str(write_folder(tmp_path / "d", files))).table["split"]) == {"train", "val"}


def test_parquet_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"1 Parquet or Arrow table, e.g. data/train-0\.parquet \(save"):
        open_source(str(write_folder(tmp_path / "d", {"data/train-0.parquet": b"PAR1"})))


# -- where files lie ---------------------------------------------------------------------------------


def test_links_without_target_are_counted_and_one_is_named(tmp_path):
    root = write_folder(tmp_path / "data", faces("happy", "sad"))
    (root / "sad" / "gone.png").symlink_to("../.git/annex/objects/xx.png")
    notes = open_source(str(root)).notes
    assert any(note.startswith("1 link to a file that is not there, e.g. sad/gone.png: `git annex") for note in notes)


def test_nothing_but_links_without_target_says_what_to_do(tmp_path):
    for label in ("happy", "sad"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "1.png").symlink_to(f"/moved/cache/{label}")
    with pytest.raises(InputError, match=r"2 links to files that are not there, e\.g\. happy/1\.png"):
        open_source(str(tmp_path / "data"))


def deflate64(path, files):
    """A zip whose index says method 9, as Windows Explorer writes it."""
    data = bytearray(write_zip(path, files).read_bytes())
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.find(mark)
        while at >= 0:
            data[at + place : at + place + 2] = struct.pack("<H", 9)
            at = data.find(mark, at + 1)
    path.write_bytes(data)
    return path


@pytest.mark.fault("Deflate64 zip of Windows Explorer", "E", "names the method, and how to pack it again", group="data")
def test_deflate64_is_named_before_anything_starts(tmp_path):
    path = deflate64(tmp_path / "data.zip", faces("happy", "sad"))
    with pytest.raises(InputError, match=r"method 9 \(Deflate64.*pack it again"):
        open_source(str(path))


@pytest.mark.fault("train.zip and test.zip in one folder", "R", "read together, and named", group="data")
@pytest.mark.parametrize("pack", [write_zip, lambda path, files: write_tar(path, files, "w:gz")])
def test_archives_of_the_parts_in_one_folder_are_read_together(tmp_path, pack):
    (tmp_path / "d").mkdir()
    ending = "zip" if pack is write_zip else "tar.gz"
    for part in ("train", "test"):
        pack(
            tmp_path / "d" / f"{part}.{ending}",
            faces("happy", "sad") if part == "train" else faces("test/happy", "test/sad"),
        )
    (tmp_path / "d" / "README.txt").write_text("x")
    source = open_source(str(tmp_path / "d"))
    assert source.table["split"].value_counts().to_dict() == {"train": 4, "test": 4}
    assert any(note == f"read together: test.{ending}, train.{ending}" for note in source.notes)
    assert source.read(source.table["path"][0]) == faces("happy")["happy/0.png"]


@pytest.mark.fault("images without a suffix", "R", "known by their content", group="data")
def test_files_without_suffix_are_known_by_their_content(tmp_path):
    files = {
        f"{label}/subject{n:02d}.{label}": encode(make_image(n), "GIF") for n in range(3) for label in ("happy", "sad")
    }
    files["happy/Readme"] = b"about these"
    source = open_source(str(write_folder(tmp_path / "d", files)))
    assert len(source.table) == 6


@pytest.mark.fault("a colon in the path of the data", "R", "found by the notebooks too", group="data")
def test_path_with_a_colon_is_made_absolute(tmp_path, monkeypatch):
    from emotion_utils.sources.download import absolute_data

    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "faces 12:30", faces("happy", "sad"))
    assert absolute_data("faces 12:30") == str(tmp_path / "faces 12:30")
    assert len(open_source(absolute_data("faces 12:30")).table) == 4
    for link in ("kaggle:ann/faces", "https://drive.google.com/drive/folders/abc", "synthetic"):
        assert absolute_data(link) == link


def test_device_pipe_and_socket_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        (tmp_path / "link").symlink_to("/dev/zero")
        for spec in ("/dev/zero", tmp_path / "pipe", tmp_path / "s", tmp_path / "link"):
            with pytest.raises(InputError, match="is a device, a pipe or a socket"):
                open_source(str(spec))


def test_names_in_two_unicode_forms_are_one_class(tmp_path):
    one, two = (unicodedata.normalize(form, "fröhlich") for form in ("NFC", "NFD"))
    source = read(tmp_path, f"train/{one}", f"test/{two}", "train/traurig", "test/traurig")
    assert len(source.classes) == 2


@pytest.mark.fault(
    "a class without the splits that the others have", "E", "refused before anything is read", group="data"
)
@pytest.mark.parametrize("loose", ["sad/9.png", "happy/9.png"])
def test_a_class_in_no_split_beside_others_in_splits_is_refused(tmp_path, loose):
    files = faces("happy/train", "happy/test", "sad/train", "sad/test") | {loose: encode(make_image(9))}
    folder = loose.partition("/")[0]
    with pytest.raises(InputError, match=rf"{loose} lies in the folder of a class, but in none .* of {folder} into"):
        open_source(str(write_folder(tmp_path, files)))
