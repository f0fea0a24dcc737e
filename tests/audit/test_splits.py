import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tied_manifests import manifest_of, names, tied_manifests

from emotion_utils.audit.groups import find_groups
from emotion_utils.audit.leaks import find_leaks
from emotion_utils.audit.splits import SHARE_TOLERANCE, assign_splits, divide_images, measure_balance
from emotion_utils.audit.ties import join_ties
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError

SPLITS = ["train", "val", "test"]


def assign(manifest, seed=0, val_fraction=0.1, test_fraction=0.1, **more):
    return assign_splits(manifest, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed, **more)


def assign_if_possible(manifest, seed):
    try:
        return assign(manifest, seed)
    except InputError:
        return None


def fewest_units(manifest):
    """Of the class that has fewest: how many persons, clusters of copies or single images it is of."""
    kept = manifest[manifest["status"] == "kept"]
    units = pd.Series(join_ties(kept), index=kept.index)
    return min(units[kept["label"] == label].nunique() for label in ("angry", "happy", "sad"))


@settings(max_examples=60, deadline=None)
@given(manifest=tied_manifests(), seed=st.integers(0, 1000))
def test_nothing_that_is_tied_ever_stands_on_two_sides(manifest, seed):
    result = assign_if_possible(manifest, seed)
    if result is None:
        assert fewest_units(manifest) < 5  # three sides need three of a class, and a person may be in several classes
        return
    kept = result[result["status"] == "kept"]
    assert set(kept["split"]) == set(SPLITS)
    assert set(result["split"][result["status"] != "kept"]) <= {""}
    for column, nothing in (("id", ""), ("group", ""), ("cluster", ""), ("image", -1)):
        tied = kept[kept[column] != nothing]
        assert (tied.groupby(column)["split"].nunique() <= 1).all()
    assert find_leaks(result)["images"].sum() == 0
    assert (pd.crosstab(kept["label"], kept["split"]) > 0).all(axis=None)


@settings(max_examples=30, deadline=None)
@given(manifest=tied_manifests(), seed=st.integers(0, 1000), order=st.integers(0, 1000))
def test_the_order_and_the_place_of_files_change_nothing(manifest, seed, order):
    moved = manifest.sample(frac=1, random_state=order)
    moved["path"] = "elsewhere/" + moved["path"]
    expected, found = assign_if_possible(manifest, seed), assign_if_possible(moved, seed)
    assert (expected is None) == (found is None)
    if expected is not None:
        assert found["split"].sort_index().tolist() == expected["split"].tolist()


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(10, 400), min_size=2, max_size=10),
    fractions=st.tuples(st.floats(0.05, 0.3), st.floats(0.05, 0.3)),
    seed=st.integers(0, 1000),
)
def test_classes_keep_their_proportion_where_no_group_forbids_it(counts, fractions, seed):
    labels = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    result = assign(manifest_of(labels), seed, *fractions)
    table = pd.crosstab(result["label"], result["split"])[SPLITS]
    wanted = np.outer(counts, [1 - sum(fractions), *fractions])
    named = [f"class {i}" for i in range(len(counts))]
    off = (table.loc[named].to_numpy() - wanted)[:, 1:]
    assert np.abs(off).max() < 1 + 1e-6
    assert measure_balance(result)["within_tolerance"]


