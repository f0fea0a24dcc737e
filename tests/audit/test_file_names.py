"""What folder and file name say besides label, person and split."""

import pandas as pd

from emotion_utils.audit.file_names import read_file_names


def read(*rows):
    """The properties of (path, label, group)."""
    return read_file_names(pd.DataFrame(rows, columns=["path", "label", "group"]))


def test_person_label_and_split_are_left_out():
    found = read(
        ("train/happy/Ann_Lee_0003.jpg", "happy", "Ann_Lee"),
        ("test/sad/Bob_Ray_0012.jpg", "sad", "Bob_Ray"),
        ("Cy_Fox/sad/sadness_7.jpg", "sad", "Cy_Fox"),
    )
    assert found["folder"].tolist() == ["", "", ""]
    assert found["prefix"].tolist() == ["", "", ""]
    assert found["pattern"].tolist() == ["_0", "_0", "_0"]
    assert found["digits"].tolist() == [4, 4, 1]
    assert found["suffix"].tolist() == ["jpg", "jpg", "jpg"]


def test_a_code_of_the_label_is_left_out_and_a_source_is_not():
    found = read(
        ("happy/ha_01.png", "happy", ""), ("happy/HA_02.png", "happy", ""), ("sad/sa_03.png", "sad", ""),
        ("sad/web/IMG_4.JPG", "sad", ""), ("happy/web/IMG_5.JPG", "happy", ""), ("sad/s1.png", "sad", ""),
        ("happy/s2.png", "happy", ""), ("sad/plain", "sad", ""),
    )  # fmt: skip
    assert found["prefix"].tolist() == ["", "", "", "img", "img", "s", "s", "plain"]
    assert found["folder"].tolist() == ["", "", "", "web", "web", "", "", ""]
    assert found["pattern"].tolist() == ["_0", "_0", "_0", "a_0", "a_0", "a0", "a0", "a"]
    assert found["suffix"].tolist() == ["png", "png", "png", "JPG", "JPG", "png", "png", ""]
    assert found["digits"].tolist() == [2, 2, 2, 1, 1, 1, 1, 0]


def test_folders_that_stand_for_the_classes_in_code_are_left_out():
    rows = [
        (f"{split}/{code}/{part}/{code}_{n}.png", label, "")
        for split in ("train", "test")
        for code, label in (("1", "happy"), ("2", "sad"), ("c", "angry"))
        for n, part in enumerate(("web", "studio"))
    ]
    assert read(*rows)["folder"].tolist() == ["web", "studio"] * 6
    more = [("train/2/web/9.png", "happy", "")]  # now 2 is no class
    assert set(read(*rows, *more)["folder"]) == {f"{code}/{part}" for code in "12c" for part in ("web", "studio")}
    named = [("happy/web/1.png", "happy", ""), ("sad/studio/1.png", "sad", "")]  # the class stands beside it
    assert read(*named)["folder"].tolist() == ["web", "studio"]
