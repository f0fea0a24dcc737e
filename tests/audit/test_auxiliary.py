import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from tied_manifests import tied_manifests

from emotion_utils.audit.auxiliary import choose_teaching, describe_teaching
from emotion_utils.audit.lines import auxiliary_line
from emotion_utils.audit.splits import divide_images
from emotion_utils.audit.ties import join_ties
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError

COLUMNS = ["id", "image", "cluster", "group", "label", "split", "status", "path"]
ASKED = [
    ("a", 1, "", "Ann", "happy", "train", "kept", "a"),
    ("b", 2, "", "Bob", "sad", "val", "kept", "b"),
    ("c", 3, "near_1", "", "sad", "test", "kept", "c"),
]


def others(*rows):
    return pd.DataFrame(rows, columns=COLUMNS, index=range(10, 10 + len(rows)))


def test_who_teaches():
    rows = others(
        ("d", 4, "", "Ann", "fear", "", "kept", "d"),  # a person of train
        ("e", 5, "", "Bob", "fear", "", "kept", "e"),  # a person of val
        ("f", 6, "near_1", "", "fear", "train", "kept", "f"),  # a near copy of a test image
        ("g", 7, "near_2", "Cy", "fear", "", "kept", "g"),  # a person who ...
        ("h", 8, "near_2", "Bob", "fear", "", "kept", "h"),  # ... has a near copy of a person of val
        ("i", 9, "", "", "fear", "val", "kept", "i"),  # held out by the data
        ("j", -1, "", "", "fear", "train", "quarantined", "j"),
        ("k", 10, "", "", "disgust", "train", "kept", "k"),
    )
    found = choose_teaching(rows, pd.DataFrame(ASKED, columns=COLUMNS))
    assert found.set_index("id")["split"].to_dict() == {
        "d": "train", "e": "", "f": "", "g": "", "h": "", "i": "", "j": "", "k": "train",
    }  # fmt: skip
    assert describe_teaching(found) == {"classes": {"disgust": 1, "fear": 1}, "images": 8, "held_out": 5}


@settings(max_examples=40, deadline=None)
@given(manifest=tied_manifests(), seed=st.integers(0, 100))
def test_asked_classes_are_split_as_without_and_nothing_that_teaches_is_tied_to_what_is_held_out(manifest, seed):
    more = manifest.assign(
        label="fear",
        path="more/" + manifest["path"],
        id="more " + manifest["id"],
        image=manifest["image"].where(manifest["image"] < 0, manifest["image"] + 10_000),
    )
    both = pd.concat([manifest, more], ignore_index=True)
    config = resolve_config("smoke", ["min_images_per_class=3"], seed=seed)
    try:
        divided, facts = divide_images(both, config, ("fear",))
    except InputError:
        return
    asked, teaching = divided[divided["label"] != "fear"], divided[divided["label"] == "fear"]
    pd.testing.assert_frame_equal(asked.reset_index(drop=True), divide_images(manifest, config)[0])
    assert set(teaching["split"]) <= {"train", ""}
    assert len(teaching) == facts["auxiliary"]["images"]
    units = pd.Series(join_ties(divided), index=divided.index)
    held_out = set(units[divided["split"].isin(["val", "test"])])
    assert not held_out & set(units[(divided["label"] == "fear") & (divided["split"] == "train")])


def test_images_of_other_classes_are_all_accounted_for():
    facts = {"classes": {"fear": 230, "neutral": 6, "disgust": 0}, "images": 340, "held_out": 99}
    assert auxiliary_line({"auxiliary": facts}) == (
        "236 images of other classes only teach (fear 230, neutral 6); 99 do not, as they or images tied to them are "
        "held out; 5 were set aside"
    )
    assert auxiliary_line({"auxiliary": facts | {"images": 335}}).endswith("are held out")
    assert auxiliary_line({}) == ""
