"""Strata: each image in at most one, a common value alone, and bounds that are values of the data."""

import numpy as np
import pandas as pd
import pytest

from emotion_utils.evaluation.strata import divide_by, select_stratum


def manifest(**columns):
    size = len(next(iter(columns.values())))
    base = {"id": [f"{place:03d}" for place in range(size)], "path": "sad/1.png", "label": "sad", "group": ""}
    return pd.DataFrame(base | {"status": "kept", "width": 48, "height": 48} | columns)


def sizes(table, name):
    return {stratum.name: len(stratum.ids) for stratum in divide_by(table, name)}


def test_words_have_a_stratum_each_the_commonest_first():
    table = manifest(colour=["grey"] * 7 + ["colour"] * 3, format=[*"aaabbbbc", "d", ""])
    assert sizes(table, "colour") == {"grey": 7, "colour": 3}
    assert list(sizes(table, "format")) == ["format b", "format a", "format c", "format d", "format nothing"]


def test_a_continuous_property_is_cut_into_thirds_that_hold_every_known_value():
    values = np.r_[np.linspace(0, 1, 90).round(4), [np.nan] * 5]
    found = divide_by(manifest(brightness=values), "brightness")
    assert [len(stratum.ids) for stratum in found] == [30, 30, 30]
    assert [stratum.name for stratum in found] == [
        "brightness up to 0.3258", "brightness 0.3258 to 0.6629", "brightness above 0.6629",
    ]  # fmt: skip
    assert not set.intersection(*(set(stratum.ids) for stratum in found))


def test_a_value_of_most_images_is_a_stratum():
    table = manifest(width=[350] * 60 + list(range(100, 120)) + list(range(400, 410)))
    assert sizes(table, "width") == {"width 350": 60, "width below 350": 20, "width above 350": 10}
    assert sizes(manifest(width=[350] * 60 + list(range(100, 120))), "width") == {
        "width 350": 60, "width below 350": 20,
    }  # fmt: skip


def test_few_numbers_have_a_stratum_each_and_what_was_set_aside_has_none():
    table = manifest(jpeg_quality=[95.0] * 5 + [75.0] * 4 + [np.nan])
    table.loc[0, "status"] = "quarantined"
    assert sizes(table, "jpeg_quality") == {"JPEG quality 95": 4, "JPEG quality 75": 4}


@pytest.mark.parametrize("dtype", [str, object])
def test_predictions_are_selected_by_id(dtype):
    grey, _ = divide_by(manifest(colour=["grey", "colour", "grey"]), "colour")
    predictions = pd.DataFrame({"id": pd.Series(["002", "001"], dtype=dtype), "label": "sad", "predicted": "sad"})
    assert select_stratum(predictions, grey)["id"].tolist() == ["002"]
