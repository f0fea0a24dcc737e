"""Classes that are too small, or missing from a split that comes with the data, are refused with what would help."""

import pandas as pd
import pytest

from emotion_utils.audit.class_sizes import refuse_small_classes
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.sources.source import Source


def said(counts, *settings):
    """What is said of data with counts {(class, split): images}; '' where nothing is."""
    rows = [(name, split) for (name, split), number in counts.items() for _ in range(number)]
    table = pd.DataFrame(rows, columns=["label", "split"]).assign(path=[f"{n}.png" for n in range(len(rows))])
    source = Source("x", "folder", table, lambda path: b"", tuple(sorted(set(table["label"]))))
    try:
        refuse_small_classes(source, resolve_config("smoke", settings))
    except InputError as error:
        return str(error)
    return ""


def whole(**counts):
    return {(name, ""): number for name, number in counts.items()}


def test_every_small_class_is_named_and_only_what_works_is_advised():
    assert said(whole(happy=10, sad=10)) == ""
    assert said(whole(disgust=1, fear=9, happy=20, sad=20)) == (
        "class 'disgust' has 1 image, class 'fear' has 9 images: 10 are needed to fill train, val and test: add "
        "images, or leave them out with --classes happy,sad"
    )
    assert said(whole(fear=4, happy=20)).endswith("test: add images, or use --set min_images_per_class=4")
    assert said(whole(fear=4, happy=20), "min_images_per_class=4") == ""
    assert said(whole(fear=2, happy=20)).endswith("to fill train, val and test: add images")


def test_a_class_that_a_brought_split_lacks_is_told_at_once():
    counts = {("happy", "train"): 30, ("happy", "test"): 9, ("sad", "train"): 30, ("sad", "test"): 9}
    assert said(counts) == ""
    line = said(counts | {("contempt", "test"): 5})
    assert line == (
        "class 'contempt' has 5 images: 10 are needed to fill train, val and test; class 'contempt' has no image in "
        "train as the data are split: add images, or leave it out with --classes happy,sad, or use "
        "--set min_images_per_class=5 --set leaks=redraw (a new split)"
    )
    assert said(counts | {("contempt", "test"): 5}, "min_images_per_class=5", "leaks=redraw") == ""
    assert "redraw" not in said(counts | {("contempt", "test"): 2})


@pytest.mark.parametrize("split", ["", "train"])
def test_data_without_a_split_lack_none(split):
    assert said({("happy", split): 10, ("sad", split): 10}) == ""
