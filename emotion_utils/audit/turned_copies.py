"""Copies that were turned or zoomed, as augmented data sets hold them: up to MAX_TURN_DEG and MAX_ZOOM either way.

Every image is hashed at a few turns and zooms of its own, chosen as marks of a Golomb ruler, so that their differences
cover the whole range in equal steps: whatever was done to a copy, one mark of each comes out nearly the same. Only the
middle is looked at, since what lies in the corners of a turned image nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from emotion_utils.audit.near_duplicates import (
    CLOSE_BLOCK,
    CLOSE_PX,
    THUMB_PX,
    calibrate,
    correlate,
    find_candidates,
    fine_structure,
    hash_distance,
    hash_thumbs,
    keep_nearest,
)
from emotion_utils.parallel import map_ahead

MAX_TURN_DEG, MAX_ZOOM = 25.0, 1.3
RULER = np.array([0, 1, 3]) / 3  # its differences are 1, 2 and 3 thirds
TURNS_DEG = tuple(MAX_TURN_DEG * (RULER - 0.5))
ZOOMS = tuple(MAX_ZOOM**RULER)
MARKS = tuple((turn, zoom) for turn in TURNS_DEG for zoom in ZOOMS)
MIDDLE = 0.8  # of the side: a square so large stays inside when it is turned by half of MAX_TURN_DEG
FALSE_CANDIDATES = 0.05  # per image: laying a pair upon each other takes some milliseconds
MAX_COMPARED = 60_000  # pairs in all: as long as MAX_COMPARED of whole images take
MAX_BITS = 66  # of 256 by which a copy differs at its nearest marks: at most 62 of 520 copies of real faces did
NUM_BANDS = 24  # fewer than for whole images, since a copy agrees at several marks
MIN_SIMILARITY = 0.88  # of a copy: other images of a person in one scene reach 0.86
BLUR_PX = 0.8  # before sampling, against aliasing
# Around a pair of marks: what lies between two steps, and half a step of zoom.
FINER = tuple((turn, zoom) for turn in (-4.0, -2.0, 0.0, 2.0, 4.0) for zoom in (0.96, 1.0, 1.04))


def hash_marks(thumb: np.ndarray) -> np.ndarray:
    """uint64 (len(MARKS), 2, 4): hashes of a grey thumbnail uint8 (CLOSE_PX, CLOSE_PX) at each mark, and mirrored."""
    smooth = cv2.GaussianBlur(thumb, (0, 0), BLUR_PX)
    return hash_thumbs(np.stack([cut_middle(smooth, turn, zoom, THUMB_PX) for turn, zoom in MARKS]))


def cut_middle(image: np.ndarray, turn_deg: float, zoom: float, size_px: int) -> np.ndarray:
    """The middle of a square image, turned and zoomed, as (size_px, size_px)."""
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), turn_deg, zoom * size_px / (MIDDLE * side))
    matrix[:, 2] += (size_px - side) / 2
    return cv2.warpAffine(image, matrix, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE)


def find_turned_copies(
    hashes: np.ndarray, load_thumbs: Callable[[Sequence[int]], np.ndarray], rng: np.random.Generator, workers: int = 1
) -> tuple[np.ndarray, dict[str, int]]:
    """Pairs of images, int64 (m, 3) i < j and whether j is mirrored, of which one is a turned or zoomed copy.

    `hashes` uint64 (n, len(MARKS), 2, 4); `load_thumbs` as for `compare_turned`. And what was done (JSON): pairs,
    threshold_bits, candidates, left_out (candidates that were not compared, see near_duplicates.keep_nearest).
    """
    flat = hashes.reshape(-1, *hashes.shape[2:])
    threshold = min(calibrate(flat, rng, FALSE_CANDIDATES / len(MARKS), len(MARKS)).threshold_bits, MAX_BITS)
    rows = find_candidates(flat, threshold, rng, marks=len(MARKS), num_bands=NUM_BANDS)
    pairs, bits = nearest_marks(rows, hashes)
    near = keep_nearest(pairs, bits, len(hashes), MAX_COMPARED)
    chosen = pairs[near]
    taken = chosen[compare_turned(chosen, load_thumbs, workers) >= MIN_SIMILARITY][:, :3]
    return taken, {
        "pairs": len(taken), "threshold_bits": threshold, "candidates": len(chosen), "left_out": int((~near).sum()),
    }  # fmt: skip


def nearest_marks(rows: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of images from pairs of rows (m, 3) of marks, and the distance of each in bits.

    `hashes` uint64 (n, len(MARKS), 2, 4); a row is image * len(MARKS) + mark. Of several pairs of marks of two images
    the nearest stays: int64 (k, 5) of images i < j, whether j is mirrored, and the mark of each.
    """
    size = len(MARKS)
    one, mark = np.divmod(rows[:, 0], size)
    other, other_mark = np.divmod(rows[:, 1], size)
    pairs = np.stack([one, other, rows[:, 2], mark, other_mark], axis=1)[one != other]
    bits = hash_distance(hashes[pairs[:, 0], pairs[:, 3], 0], hashes[pairs[:, 1], pairs[:, 4], pairs[:, 2]])
    order = np.lexsort((bits, pairs[:, 1], pairs[:, 0]))
    pairs, bits = pairs[order], bits[order]
    first = np.ones(len(pairs), bool)
    first[1:] = (np.diff(pairs[:, :2], axis=0) != 0).any(axis=1)
    return pairs[first], bits[first]


def compare_turned(
    pairs: np.ndarray, load_thumbs: Callable[[Sequence[int]], np.ndarray], workers: int = 1
) -> np.ndarray:
    """Similarity of fine structure, float32 (m,), of pairs (i, j, mirrored, marks) laid upon each other as best may be.

    `load_thumbs` gives the grey thumbnails, uint8 (k, CLOSE_PX, CLOSE_PX).
    """

    def compare(block: np.ndarray) -> np.ndarray:
        images, places = np.unique(block[:, :2], return_inverse=True)
        thumbs = load_thumbs(images.tolist())
        similarities = np.empty(len(block), np.float32)
        for number, ((one, other), (_, _, mirrored, mark, other_mark)) in enumerate(
            zip(places.reshape(-1, 2), block.tolist(), strict=True)
        ):
            turn, zoom = MARKS[other_mark]
            theirs = [cut_middle(thumbs[other], turn + more, zoom * times, CLOSE_PX) for more, times in FINER]
            ours = cut_middle(thumbs[one], *MARKS[mark], CLOSE_PX)
            fine = fine_structure(np.stack([ours, *(each[:, ::-1] if mirrored else each for each in theirs)]))
            similarities[number] = max(correlate(fine[0], np.ascontiguousarray(each)) for each in fine[1:])
        return similarities

    blocks = (pairs[start : start + CLOSE_BLOCK] for start in range(0, len(pairs), CLOSE_BLOCK))
    return np.concatenate([np.zeros(0, np.float32), *map_ahead(compare, blocks, workers)])
