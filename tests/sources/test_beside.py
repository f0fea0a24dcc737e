"""Files beside class folders: lists that are the split, and a table of persons."""

import pytest
from face_files import faces, write_folder, write_zip

from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source
from emotion_utils.sources.split_words import split_of

FACES = faces("happy", "sad", count=10)
SPLITS = {path: ("train", "train", "train", "val", "test")[seed % 5] for seed, path in enumerate(FACES)}


def read(tmp_path, files, pack=write_folder):
    return open_source(str(pack(tmp_path / "data", files)))


def lists(form="{}", names="splits/{}.txt", splits=SPLITS):
    found = {}
    for number, (path, split) in enumerate(splits.items()):
        found[names.format(split)] = found.get(names.format(split), b"") + f"{form.format(path, number)}\n".encode()
    return found


@pytest.mark.parametrize("pack", [write_folder, write_zip])
@pytest.mark.parametrize(
    ("form", "names"),
    [("{}", "splits/{}.txt"), ("{} {}", "{}.txt"), ("./{}\t3", "{}_list.txt"), ("{},1", "{}.lst"), ('"{}"', "{}.csv"),
     ("C:/data/faces/{}", "ImageSets/{}")],
)  # fmt: skip
def test_lists_of_images_are_the_split(tmp_path, form, names, pack):
    source = read(tmp_path, FACES | lists(form, names), pack)
    assert dict(zip(source.table["path"], source.table["split"], strict=True)) == SPLITS
    assert f"split from {', '.join(sorted(lists(form, names)))}" in source.notes
    assert not any("not read" in note for note in source.notes)


def test_lists_that_are_no_split_are_refused_by_name(tmp_path):
    twice = lists()
    twice["splits/val.txt"] += b"sad/0.png\n"
    with pytest.raises(InputError, match=r"splits/test\.txt, .*splits/val\.txt: sad/0\.png is listed twice"):
        read(tmp_path / "twice", FACES | twice)
    few = {path: split for path, split in SPLITS.items() if split != "train"}
    with pytest.raises(InputError, match=r"splits/val\.txt: 12 of 20 images are in no list, e\.g\. happy/0\.png"):
        read(tmp_path / "few", FACES | lists(splits=few))
    folders = {f"{split}/{path}": FACES[path] for path, split in SPLITS.items()}
    moved = {f"{split}/{path}": split for path, split in SPLITS.items()} | {"train/happy/0.png": "test"}
    with pytest.raises(InputError, match=r"train/happy/0\.png is listed for test and is in train"):
        read(tmp_path / "folders", folders | lists(splits=moved))


def test_lone_image_in_no_list_is_set_aside_and_other_texts_stay_unread(tmp_path):
    left = {path: split for path, split in SPLITS.items() if path != "sad/9.png"}
    source = read(tmp_path, FACES | lists(splits=left))
    assert source.faults == {"sad/9.png": "in none of the lists splits/test.txt, splits/train.txt, splits/val.txt"}
    source = read(tmp_path / "notes", FACES | {"train.txt": b"epoch 1 loss 2.0\nepoch 2 loss 1.5\n"})
    assert any("not read: 1 text or JSON file, e.g. train.txt" in note for note in source.notes)


@pytest.mark.parametrize("sex", [("f", "m"), ("0", "1")])
def test_table_without_labels_names_the_persons(tmp_path, sex):
    rows = [f"{path},p{seed % 4},{sex[seed % 2]},{20 + seed}" for seed, path in enumerate(FACES)]
    table = "\n".join(["image,participant,sex,age", *rows]).encode()
    source = read(tmp_path, FACES | {"people.csv": table})
    assert dict(zip(source.table["path"], source.table["group"], strict=True)) == {
        path: f"p{seed % 4}" for seed, path in enumerate(FACES)
    }
    assert source.classes == ("happy", "sad")
    assert "persons from people.csv (column participant): 4 on 20 of 20 images" in source.notes
    assert not any("not read" in note for note in source.notes)
    with pytest.raises(InputError, match=r"people\.csv, line 22: sad/9\.png shows p3 and p9"):
        read(tmp_path / "two", FACES | {"people.csv": table + b"\nsad/9.png,p9,f,20\n"})


