"""Leaks, and what is done about the split that comes with the data."""

import numpy as np
import pandas as pd
import pytest
from face_files import encode, make_image, write_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from tied_manifests import manifest_of, tied_manifests

from emotion_utils.audit.audit import audit_images, complete_audit
from emotion_utils.audit.leaks import MAX_SET_ASIDE, find_leaks, leak_lines, settle_leaks
from emotion_utils.audit.lines import leaks_line
from emotion_utils.audit.splits import assign_splits, divide_images
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import source_of

TIE_COLUMNS = (("id", ""), ("image", -1), ("cluster", ""), ("group", ""))


def leaks_of(manifest):
    return find_leaks(manifest).set_index(["tie", "split", "other"])


def many(rows, **columns):
    """`rows` images of training that are tied to nothing, and then the given ones."""
    filler = {name: [-1 if name == "image" else ""] * rows for name in columns if name != "split"}
    split = ["train"] * rows + columns.pop("split")
    columns = {name: filler[name] + values for name, values in columns.items()}
    return manifest_of(["a", "b"] * (len(split) // 2) + ["a"] * (len(split) % 2), split=split, **columns)


# -- finding leaks ---------------------------------------------------------------------------------


def test_each_held_out_image_is_counted_once_at_its_closest_tie():
    manifest = manifest_of(
        ["a"] * 7,
        split=["train", "train", "val", "test", "test", "test", "test"],
        group=["p", "q", "p", "p", "q", "r", "p"],
        cluster=["c", "", "", "c", "", "", "c"],
        image=[1, 2, 3, 4, 5, 6, 1],
    )
    leaks = leaks_of(manifest)
    assert leaks.xs(("test", "train"), level=["split", "other"])["images"].to_dict() == {
        "exact copy": 1, "near copy": 1, "same person": 1,
    }  # fmt: skip
    assert leaks.loc[("near copy", "test", "train"), ["of", "share", "example", "example_in_other"]].tolist() == [
        4, 0.25, "3.png", "0.png",
    ]  # fmt: skip
    assert leaks.loc[("same person", "test", "val"), "images"] == 2
    assert leaks.loc[("same person", "val", "train"), "share"] == 1
    assert leak_lines(find_leaks(manifest))[0] == (
        "of 4 images in test, 3 are in train as well (1 exact copy, 1 near copy, 1 same person)"
    )


def test_unreadable_images_and_those_without_a_split_are_no_leaks():
    manifest = manifest_of(["a"] * 4, split=["train", "test", "test", ""], group=["p"] * 4, image=[0, 1, -1, 2])
    manifest.loc[2, "status"] = "quarantined"
    assert leaks_of(manifest).loc[("same person", "test", "train"), ["images", "of"]].tolist() == [1, 1]


# -- what is done about it -------------------------------------------------------------------------


def test_tied_images_of_training_are_set_aside_and_what_is_held_out_stays():
    manifest = many(
        200,
        split=["train", "train", "train", "val", "val", "test", "test"],
        cluster=["c", "", "", "d", "", "c", "d"],
        group=["", "p", "q", "", "p", "", ""],
    )
    settled, line = settle_leaks(manifest, "set_aside")
    aside = settled[settled["status"] == "quarantined"].set_index("path")
    assert aside["reason"].to_dict() == {
        "200.png": "in test too: near copy: 205.png",
        "201.png": "in val too: same person: 204.png",
        "203.png": "in test too: near copy: 206.png",
    }
    assert line == "set aside because they are held out too: 1 of val, 2 of train"
    assert (settled["split"] == manifest["split"]).all()
    assert (manifest["status"] == "kept").all(), "the manifest given was changed"


@pytest.mark.parametrize("tied", [10, 11])
def test_more_than_a_twentieth_is_refused_with_counts_and_the_two_other_choices(tied):
    clusters = [f"c{number}" for number in range(tied)]
    manifest = many(200 - tied, split=["train"] * tied + ["test"] * tied, cluster=clusters * 2)
    assert MAX_SET_ASIDE == 0.05
    if tied == 10:
        assert (settle_leaks(manifest, "set_aside")[0]["status"] == "quarantined").sum() == 10
        return
    with pytest.raises(InputError, match=r"11 of 200 images of train \(6%\).*leaks=redraw.*leaks=allow"):
        settle_leaks(manifest, "set_aside")


def test_exact_copies_that_the_audit_has_set_aside_count_as_well():
    images = list(range(11))
    manifest = many(189, split=["train"] * 11 + ["test"] * 11, image=images * 2)
    manifest.loc[189:199, "status"] = "quarantined"
    manifest.loc[:188, "image"] = range(100, 289)
    with pytest.raises(InputError, match="11 of 200"):
        settle_leaks(manifest, "set_aside")


def test_redraw_forgets_the_split_and_allow_keeps_it_and_both_say_so():
    manifest = many(30, split=["train"] * 5 + ["test"] * 20, group=["p"] * 25)
    redrawn, line = settle_leaks(manifest, "redraw")
    assert set(redrawn["split"]) == {""}
    assert "a new one is drawn" in line
    kept, line = settle_leaks(manifest, "allow")
    pd.testing.assert_frame_equal(kept, manifest)
    assert "leaks included" in line


def test_data_without_a_split_are_left_alone():
    manifest = manifest_of(["a"] * 5, group=["p"] * 5)
    for choice in ("set_aside", "redraw", "allow"):
        assert settle_leaks(manifest, choice)[1] == ""


@settings(max_examples=40, deadline=None)
@given(
    manifest=tied_manifests(),
    weights=st.sampled_from([(0.9, 0.05, 0.05), (0.95, 0, 0.05), (0.9, 0.1, 0), (0.5, 0.2, 0.3)]),
    choice=st.sampled_from(["set_aside", "redraw"]),
    seed=st.integers(0, 1000),
)
def test_no_tie_ever_crosses_the_sides_of_a_split_that_the_data_bring(manifest, weights, choice, seed):
    sides = np.random.default_rng(seed).choice(["train", "val", "test"], len(manifest), p=weights)
    try:
        settled, _ = settle_leaks(manifest.assign(split=sides), choice)
        result = assign_splits(settled, val_fraction=0.1, test_fraction=0.1, seed=seed)
    except InputError:
        return  # leaks too much, or leaves a class without images: nothing is prepared
    kept = result[result["status"] == "kept"]
    for column, nothing in TIE_COLUMNS:
        tied = kept[kept[column] != nothing]
        assert (tied.groupby(column)["split"].nunique() <= 1).all(), column
    if choice == "set_aside":
        was_test = kept["path"].isin(manifest["path"][sides == "test"])
        assert (kept["split"][was_test] == "test").all()
        of_test = manifest["path"][(sides == "test") & (manifest["status"] == "kept")]
        assert set(of_test) <= set(kept["path"]), "a published test image was set aside"


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), tied=st.integers(0, 6))
def test_a_few_leaks_are_always_mended(seed, tied):
    """A split of three parts with up to 3 % of training tied to what is held out, in any of the four ways."""
    rng = np.random.default_rng(seed)
    size = 300
    manifest = manifest_of(list(rng.permutation(["a", "b", "c"] * (size // 3))), image=np.arange(size))
    manifest["cluster"] = ""
    manifest["split"] = ["train"] * 240 + ["val"] * 30 + ["test"] * 30
    for number in range(tied):
        column = ("image", "cluster", "group")[rng.integers(3)]
        ours, theirs = rng.integers(240), rng.integers(240, size)
        manifest.loc[[ours, theirs], column] = number if column == "image" else f"{column}{number}"
    result = assign_splits(settle_leaks(manifest, "set_aside")[0], val_fraction=0.1, test_fraction=0.1, seed=seed)
    assert find_leaks(result)["images"].sum() == 0
    assert (result["status"][270:] == "kept").all()
    assert (result["split"][270:] == "test").all()


# -- with everything around it ---------------------------------------------------------------------


@pytest.fixture
def leaking(tmp_path):
    """A split folder of 240 images whose test part has one exact and one near copy of training images."""
    big = [make_image(seed, 64) for seed in range(240)]
    files = {
        f"{'test' if seed >= 200 else 'train'}/{'happy' if seed % 2 else 'sad'}/{seed:03d}.png": encode(image)
        for seed, image in enumerate(big)
    }
    files["test/sad/copy.png"] = files["train/sad/000.png"]
    files["test/happy/near.png"] = encode(np.clip(big[1] * 0.9 + 10, 0, 255).astype(np.uint8))
    return str(write_folder(tmp_path / "data", files))


def prepare(data, **settings):
    config = resolve_config("smoke", data=data, **settings)
    manifest, audit = audit_images(source_of(config))
    manifest, division = divide_images(manifest, config)
    nobody = pd.DataFrame(columns=["id", "label", "suggested", "score"])
    nobody.attrs = {"judged": 0, "doubted": 0, "accuracy": None}
    return manifest.set_index("path"), complete_audit(audit, manifest, division, nobody)


def images(records):
    return {
        record["tie"]: record["images"] for record in records if (record["split"], record["other"]) == ("test", "train")
    }


def test_leaks_of_the_data_are_counted_as_they_came_and_mended(leaking):
    manifest, audit = prepare(leaking)
    assert images(audit["leaks"]["as_given"]) == {"exact copy": 1, "near copy": 1, "same person": 0}
    assert sum(images(audit["leaks"]["as_used"]).values()) == 0
    assert audit["leaks"]["at_random"] is None
    assert manifest.loc["train/sad/000.png", "reason"] == "exact duplicate: of test/sad/copy.png"
    assert manifest.loc["train/happy/001.png", "reason"] == "in test too: near copy: test/happy/near.png"
    assert audit["reasons"] == {"exact duplicate": 1, "in test too": 1}
    assert (audit["kept"], audit["quarantined"]) == (240, 2)
    assert audit["splits"]["brought"] == ["test", "train"]
    assert audit["leaks"]["line"] == "set aside because they are held out too: 2 of train"


def test_allowed_leaks_are_said_in_the_audit(leaking):
    manifest, audit = prepare(leaking, leaks="allow")
    assert images(audit["leaks"]["as_used"])["near copy"] == 1
    assert manifest.loc["train/happy/001.png", "split"] in ("train", "val")
    assert manifest.loc["test/happy/near.png", "split"] == "test"


def test_a_split_drawn_by_single_images_would_leak_where_ours_does_not(tmp_path):
    files = {}
    for person in range(30):
        for number in range(6):
            seed = 6 * person + number
            files[
                f"{('happy', 'sad')[seed % 2]}/Name{chr(65 + person // 26)}{chr(65 + person % 26)}_{number:04d}.png"
            ] = encode(make_image(seed))
    _, audit = prepare(str(write_folder(tmp_path / "people", files)))
    assert audit["groups"]["persons"] == 30
    assert images(audit["leaks"]["at_random"])["same person"] > 0
    assert sum(record["images"] for record in audit["leaks"]["as_used"]) == 0
    assert audit["leaks"]["as_given"] is None


@pytest.mark.parametrize(("persons", "line"), [(3, "its person in another"), (0, "who is on which image is not known")])
def test_a_line_on_leaks_claims_nothing_of_persons_that_are_not_known(persons, line):
    none = [{"tie": tie, "split": "test", "other": "train", "images": 0, "of": 9} for tie in ("copy", "person")]
    assert leaks_line(none, persons).endswith(line)
