"""Nearly the same image twice: found by perceptual hashes, calibrated on the data itself, then compared closely.

Faces share a layout, so hashes of different faces lie closer together than those of arbitrary images, and fixed
thresholds find too much. Here the distances between random pairs of the data set the threshold, and every pair below
it is compared again by what distinguishes faces: their fine structure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from emotion_utils.parallel import map_ahead

THUMB_PX = 32
HASH_SIDE = 16  # low frequencies a side: 256 bits, of which the coarsest 64 serve to find candidates
HASH_BITS = HASH_SIDE**2
NUM_BANDS = 48  # random choices among the coarse bits; two copies agree on all bits of at least one
WINDOW = 24  # neighbours in a band that are compared: bounds the work where thousands of images agree
MIN_THRESHOLD_BITS = 24  # so near are only copies, however many of the random pairs are
MAX_PARTNERS = 8  # of an image that are compared closely, the nearest: enough to join what belongs together
MAX_COMPARED = 400_000  # pairs in all, the nearest: some minutes
MAX_FOUND = 24  # candidates per image (and a sixth of it per mark), after which no further band is searched
CALIBRATION_PAIRS = 1_000_000
FALSE_CANDIDATES_PER_IMAGE = 0.5  # what the close comparison can afford
CLOSE_PX = 64  # thumbnails of the close comparison: as much detail as small face images have
SHIFT_PX = 4  # of CLOSE_PX: copies are often cut out a little differently
MIN_SIMILARITY = (0.68, 0.90)  # least and greatest bound; below lie different people too, above nothing but copies
NULL_SPREADS = 3.5  # a copy is that far above what different images with similar hashes reach
NULL_BITS = 4  # candidates within so many bits of the threshold are nearly all different images
MIN_NULL_PAIRS = 50  # fewer say nothing about their spread
CLOSE_BLOCK = 512  # pairs compared at once
PLAIN_NORM = 0.1  # of a fine structure that is nothing but rounding errors; those of images have about 30

_DCT = scipy.fft.dct(np.eye(THUMB_PX, dtype=np.float32), axis=0)[:HASH_SIDE]
_FINE, _COARSE = (gaussian_filter1d(np.eye(CLOSE_PX, dtype=np.float32), sigma_px, axis=0) for sigma_px in (0.7, 3.0))


@dataclass(frozen=True)
class DistanceThreshold:
    """How far apart the hashes of random pairs are, and the distance up to which a pair is looked at closely."""

    histogram: np.ndarray  # int64 (HASH_BITS + 1,): random pairs of different images at each distance in bits
    threshold_bits: int
    expected_false_candidates: float


def shrink_grey(rgb: np.ndarray, size_px: int) -> np.ndarray:
    """uint8 (H, W, 3) RGB to a grey thumbnail uint8 (size_px, size_px)."""
    kernel = cv2.INTER_AREA if min(rgb.shape[:2]) >= size_px else cv2.INTER_LINEAR
    return cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (size_px, size_px), interpolation=kernel)


def hash_thumbs(thumbs: np.ndarray) -> np.ndarray:
    """uint8 (n, THUMB_PX, THUMB_PX) to uint64 (n, 2, HASH_BITS / 64): perceptual hash, and that of the mirror image.

    A bit says whether a low DCT frequency lies above the median of all (Zauner, 2010; `imagehash.phash` with
    hash_size=16, highfreq_factor=2). Mirroring turns the sign of every odd horizontal frequency.
    """
    dct = _DCT @ thumbs.astype(np.float32) @ _DCT.T
    mirror = np.where(np.arange(HASH_SIDE) % 2, -1, 1).astype(np.float32)
    both = np.stack([dct, dct * mirror], axis=1).reshape(len(thumbs), 2, HASH_BITS)
    bits = both > np.median(both, axis=2, keepdims=True)
    return np.packbits(bits, axis=2).view(np.uint64)


def hash_distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Number of different bits, int (n,), between uint64 (n, words)."""
    return np.bitwise_count(one ^ other).sum(axis=1, dtype=np.int64)


