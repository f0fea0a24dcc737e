import cv2
import imagehash
import numpy as np
import pytest
from face_files import make_image
from PIL import Image

from emotion_utils.audit import near_duplicates as near


@pytest.fixture(scope="module")
def alike_images():
    """400 alike_images of one layout: a common face-like pattern, and detail of each one's own."""
    shared = cv2.GaussianBlur(make_image(10_000, 96), (0, 0), 8).astype(np.float32)
    own = [cv2.resize(np.random.default_rng(seed).normal(0, 45, (24, 24, 3)), (96, 96)) for seed in range(400)]
    return [np.clip(shared + detail, 0, 255).astype(np.uint8) for detail in own]


def thumbs_of(images, size_px):
    return np.stack([near.shrink_grey(image, size_px) for image in images])


def find_pairs(images):
    """{(i, j, mirrored)} that are taken for nearly the same image."""
    hashes = near.hash_thumbs(thumbs_of(images, near.THUMB_PX))
    rng = np.random.default_rng(0)
    threshold = near.calibrate(hashes, rng).threshold_bits
    pairs = near.find_candidates(hashes, threshold, rng)
    close = thumbs_of(images, near.CLOSE_PX)
    similarities = near.compare_candidates(pairs, lambda rows: close[rows])
    distances = near.hash_distance(hashes[pairs[:, 0], 0], hashes[pairs[:, 1], pairs[:, 2]])
    least = near.find_min_similarity(similarities, distances, threshold)
    return {tuple(pair) for pair in pairs[similarities >= least].tolist()}


def test_hash_is_that_of_imagehash(alike_images):
    thumbs = thumbs_of(alike_images[:50], near.THUMB_PX)
    hashes = near.hash_thumbs(thumbs)
    for thumb, words in zip(thumbs, hashes, strict=True):
        bits = np.unpackbits(words[0].view(np.uint8))
        reference = imagehash.phash(Image.fromarray(thumb), hash_size=16, highfreq_factor=2)
        assert (bits != reference.hash.ravel()).sum() <= 2  # rounding may turn a bit at the median
        mirrored = imagehash.phash(Image.fromarray(thumb[:, ::-1]), hash_size=16, highfreq_factor=2)
        assert (np.unpackbits(words[1].view(np.uint8)) != mirrored.hash.ravel()).sum() <= 2


def test_distance_counts_different_bits():
    one, other = np.array([[0, 7, 2**63, 1]], np.uint64), np.array([[0, 0, 0, 1]], np.uint64)
    assert near.hash_distance(one, other).tolist() == [4]


