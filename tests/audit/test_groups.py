import zipfile

import pandas as pd
import pytest

from emotion_utils.audit.groups import find_groups
from emotion_utils.errors import InputError

EMOTIONS = ("angry", "happy", "sad")
FIRST_NAMES = [f"{a}{b}" for a in ("Ann", "Bob", "Cem", "Dan") for b in ("a", "o", "y")]  # 12 of them


def table_of(paths, group=""):
    return pd.DataFrame({"path": paths, "label": [emotion_of(path) for path in paths], "group": group})


def emotion_of(path):
    return next((part for part in path.split("/") if part in EMOTIONS), path.split("/")[-2])


def many(pattern, count=120):
    """`count` paths; {emotion}, {person} and so on in the pattern run through their values."""
    return [
        pattern.format(emotion=EMOTIONS[i % 3], person=FIRST_NAMES[i % 12], number=i, code=i % 12, letter="ABCD"[i % 4])
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("{emotion}/{person}_Smith_{number:04d}.jpg", "Anna_Smith"),
        ("{emotion}/{person}_{number}.jpg", "Anna"),
        ("{emotion}/{person} ({number}).png", "Anna"),
        ("{emotion}/{person}{number}.png", "Anna"),
        ("{emotion}/S{code:03d}_001_{number:08d}.png", "S000"),
        ("{emotion}/person_{code:03d}_{number:03d}.png", "person_000"),
        ("{emotion}/İnci-Ömür{code:02d}x_{number}.jpg", "İnci-Ömür00x"),
        ("{emotion}/{person}/{number}.jpg", "Anna"),
        ("{person}/{emotion}/{number}.jpg", "Anna"),
        ("{emotion}/video_{code:02d}/frame_{number}.jpg", "video_00"),
        ("{emotion}/video_{code:02d}_frame_{number}.jpg", "video_00_frame"),
    ],
)
def test_names_of_persons_are_found(pattern, first):
    groups, line = find_groups(table_of(many(pattern)))
    assert groups.iloc[0] == first
    assert groups.nunique() == 12
    assert (groups != "").all()
    assert "12 persons" in line
    assert "10 images" in line


@pytest.mark.parametrize(
    "pattern",
    [
        "{emotion}/Training_{number}.jpg",
        "{emotion}/PublicTest_{number}.jpg",
        "{emotion}/image_{number:04d}.jpg",
        "{emotion}/im{number}.png",
        "{emotion}/{number}.png",
        "{emotion}/{emotion}_{number}.png",
        "{emotion}/{emotion} ({number}).png",
        "{emotion}/test_{number:04d}_aligned.jpg",
        "{emotion}/Camera{letter}_{number}.jpg",  # few and large
        "{emotion}/Anna_{number}.jpg",  # one name only says nothing
        "{emotion}/{number:x}a_{number}.jpg",  # every name once says nothing either
    ],
)
def test_what_names_no_person_gives_no_groups(pattern):
    groups, line = find_groups(table_of(many(pattern)))
    assert (groups == "").all()
    assert line.startswith("no groups")


def test_a_file_that_names_nobody_among_names_stands_alone():
    paths = [*many("{emotion}/{person}_{number}.jpg"), *many("{emotion}/Training_{number}.jpg", 200)]
    groups, line = find_groups(table_of(paths))
    assert (groups[:120] != "").all()
    assert (groups[120:] == "").all()
    assert line.endswith("200 images name nobody")


def test_the_column_of_the_data_goes_before_file_names():
    table = table_of(many("{emotion}/{person}_{number}.jpg"), group="clip-7")
    groups, line = find_groups(table)
    assert set(groups) == {"clip-7"}
    assert "clip-7 with 120 images" in line


def test_none_leaves_even_the_column_of_the_data_unused():
    groups, line = find_groups(table_of(many("{emotion}/{person}_{number}.jpg"), group="clip-7"), "none")
    assert set(groups) == {""}
    assert "every image stands for itself" in line


def test_an_expression_names_the_person_by_its_first_group():
    groups, line = find_groups(table_of(many("{emotion}/{person}_Smith_{number}.jpg")), r"_(Smith)_\d+")
    assert set(groups) == {"Smith"}
    assert "1 person, e.g. Smith with 120 images" in line