def calibrate(
    hashes: np.ndarray, rng: np.random.Generator, false_candidates: float = FALSE_CANDIDATES_PER_IMAGE, marks: int = 1
) -> DistanceThreshold:
    """The threshold below which about `false_candidates` random pairs per row of `hashes` are expected.

    `marks` rows that follow each other are of one image, and no pair.

    The share of pairs at distances that no sample reaches is continued from the sample's lower tail by a parabola in
    the logarithm, which is what a normal distribution's tail is, with the spread of the tail and not of the middle.
    """
    count = len(hashes)
    if count < 3 * marks:
        return DistanceThreshold(np.zeros(HASH_BITS + 1, np.int64), 0, 0.0)
    one = rng.integers(count, size=CALIBRATION_PAIRS)
    other = (one + rng.integers(1, count, size=CALIBRATION_PAIRS)) % count
    one, other = np.stack([one, other])[:, one // marks != other // marks]
    histogram = np.bincount(hash_distance(hashes[one, 0], hashes[other, 0]), minlength=HASH_BITS + 1)
    share = _extend_tail(histogram)
    expected = share * count * (count - 1)  # every pair, straight and mirrored
    threshold = int(np.searchsorted(expected, false_candidates * count, side="right")) - 1
    threshold = max(threshold, MIN_THRESHOLD_BITS)  # lower only where much of the data are copies of each other
    return DistanceThreshold(histogram, threshold, float(expected[threshold]))


def find_candidates(
    hashes: np.ndarray, threshold_bits: int, rng: np.random.Generator, *, marks: int = 1, num_bands: int = NUM_BANDS
) -> np.ndarray:
    """Pairs within `threshold_bits`: int64 (m, 3) of rows i < j and whether j is mirrored (0 or 1), sorted.

    Locality-sensitive hashing: for each of `num_bands` random choices of coarse bits, images that agree on all of them
    lie side by side after sorting, and each is compared with its next WINDOW neighbours. Time and memory grow as
    n log n; a pair is missed where no band catches it. `marks` rows that follow each other are of one image, and
    no pair.
    """
    count = len(hashes)
    flat = hashes.reshape(-1, hashes.shape[2])  # row 2 i: image i, row 2 i + 1: its mirror image
    coarse = _coarse_bits(flat)
    width = int(np.clip(math.log2(max(count, 2)), 8, 24))
    most = MAX_FOUND * count if marks == 1 else MAX_FOUND // 6 * count
    codes = np.zeros(0, np.int64)
    for _ in range(num_bands):
        keys = _shuffle_bits(coarse, rng.permutation(64))
        codes = np.union1d(codes, _compare_neighbours(flat, keys, 64 - width, threshold_bits, 2 * marks))
        if len(codes) > most:
            break
    return np.stack([codes // (2 * count), codes % (2 * count) // 2, codes % 2], axis=1)


def keep_nearest(pairs: np.ndarray, bits: np.ndarray, count: int, most: int = MAX_COMPARED) -> np.ndarray:
    """Whether each of the pairs (m, 2 or more) of `count` images, `bits` (m,) apart, is one of the MAX_PARTNERS nearest
    of either of its images, and of all these one of the `most` nearest: bool (m,).

    Thousands of images that all resemble each other would make millions of pairs.
    """
    ends = pairs[:, :2].T.ravel()
    order = np.lexsort((np.tile(bits, 2), ends))
    starts = np.searchsorted(ends[order], np.arange(count))
    near = np.zeros(len(pairs), bool)
    near[order[np.arange(len(order)) - starts[ends[order]] < MAX_PARTNERS] % max(len(pairs), 1)] = True
    kept = np.flatnonzero(near)
    near[kept[np.argsort(bits[kept], kind="stable")[most:]]] = False
    return near


def compare_candidates(
    pairs: np.ndarray, load_thumbs: Callable[[Sequence[int]], np.ndarray], workers: int = 1
) -> np.ndarray:
    """Similarity of fine structure, float32 (m,) in -1 to 1, of each pair (i, j, mirrored).

    The highest normalised correlation over shifts of up to SHIFT_PX, after taking away what faces have in common
    (layout, light) and what files differ in (contrast, noise). `load_thumbs` gives thumbnails, grey uint8 (n, CLOSE_PX,
    CLOSE_PX), of those rows.
    """

    def compare(block: np.ndarray) -> np.ndarray:
        rows, places = np.unique(block[:, :2], return_inverse=True)
        fine = fine_structure(load_thumbs(rows.tolist()))
        similarities = np.empty(len(block), np.float32)
        for number, (one, other) in enumerate(places.reshape(-1, 2)):
            theirs = np.ascontiguousarray(fine[other, :, ::-1]) if block[number, 2] else fine[other]
            similarities[number] = correlate(fine[one], theirs)
        return similarities

    blocks = (pairs[start : start + CLOSE_BLOCK] for start in range(0, len(pairs), CLOSE_BLOCK))
    return np.concatenate([np.zeros(0, np.float32), *map_ahead(compare, blocks, workers)])


def find_min_similarity(similarities: np.ndarray, distances: np.ndarray, threshold_bits: int) -> float:
    """The similarity from which on a pair counts as nearly the same image, for this data.

    Candidates just below the threshold are different images but for a few; their median similarity and its spread
    (Fisher's z, by the lower quantile, where no copies are) say what different images reach here. Drawn faces
    resemble each other more than photos do.
    """
    null = similarities[distances > threshold_bits - NULL_BITS]
    low, high = MIN_SIMILARITY
    if len(null) < MIN_NULL_PAIRS:
        return low
    middle, lower = np.arctanh(np.clip(np.quantile(null, (0.5, 0.16)), -0.999, 0.999))
    return float(np.clip(np.tanh(middle + NULL_SPREADS * (middle - lower)), low, high))


def join_pairs(pairs: np.ndarray, count: int) -> np.ndarray:
    """int (count,): the cluster of each row, -1 for rows in no pair; clusters are numbered by their first row."""
    graph = coo_matrix((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    sizes = np.bincount(labels, minlength=count)
    clusters = np.full(count, -1)
    members = np.flatnonzero(sizes[labels] > 1)
    _, first, inverse = np.unique(labels[members], return_index=True, return_inverse=True)
    clusters[members] = np.argsort(np.argsort(first))[inverse]
    return clusters


def _extend_tail(histogram: np.ndarray) -> np.ndarray:
    """Share of pairs up to each distance, float64 (HASH_BITS + 1,); below what a sample can tell, continued."""
    share = histogram.cumsum() / histogram.sum()
    bits = np.arange(len(share))
    middle, low = np.searchsorted(share, (0.5, 0.16))
    plausible = bits > middle - 4 * (middle - low)  # closer pairs are mostly copies already
    tail = plausible & (share > 2e-4) & (share < 0.05) & (histogram > 0)
    if tail.sum() < 3:
        return share
    curve = np.polynomial.Polynomial.fit(bits[tail], np.log(share[tail]), 2, w=np.sqrt(share[tail]))
    end = bits[tail][0]
    continued = np.where(bits < end, np.exp(np.minimum(curve(bits), 0)), share)
    return np.minimum.accumulate(continued[::-1])[::-1]


def _coarse_bits(flat: np.ndarray) -> np.ndarray:
    """uint8 (n, 8): the 8 x 8 lowest frequencies of each hash, a row of them to the byte."""
    return flat.view(np.uint8).reshape(len(flat), HASH_SIDE, HASH_SIDE // 8)[:, :8, 0]


def _shuffle_bits(coarse: np.ndarray, order: np.ndarray) -> np.ndarray:
    """uint64 (n,): the 64 bits of each row in the given order, by a table for each byte."""
    places = np.uint64(1) << order.astype(np.uint64).reshape(8, 8)
    tables = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.uint64)
    keys = np.zeros(len(coarse), np.uint64)
    for byte in range(8):
        keys |= (tables * places[byte]).sum(axis=1, dtype=np.uint64)[coarse[:, byte]]
    return keys


def _compare_neighbours(
    flat: np.ndarray, keys: np.ndarray, free_bits: int, threshold_bits: int, per_image: int
) -> np.ndarray:
    """Pairs of rows whose keys agree above the `free_bits` lowest, each with its next WINDOW ones in sorted order.

    Rows of one image, `per_image` that follow each other, are no pair. int64, each pair one number: first image * 2 n +
    second image * 2 + whether one of them is mirrored.
    """
    order = np.argsort(keys, kind="stable")
    bands = keys[order] >> np.uint64(free_bits)
    words = np.ascontiguousarray(flat[order].T)  # each word of all hashes, so that neighbours are compared at once
    found, total = [np.zeros(0, np.int64)], 0
    for step in range(1, WINDOW + 1):
        near = bands[step:] == bands[:-step]
        if not near.any():
            break
        bits = np.zeros(len(near), np.uint16)
        for word in words:
            bits += np.bitwise_count(word[step:] ^ word[:-step])
        places = np.flatnonzero(near & (bits <= threshold_bits))
        ends = np.sort(np.stack([order[places], order[places + step]]), axis=0)
        one, other = ends[:, ends[0] // per_image != ends[1] // per_image]
        found.append(one // 2 * len(flat) + other // 2 * 2 + (one + other) % 2)
        total += len(one)
        if total > 2 * len(flat):
            break
    return np.unique(np.concatenate(found))


def fine_structure(thumbs: np.ndarray) -> np.ndarray:
    """float32 (n, CLOSE_PX, CLOSE_PX): structures of 1 to 3 pixels, all of about the same contrast."""
    root = np.sqrt(thumbs.astype(np.float32))  # evens out light and dark
    band = _FINE @ root @ _FINE.T - _COARSE @ root @ _COARSE.T
    contrast = np.sqrt(np.maximum(_COARSE @ band**2 @ _COARSE.T, 0))
    return band / (contrast + 0.2)  # 0.2: the noise of a plain area stays small


def correlate(one: np.ndarray, other: np.ndarray) -> float:
    """The highest normalised correlation of two fine structures, float32 (CLOSE_PX, CLOSE_PX); 0 where one is plain."""
    inside = one[SHIFT_PX:-SHIFT_PX, SHIFT_PX:-SHIFT_PX]
    if min(cv2.norm(inside), cv2.norm(other)) < PLAIN_NORM:
        return 0.0
    return float(cv2.matchTemplate(other, inside, cv2.TM_CCOEFF_NORMED).max())