def test_changed_copies_are_found_and_different_images_are_not(alike_images):
    original = alike_images[0]
    bright = np.clip(original * 1.15 + 12, 0, 255).astype(np.uint8)
    shifted = cv2.warpAffine(original, np.float32([[1, 0, 2], [0, 1, -1]]), (96, 96), borderMode=cv2.BORDER_REPLICATE)
    jpeg = cv2.imdecode(cv2.imencode(".jpg", original, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
    small = cv2.resize(original, (64, 64), interpolation=cv2.INTER_AREA)
    copies = [bright, shifted, jpeg, small, original[:, ::-1]]
    found = find_pairs([*alike_images, *copies])
    assert {(0, 400 + number, number == 4) for number in range(5)} <= found
    assert all({one, other} <= {0, 400, 401, 402, 403, 404} for one, other, _ in found)


def test_threshold_follows_how_alike_the_images_of_the_data_are(alike_images):
    rng = np.random.default_rng(0)
    alike = near.calibrate(near.hash_thumbs(thumbs_of(alike_images, near.THUMB_PX)), rng)
    free = [make_image(seed, 64) for seed in range(400)]
    unlike = near.calibrate(near.hash_thumbs(thumbs_of(free, near.THUMB_PX)), rng)
    assert alike.threshold_bits < unlike.threshold_bits
    assert alike.histogram.sum() == near.CALIBRATION_PAIRS
    assert alike.expected_false_candidates <= near.FALSE_CANDIDATES_PER_IMAGE * 400


def test_expected_number_of_false_candidates_is_kept():
    rng = np.random.default_rng(3)
    bits = (rng.random((3000, 256)) < 0.5).astype(np.uint8)
    hashes = np.repeat(np.packbits(bits, axis=1).view(np.uint64)[:, None], 2, axis=1)
    threshold = near.calibrate(hashes, rng).threshold_bits
    straight = hashes[:, 0]
    close = sum(
        int((near.hash_distance(straight[row : row + 1], straight[row + 1 :]) <= threshold).sum())
        for row in range(2999)
    )
    assert 0.3 < 2 * close / (near.FALSE_CANDIDATES_PER_IMAGE * 3000) < 3  # twice: mirrored pairs are expected too


def test_candidates_are_those_of_comparing_every_pair():
    rng = np.random.default_rng(5)
    bits = (rng.random((600, 256)) < 0.5).astype(np.uint8)
    bits[300:] = bits[:300] ^ (rng.random((300, 256)) < 0.08)  # a copy of each, with 8 % of the bits turned
    hashes = np.stack([np.packbits(bits, axis=1).view(np.uint64), ~np.packbits(bits, axis=1).view(np.uint64)], axis=1)
    found = {tuple(pair) for pair in near.find_candidates(hashes, 50, rng).tolist()}
    every = {
        (row, int(other), int(mirrored))
        for row in range(600)
        for mirrored in (0, 1)
        for other in np.flatnonzero(near.hash_distance(hashes[row : row + 1, 0], hashes[:, mirrored]) <= 50)
        if other > row
    }
    assert found <= every
    assert len(found) >= 0.99 * len(every) >= 290


def test_thousands_of_equal_hashes_cost_no_more_than_their_neighbours():
    hashes = np.zeros((1500, 2, 4), np.uint64)
    hashes[:, 1] = ~np.uint64(0)
    pairs = near.find_candidates(hashes, 10, np.random.default_rng(0))
    assert len(pairs) <= 1500 * near.WINDOW * 2
    assert len(set(near.join_pairs(pairs, 1500))) == 1


def compare_closely(thumbs, others):
    """Similarity of each of `thumbs` to its partner among `others`."""
    both, count = np.concatenate([thumbs, others]), len(thumbs)
    pairs = np.array([[row, count + row, 0] for row in range(count)])
    return near.compare_candidates(pairs, lambda rows: both[rows])


def test_similarity_ignores_light_and_small_shifts_and_sees_a_stranger(alike_images):
    one, stranger = thumbs_of(alike_images[:2], near.CLOSE_PX)
    darker = (one * 0.6).astype(np.uint8)
    shifted = np.roll(one, (3, -4), axis=(0, 1))
    scores = compare_closely(np.stack([one] * 4), np.stack([one, darker, shifted, stranger]))
    assert scores[0] == pytest.approx(1, abs=1e-3)
    assert scores[1] > 0.97
    assert scores[2] > 0.95
    assert scores[3] < 0.5


def test_images_that_resemble_each_other_raise_the_bar():
    rng = np.random.default_rng(0)
    distances = np.full(500, 60)
    low, high = near.MIN_SIMILARITY
    assert near.find_min_similarity(rng.normal(0.3, 0.1, 500), distances, 60) == low
    bar = near.find_min_similarity(rng.normal(0.6, 0.07, 500), distances, 60)
    assert 0.7 < bar < 0.9
    assert near.find_min_similarity(rng.normal(0.9, 0.02, 500), distances, 60) == high
    assert near.find_min_similarity(np.full(3, 0.9), distances[:3], 60) == low


def test_joined_pairs_are_numbered_by_their_first_row():
    pairs = np.array([[5, 6, 0], [1, 3, 0], [3, 7, 1]])
    assert near.join_pairs(pairs, 8).tolist() == [-1, 0, -1, 0, -1, 1, 1, 0]
    assert near.join_pairs(np.zeros((0, 3), int), 3).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_images_are_no_trouble(alike_images, count):
    assert find_pairs(alike_images[:count] or [alike_images[0]]) == set()


def test_plain_images_resemble_nothing_not_even_each_other():
    plain = np.stack([np.full((near.CLOSE_PX, near.CLOSE_PX), grey, np.uint8) for grey in (90, 200)])
    assert compare_closely(plain, plain[::-1]).tolist() == [0, 0]


def test_a_mirrored_pair_is_compared_with_the_mirror_image(alike_images):
    one, other = thumbs_of(alike_images[:2], near.CLOSE_PX)
    thumbs = np.stack([one, one[:, ::-1], other])
    pairs = np.array([[0, 1, 1], [0, 1, 0], [0, 2, 1]])
    found = near.compare_candidates(pairs, lambda rows: thumbs[rows])
    straight = compare_closely(thumbs[[0, 0, 0]], np.stack([one, thumbs[1], other[:, ::-1]]))
    np.testing.assert_allclose(found, straight, atol=1e-5)
