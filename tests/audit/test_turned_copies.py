"""Copies that were turned or zoomed are found over the whole range, and different images of one layout are not."""

import cv2
import numpy as np
import pytest
from face_files import make_image

from emotion_utils.audit import near_duplicates as near
from emotion_utils.audit import turned_copies as turned


@pytest.fixture(scope="module")
def thumbs():
    """300 grey thumbnails of one layout, with detail of each one's own."""
    shared = cv2.GaussianBlur(make_image(10_000, 64), (0, 0), 6).astype(np.float32)
    own = [cv2.resize(np.random.default_rng(seed).normal(0, 45, (20, 20, 3)), (64, 64)) for seed in range(300)]
    return np.stack([near.shrink_grey(np.clip(shared + detail, 0, 255).astype(np.uint8), 64) for detail in own])


def change(image, turn_deg, zoom, border=cv2.BORDER_CONSTANT):
    matrix = cv2.getRotationMatrix2D((31.5, 31.5), turn_deg, zoom)
    changed = cv2.warpAffine(image, matrix, (64, 64), borderMode=border)
    return cv2.imdecode(cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_GRAYSCALE)


def find(thumbs):
    hashes = np.stack([turned.hash_marks(thumb) for thumb in thumbs])
    pairs, _ = turned.find_turned_copies(hashes, lambda rows: thumbs[rows], np.random.default_rng(0))
    return {tuple(pair) for pair in pairs.tolist()}


def test_copies_are_found_up_to_the_stated_turn_and_zoom_and_strangers_are_not(thumbs):
    rng = np.random.default_rng(5)
    corners = [(turn, zoom) for turn in (-25, 0, 15, 25) for zoom in (1 / 1.3, 1, 1.15, 1.3)]
    ways = [*corners, *zip(rng.uniform(-25, 25, 34), 1.3 ** rng.uniform(-1, 1, 34), strict=True)]
    borders = [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT]
    sources = [image[:, ::-1] if number % 5 == 0 else image for number, image in enumerate(thumbs[: len(ways)])]
    copies = [change(s, *way, borders[n % 3]) for n, (s, way) in enumerate(zip(sources, ways, strict=True))]
    found = find(np.concatenate([thumbs, np.stack(copies)]))
    expected = {(number, 300 + number, int(number % 5 == 0)) for number in range(len(ways))}
    assert found <= expected
    assert len(found) >= len(ways) - 1


def test_marks_differ_by_every_step_of_turn_and_zoom():
    for values in (turned.TURNS_DEG, np.log(turned.ZOOMS)):
        steps = {round(abs(one - other), 6) for one in values for other in values}
        assert np.allclose(sorted(steps), np.linspace(0, max(steps), 4), atol=1e-5)
    assert max(turned.TURNS_DEG) - min(turned.TURNS_DEG) == turned.MAX_TURN_DEG
    half = np.deg2rad(turned.MAX_TURN_DEG / 2)
    assert turned.MIDDLE * (np.cos(half) + np.sin(half)) < 1  # the middle stays inside however it is turned


def test_thousands_of_images_that_resemble_each_other_are_compared_with_a_few():
    hashes = np.zeros((3000, 2, 4), np.uint64)
    pairs = near.find_candidates(hashes, 10, np.random.default_rng(0))
    bits = np.arange(len(pairs))
    chosen = near.keep_nearest(pairs, bits, 3000)
    assert chosen.sum() <= near.MAX_PARTNERS * 3000
    assert set(pairs[chosen][:, :2].ravel()) == set(range(3000))
    fewest = near.keep_nearest(pairs, bits, 3000, most=100)
    assert np.flatnonzero(fewest).tolist() == np.flatnonzero(chosen)[:100].tolist()
    assert not near.keep_nearest(pairs[:0], bits[:0], 5).any()
    few = np.array([[0, 1, 0], [0, 2, 0], [1, 2, 1]])
    assert near.keep_nearest(few, np.array([3, 1, 2]), 4).all()