def test_a_seed_gives_one_split_and_another_seed_another():
    manifest = manifest_of(["a", "b"] * 100)
    first, again, other = (assign(manifest, seed)["split"].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_manifest_given_is_not_changed():
    manifest = manifest_of(["a", "b"] * 20)
    before = manifest.copy()
    assign(manifest)
    pd.testing.assert_frame_equal(manifest, before)


def test_ties_reach_through_others():
    manifest = manifest_of(
        ["a"] * 6,
        group=["p", "p", "", "", "", "q"],
        cluster=["", "c", "c", "", "", ""],
        image=[-1, -1, 7, 7, -1, -1],
    )
    units = join_ties(manifest)
    assert len({*units[:4]}) == 1
    assert len({*units}) == 3


# -- splits that come with the data ----------------------------------------------------------------


def test_three_splits_of_the_data_are_taken_as_they_are():
    brought = ["train"] * 8 + ["val"] * 2 + ["test"] * 10
    assert assign(manifest_of(["a", "b"] * 10, split=brought))["split"].tolist() == brought


def test_val_is_taken_from_train_where_the_data_bring_train_and_test():
    result = assign(manifest_of(["a", "b"] * 100, split=["train"] * 180 + ["test"] * 20))
    assert set(result["split"][180:]) == {"test"}
    assert result["split"][:180].value_counts().to_dict() == {"train": 160, "val": 20}


def test_the_val_of_the_data_is_halved_where_it_brings_no_test():
    persons = names(np.arange(200) // 4, "p")
    result = assign(manifest_of(["a", "b"] * 100, split=["train"] * 120 + ["val"] * 80, group=persons))
    assert set(result["split"][:120]) == {"train"}
    halves = result[120:]
    assert halves["split"].value_counts().to_dict() == {"val": 40, "test": 40}
    assert (halves.groupby("group")["split"].nunique() == 1).all()


def test_a_single_split_folder_is_no_split():
    result = assign(manifest_of(["a", "b"] * 50, split="train"))
    assert result["split"].value_counts().to_dict() == {"train": 80, "val": 10, "test": 10}


@pytest.mark.parametrize(
    ("brought", "complaint"),
    [
        (["train"] * 10 + ["test"] * 8 + [""] * 2, "2 images have no split"),
        (["val"] * 10 + ["test"] * 10, "without train"),
    ],
)
def test_splits_that_cannot_be_used_are_refused(brought, complaint):
    with pytest.raises(InputError, match=complaint):
        assign(manifest_of(["a", "b"] * 10, split=brought))


# -- what cannot be split --------------------------------------------------------------------------


def test_a_class_with_too_few_images_is_named_with_what_is_needed():
    with pytest.raises(InputError, match=r"class 'rare' has 4 usable images, at least 10 are needed"):
        assign(manifest_of(["common"] * 50 + ["rare"] * 4), min_images_per_class=10)


def test_a_class_of_too_few_persons_is_named_with_their_number():
    persons = names([0] * 50 + [1, 2] * 6, "p")
    with pytest.raises(InputError, match=r"class 'rare' has no image in \w+: its 12 images are of 2 persons"):
        assign(manifest_of(["common"] * 50 + ["rare"] * 12, group=persons))


def test_nothing_kept_is_an_input_error():
    with pytest.raises(InputError, match="no usable image"):
        assign(manifest_of(["a", "b"] * 10, status="quarantined"))


# -- the balance -----------------------------------------------------------------------------------


def test_the_largest_deviation_is_found_and_told():
    split = ["train"] * 80 + ["val"] * 10 + ["test"] * 10
    labels = ["a", "b"] * 45 + ["a"] * 8 + ["b"] * 2
    balance = measure_balance(manifest_of(labels, split=split))
    assert balance["deviation"] == pytest.approx(0.8 - 0.53)
    assert balance["split"] == "test"
    assert not balance["within_tolerance"]
    assert "27.0 points" in balance["line"]


@pytest.mark.realdata
def test_named_faces_are_split_by_person_within_the_tolerance(shared_data):
    with zipfile.ZipFile(shared_data / "named_faces.zip") as file:
        paths = sorted(name for name in file.namelist() if name.endswith(".jpg"))
    manifest = manifest_of([path.split("/")[1] for path in paths], path=paths)
    manifest["group"], _ = find_groups(manifest)
    result = assign(manifest)
    assert find_leaks(result)["images"].sum() == 0
    assert measure_balance(result)["deviation"] < SHARE_TOLERANCE
    assert result["split"].value_counts().loc[SPLITS].tolist() == pytest.approx([676, 84.5, 84.5], abs=2)


def test_class_whose_images_are_all_set_aside_is_named_with_the_reasons():
    manifest = manifest_of(["common"] * 30 + ["gone"] * 12, path=[f"{n}.png" for n in range(42)])
    twice = manifest["label"] == "gone"
    manifest = manifest.assign(
        status=np.where(twice, "quarantined", "kept"), reason=np.where(twice, "two labels: it is b", "")
    )
    said = r"class 'gone' has no usable image left, at least 3 .* aside were 12 two labels \(e\.g\. 30\.png: it is b"
    with pytest.raises(InputError, match=said):
        assign(manifest)


@pytest.mark.parametrize("side", ["train", "val", "test"])
def test_class_that_the_datas_own_split_lacks_is_said_plainly(side):
    split = np.array(["train", "val", "test"] * 20)
    labels = np.where(split == side, "common", np.array(["common", "rare"] * 30))
    has = ", ".join(f"10 in {part}" for part in SPLITS if part != side)
    said = rf"class 'rare' has no image in {side} as the data are split \({has}\): add .* or draw a new split"
    with pytest.raises(InputError, match=said):
        assign(manifest_of(labels, split=split))


def test_class_missing_where_two_splits_come_with_the_data():
    split = np.array(["train"] * 40 + ["test"] * 20)
    labels = np.array(["a"] * 20 + ["b"] * 20 + ["a"] * 20)
    with pytest.raises(InputError, match=r"class 'b' has no image in test as the data are split \(\d+ in train"):
        assign(manifest_of(labels, split=split))
    persons = names([0] * 20 + [1] * 20 + list(range(2, 22)), "p")
    labels[40:50] = "b"
    said = r"class '[ab]' has no image in \w+: its 20 images are of 1 person or groups of .*; images of at least 2 are"
    with pytest.raises(InputError, match=said):
        assign(manifest_of(labels, split=split, group=persons))


@pytest.mark.parametrize(
    ("choice", "expected"), [("halve", {"train": 60, "val": 15, "test": 15}), ("test", {"test": 30})]
)
def test_a_val_without_a_test_is_halved_or_judges_as_a_whole(choice, expected):
    manifest = manifest_of(["angry", "happy", "sad"] * 30, split=["train"] * 60 + ["val"] * 30, image=range(90))
    divided, facts = divide_images(manifest, resolve_config("smoke", [f"lone_val={choice}", "min_images_per_class=3"]))
    counts = divided["split"].value_counts()
    assert {split: counts[split] for split in expected} == expected
    assert set(divided["split"][60:]) == ({"test"} if choice == "test" else {"val", "test"})
    assert facts["splits"]["brought"] == (["test", "train"] if choice == "test" else ["train", "val"])
    said = "lone_val=test: the data's val is the test here; val, which chooses, is 7 of the 60 train images"
    assert facts["splits"]["drawn_val"] == (said if choice == "test" else "")
    assert counts.sum() == 90
    brought = manifest.assign(split=manifest["split"].replace("val", "test"))
    _, facts = divide_images(brought, resolve_config("smoke", ["min_images_per_class=3"]))
    said = "the data come with train and test; val, which chooses, is 7 of the 60 train images"
    assert facts["splits"]["drawn_val"] == said
