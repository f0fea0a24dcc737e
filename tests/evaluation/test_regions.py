"""Where the parts of a face are looked for, and what covering one leaves."""

from itertools import pairwise

import numpy as np
import pytest

from emotion_utils.errors import InputError
from emotion_utils.evaluation.regions import (
    CONTROL,
    RegionBox,
    locate_regions,
    read_regions,
    region_shares,
    regions_table,
)  # fmt: skip
from emotion_utils.synthetic.faces import render_path, synthetic_table


def face(eyes, mouth, size=100):
    """Light skin with dark rows at these heights (0-1)."""
    grey = np.full((size, size), 200.0)
    for row in (eyes, mouth):
        grey[round(row * size) - 2 : round(row * size) + 2] = 90
    return grey


@pytest.mark.parametrize(("eyes", "mouth"), [(0.35, 0.75), (0.45, 0.82)])
def test_eyes_and_mouth_are_found_where_the_average_face_is_dark(eyes, mouth):
    regions = locate_regions(face(eyes, mouth) + np.linspace(0, 40, 100)[:, None])  # lit from below
    assert regions["eyes"].top < eyes < regions["eyes"].bottom
    assert regions["mouth"].top < mouth < regions["mouth"].bottom
    assert (regions["mouth"].top + regions["mouth"].bottom) / 2 == pytest.approx(mouth, abs=0.02)


@pytest.mark.parametrize("eyes", [0.45, 0.35])  # the second leaves less room above the brows
def test_regions_do_not_overlap_and_the_control_is_as_large_as_the_mouth(eyes):
    regions = locate_regions(face(eyes, 0.8))
    ordered = [regions[name] for name in (CONTROL, "brows", "eyes", "mouth")]
    assert all(above.bottom <= below.top for above, below in pairwise(ordered))
    assert regions[CONTROL].area == pytest.approx(regions["mouth"].area, rel=1e-4)


def test_regions_of_drawn_faces_hold_their_eyes_and_mouths():
    table = synthetic_table(60, ("angry", "happy", "sad"), 0)
    average = np.mean([render_path(path, 0, 48) for path in table["path"]], axis=0)
    regions = locate_regions(average)
    assert 0.38 <= (regions["eyes"].top + regions["eyes"].bottom) / 2 <= 0.48
    assert 0.72 <= (regions["mouth"].top + regions["mouth"].bottom) / 2 <= 0.85


def test_shares_are_those_counted_by_hand():
    maps = np.zeros((2, 4, 4))
    maps[0, 0, 0], maps[0, 3, 3] = 3, 1
    shares = region_shares(maps, {"top": RegionBox(0, 0, 1, 0.5)})
    assert list(shares["top"]) == [0.75, 0]  # the second map is blank
    assert list(shares["elsewhere"]) == [0.25, 0]
    with pytest.raises(InputError, match="negative"):
        region_shares(-maps, {})


def test_regions_are_read_back_as_they_were_stored():
    regions = locate_regions(face(0.4, 0.8))
    assert read_regions(regions_table(regions)) == regions