@pytest.mark.parametrize("head", ["image,split", "image,subject,split"])
def test_table_without_labels_gives_the_split(tmp_path, head):
    person = ",s1" if "subject" in head else ""
    rows = [f"{path}{person},{split}" for path, split in SPLITS.items()]
    source = read(tmp_path, FACES | {"parts.csv": "\n".join([head, *rows]).encode()})
    assert dict(zip(source.table["path"], source.table["split"], strict=True)) == SPLITS
    assert set(source.table["group"]) == ({"s1"} if person else {""})
    with pytest.raises(InputError, match=r"parts\.csv, line 22: split 'spare' is not train, val or test"):
        read(tmp_path / "b", FACES | {"parts.csv": "\n".join([head, *rows, f"sad/0.png{person},spare"]).encode()})


def test_unclear_lists_beside_folders_of_splits_change_nothing(tmp_path):
    files = faces("train/happy", "train/sad", "test/happy", "test/sad")
    source = read(tmp_path, files | {"train.txt": b"happy/0.png\nsad/0.png\n"})
    assert source.table["split"].tolist() == [path.partition("/")[0] for path in source.table["path"]]
    assert any("not read: 1 text or JSON file, e.g. train.txt" in note for note in source.notes)


def test_table_of_persons_by_number_is_of_no_images(tmp_path):
    source = read(tmp_path, FACES | {"participants.csv": b"id,participant,age\n0,Ann,30\n1,Bob,31\n"})
    assert set(source.table["group"]) == {""}
    assert any("not read: 1 table that is not understood, e.g. participants.csv" in note for note in source.notes)
    images = b"image,participant\n0.png,Ann\n1.png,Bob\n"
    with pytest.raises(InputError, match=r"people\.csv, line 2: '0\.png' may be happy/0\.png or sad/0\.png"):
        read(tmp_path / "b", FACES | {"people.csv": images})


@pytest.mark.fault(
    "a list trainval beside one of the test images, or beside train and val",
    "R W",
    "counts as train; said where train and val have a list each",
    group="data",
)
def test_list_of_train_and_val_together(tmp_path):
    together = {path: "test" if split == "test" else "trainval" for path, split in SPLITS.items()}
    source = read(tmp_path / "two", FACES | lists(splits=together))
    expected = {path: "train" if split == "trainval" else split for path, split in together.items()}
    assert dict(zip(source.table["path"], source.table["split"], strict=True)) == expected
    source = read(tmp_path / "three", FACES | lists() | {"trainval.txt": lists(splits=together)["splits/trainval.txt"]})
    assert dict(zip(source.table["path"], source.table["split"], strict=True)) == SPLITS
    assert "trainval.txt: train and val together, which have a list each" in source.notes
    assert [split_of(name) for name in ("trainval", "train_val", "TrainVal list")] == ["train", None, None]


@pytest.mark.fault(
    "lists of splits and a table of persons beside a table given as `--data`",
    "R",
    "read as in the folder",
    group="data",
)
def test_lists_and_persons_beside_a_table_that_is_given_itself(tmp_path):
    rows = "".join(f"{path},{path.partition('/')[0]}\n" for path in FACES)
    persons = "image,subject\n" + "".join(f"{path},P{path[-5]}\n" for path in FACES)
    files = FACES | lists() | {"labels.csv": f"path,label\n{rows}".encode(), "persons.csv": persons.encode()}
    folder = write_folder(tmp_path / "data", files)
    table, whole = (open_source(str(place)) for place in (folder / "labels.csv", folder))
    assert table.table.equals(whole.table)
    assert set(table.table["split"]) == {"train", "val", "test"}
    assert set(table.table["group"]) == {f"P{number}" for number in range(10)}
