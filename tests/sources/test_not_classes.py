"""Folders of persons, videos, dates and parts are no classes, whatever else is missing."""

import pytest
from face_files import encode, faces, make_image, write_folder

from emotion_utils.errors import InputError
from emotion_utils.sources.source import open_source


def read(tmp_path, *folders, **options):
    return open_source(str(write_folder(tmp_path / "data", faces(*folders, count=1))), **options)


@pytest.mark.parametrize(
    "names",
    ["person1 person2", "Actor_01 Actor_02", "S005 S010", "F01 F02 M01 M02", "video_1 video_2 video_3", "fold0 fold1",
     "part1 part2", "2023-01-01 2023-01-02", "20230101 20230102", "2019 2020", "original augmented",
     "labeled unlabeled", "images labels", "query gallery", "Versuchsperson_1 Versuchsperson_2",
     "session_1 session_2", "Camera1 Camera2", "day1 day2"],
)  # fmt: skip
def test_names_of_persons_and_parts_are_no_classes_unless_they_are_chosen(tmp_path, names):
    names = names.split()
    with pytest.raises(InputError, match=rf"{names[0]}.* which are named after persons.*add --classes"):
        read(tmp_path, *names)
    assert read(tmp_path, *names, classes=tuple(names)).classes == tuple(names)


@pytest.mark.parametrize(
    "names",
    [
        "anna ben cem",
        "cat dog",
        "0 1 2",
        "0_an 1_di 2_fe",
        "a b",
        "class1 class2",
        "emotion_0 emotion_1",
        "1_高兴 2_悲伤",
        "s1 t2",
    ],
)
def test_names_of_unknown_meaning_stay_classes_and_are_counted(tmp_path, names):
    counts = ", ".join(f"{name} 1" for name in sorted(names.split()))
    assert read(tmp_path, *names.split()).found.endswith(f"{len(names.split())} classes ({counts})")


def test_many_persons_are_not_asked_to_be_chosen_from_and_named_files_are_pointed_at(tmp_path):
    with pytest.raises(InputError, match=r"S000, S001, S002, S003 \.\.\. 12 in all, which are named after persons"):
        read(tmp_path / "many", *(f"S{n:03d}" for n in range(12)))
    files = {f"person{n}/{name}_0.png": encode(make_image(n)) for n, name in enumerate(("angry", "sad"))}
    with pytest.raises(InputError, match=r"e\.g\. person0/angry_0\.png: move each into a folder of its class"):
        open_source(str(write_folder(tmp_path / "data", files)))


@pytest.mark.parametrize("names", ["trainA trainB", "happy sad trainA", "train_aug train_orig happy", "a b_val"])
def test_names_that_begin_or_end_with_a_split_are_never_classes(tmp_path, names):
    with pytest.raises(InputError, match="the name says a part of the data: rename"):
        read(tmp_path, *names.split())
    if "trainA" in names:
        with pytest.raises(InputError, match=r"trainA.* would be"):
            read(tmp_path, *names.split(), classes=tuple(names.split()))


@pytest.mark.parametrize("form", ["fer_{}_48x48", "mine-{}-v2", "{}_cropped_by_ann"])
def test_splits_in_the_same_words_are_read(tmp_path, form):
    folders = [f"{form.format(part)}/{name}" for part in ("train", "test") for name in ("x", "y")]
    assert read(tmp_path, *folders).table["split"].value_counts().to_dict() == {"train": 2, "test": 2}


def test_a_misspelt_split_is_asked_about(tmp_path):
    with pytest.raises(InputError, match=r"\(trian: train\?\)"):
        read(tmp_path, "trian/happy", "trian/sad", "test/happy", "test/sad")


@pytest.mark.parametrize("names", ["train test happy sad", "train test", "train_faces test_faces"])
def test_folders_without_classes_are_listed_with_what_they_were_taken_for(tmp_path, names):
    with pytest.raises(InputError, match=r"taken for the part test.*taken for the part train") as refused:
        read(tmp_path, *names.split())
    assert "flat" not in str(refused.value)
    assert ("happy: 1 image, taken for a class" in str(refused.value)) == ("happy" in names)


def test_boxes_of_pascal_voc_are_refused_by_name(tmp_path):
    files = faces("train", "valid", count=1)
    files |= {name.replace(".png", ".xml"): b"<annotation/>" for name in files}
    with pytest.raises(InputError, match=r"train/0\.xml is of the form Pascal VOC"):
        open_source(str(write_folder(tmp_path / "data", files)))