@pytest.mark.parametrize(
    ("rule", "complaint"), [("(", "not a regular expression"), ("abc", "parentheses"), ("(zzz)", "names nobody")]
)
def test_an_expression_that_cannot_be_used_is_refused_with_the_reason(rule, complaint):
    with pytest.raises(InputError, match=complaint):
        find_groups(table_of(many("{emotion}/{person}_{number}.jpg")), rule)


def test_groups_keep_the_index_of_the_table():
    table = table_of(many("{emotion}/{person}_{number}.jpg")).sample(frac=1, random_state=0)
    groups, _ = find_groups(table)
    assert groups.index.equals(table.index)
    assert all(name in path for name, path in zip(groups, table["path"], strict=True))


def paths_in(archive):
    with zipfile.ZipFile(archive) as file:
        return sorted(name for name in file.namelist() if name.endswith((".jpg", ".png")))


@pytest.mark.realdata
def test_named_faces_are_of_448_persons(shared_data):
    groups, line = find_groups(table_of(paths_in(shared_data / "named_faces.zip")))
    assert groups.nunique() == 448
    assert (groups == "Tony_Blair").sum() > 1
    assert line.startswith("file names give 448 persons")


@pytest.mark.realdata
def test_fer2013_names_no_person(shared_data):
    groups, _ = find_groups(table_of(paths_in(shared_data / "fer2013_original.zip")))
    assert set(groups) == {""}


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        ("{emotion}/s{code:02d}_{emotion}_{number}.png", "s00"),
        ("{emotion}/subject{code:02d}.{emotion}", "subject00"),
        ("{emotion}/Ann{letter}{code} {emotion} {number}.jpg", "AnnA0"),
    ],
)
def test_person_before_the_class_in_a_name_is_one_person_for_all_classes(pattern, first):
    groups, line = find_groups(table_of(many(pattern)))
    assert groups.iloc[0] == first
    assert groups.nunique() == 12
    assert "file names give 12 persons" in line


@pytest.mark.parametrize(
    "pattern", ["{emotion}/{number:03d}.jpg", "{emotion}/img_{number}.png", "{emotion}/im ({number}).png"]
)
def test_files_that_are_only_numbered_are_warned_of(pattern):
    groups, line = find_groups(table_of(many(pattern)))
    assert (groups == "").all()
    assert "the images are only numbered" in line


@pytest.mark.parametrize("pattern", ["{emotion}/{number:03d}_{emotion}.jpg", "{emotion}/img{number:03d}_{emotion}.jpg"])
def test_number_before_a_class_names_nobody(pattern):
    assert (find_groups(table_of(many(pattern)))[0] == "").all()


@pytest.mark.parametrize("count", [2, 3, 7, 9])
@pytest.mark.parametrize(
    "pattern",
    [
        "p{0:02d}/{1}/{2}.jpg", "S00{0}/{1}/img_{2}.jpg", "subject {0}/{1}/{2}.jpg", "{0}/{1}/{2}.jpg",
        "video_{0}/{1}/frame_{2}.jpg", "{1}/video_{0}/frame_{2}.jpg", "{1}/p{0}/{2}.jpg", "train/p{0}/{1}/{2}.jpg",
        "Proband{0}/{1}/{2}.jpg", "person_{0}/{1}/seq1_{2}.jpg", "{1}/s{0}_{2}.jpg", "{1}/subject{0}_{2}.png",
        "{1}/video_{0}_frame_{2}.jpg", "人{0}/{1}/{2}.jpg",
    ],
)  # fmt: skip
def test_few_persons_are_found_where_names_say_so(pattern, count):
    paths = [pattern.format(n, e, i) for n in range(count) for e in EMOTIONS for i in range(3 + 4 * (n == 0))]
    groups, line = find_groups(table_of(paths))
    assert groups.nunique() == count
    assert (groups != "").all()
    assert f"{count} persons" in line


@pytest.mark.parametrize("pattern", ["fold_{0}/{1}/{2}.jpg", "{1}/batch{0}/{2}.jpg", "part{0}/{1}/{2}.jpg",
                                     "Prueba {0}/{1}/{2}.jpg", "{1}/Testdaten_{2}.jpg"])  # fmt: skip
def test_folds_and_splits_are_no_persons_and_how_to_name_these_is_said(pattern):
    groups, line = find_groups(
        table_of([pattern.format(n, e, i) for n in range(5) for e in EMOTIONS for i in range(4)])
    )
    assert (groups == "").all()
    assert "name the persons with --set group or a column person" in line
