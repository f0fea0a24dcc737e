"""Faces followed from frame to frame: searched every few frames, carried along by optical flow in between. No torch.

A track is a face that is seen without a longer gap. Nothing of what it looks like is kept, so that whoever leaves and
comes back is a new track.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from emotion_utils.audit.face_detectors import Box, get_detector
from emotion_utils.audit.faces import SEARCH_PX, search_copy
from emotion_utils.deploy.video.frame import Frame

SEARCH_S = 0.2  # between two searches
WIDE_SEARCH_S = 1.0  # between two searches that see faces of half the size too
WIDE_SEARCH_PX = 2 * SEARCH_PX
FOLLOW_S = 1.0  # a face that is carried along so long without being found again is given up ...
NEW_FOLLOW_S = 0.45  # ... earlier where it was found only once: most false alarms are
GAP_S = 0.7  # a face that was lost and is found near its last place within this time keeps its track
SAME_OVERLAP = 0.25  # intersection over union from which on a face that is found may be one that is followed
COVERING_OVERLAP = 0.12  # likewise, from which on two faces may be mistaken for each other
FLOW_PX = 480  # longer side of the grey copy in which faces are followed
FLOW_POINTS = 7  # a side of the grid of points
FLOW_ERROR_PX = 1.0  # of a point that is followed forward and back again
FLOW_SHARE = 0.35  # of the points that must be followed
FLOW_CORRELATION = 0.6  # of the face before and after: less where it has left or something covers it
PATCH_PX = 24
EMPTY = np.zeros((PATCH_PX, PATCH_PX))
CUT_DIFFERENCE, CUT_CORRELATION = 16.0, 0.5  # of thumbnails of 0-255, beyond both of which a new scene begins
THUMBNAIL_PX = (32, 18)
LONG_AGO_S = -1e9
WEIGHT_OF_FOUND = 0.6  # of a box that was found, beside the one that was followed: cascades jitter by a few per cent

FloatBox = tuple[float, float, float, float]  # left, top, width, height


@dataclass
class Track:
    """A face on its way, in pixels of the frames that are held."""

    number: int
    box: FloatBox
    found_s: float  # when it was last found by a search
    seen_s: float  # when it was last found or followed
    times_found: int = 1

    def is_over(self, time_s: float) -> bool:
        follow_s = FOLLOW_S if self.times_found > 1 else NEW_FOLLOW_S
        return time_s - self.found_s > follow_s or time_s - self.seen_s > GAP_S


@dataclass(frozen=True)
class Seen:
    """A face in a frame."""

    track: int
    box: Box  # in whole pixels of the frame


class Tracker:
    """Follows faces through the frames that it is given, one after the other."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []
        self._next = 1
        self._searched_s = self._wide_s = LONG_AGO_S
        self._grey: np.ndarray | None = None  # the newest frame ...
        self._shape: tuple[int, ...] = ()  # ... its size ...
        self._now_s = 0.0  # ... and its time
        self.covering: set[tuple[int, int]] = set()  # pairs of tracks whose faces overlap in the newest frame
        self.is_cut = False  # whether the newest frame begins a new scene

    def see(self, frame: Frame) -> list[Seen]:
        """The faces in `frame`, by their tracks."""
        grey = search_copy(frame.image, FLOW_PX)
        self.is_cut = self._grey is not None and (
            frame.image.shape != self._shape or _is_cut(self._grey, grey)  # boxes of another size mean nothing
        )
        if self.is_cut:
            self._tracks.clear()
            self._searched_s = self._wide_s = LONG_AGO_S
        elif self._grey is not None:
            self._follow(grey, frame)
        self._grey, self._shape, self._now_s = grey, frame.image.shape, frame.time_s
        if frame.time_s - self._searched_s >= SEARCH_S - 1e-6:
            self._search(frame)
        self._tracks = [track for track in self._tracks if not track.is_over(frame.time_s)]
        now = [track for track in self._tracks if track.seen_s == frame.time_s]
        self.covering = {
            (one.number, other.number)
            for place, one in enumerate(now)
            for other in now[place + 1 :]
            if _overlap(one.box, other.box) >= COVERING_OVERLAP
        }
        return [Seen(track.number, Box(*map(round, track.box))) for track in now]

    def state(self) -> dict[str, Any]:
        """What `restore` needs beside the frame before the next one."""
        return {
            "tracks": [asdict(track) for track in self._tracks],
            "next": self._next,
            "searched_s": self._searched_s,
            "wide_s": self._wide_s,
        }

    def restore(self, state: dict[str, Any], before: Frame) -> None:
        """Goes on after the frame `before` as the tracker whose state it is would."""
        self._tracks = [Track(**{**track, "box": tuple(track["box"])}) for track in state["tracks"]]
        self._next, self._searched_s, self._wide_s = state["next"], state["searched_s"], state["wide_s"]
        self._grey, self._shape = search_copy(before.image, FLOW_PX), before.image.shape
        self._now_s = before.time_s

    def _follow(self, grey: np.ndarray, frame: Frame) -> None:
        scale = max(grey.shape) / max(frame.image.shape[:2])
        for track in (each for each in self._tracks if each.seen_s == self._now_s):  # the lost ones have to be found
            moved = _flow(self._grey, grey, tuple(scale * value for value in track.box))
            if moved is not None and _is_inside(moved, grey.shape):
                track.box = tuple(value / scale for value in moved)
                track.seen_s = frame.time_s

    def _search(self, frame: Frame) -> None:
        self._searched_s, size_px = frame.time_s, SEARCH_PX
        if frame.time_s - self._wide_s >= WIDE_SEARCH_S - 1e-6:
            self._wide_s, size_px = frame.time_s, WIDE_SEARCH_PX
        found = _find(frame.image, size_px)
        overlaps = np.array([[_overlap(track.box, box) for box in found] for track in self._tracks])
        pairs = zip(*linear_sum_assignment(-overlaps), strict=True) if overlaps.size else ()
        taken = set()
        for row, column in pairs:
            if overlaps[row, column] >= SAME_OVERLAP:
                self._meet(self._tracks[row], found[column], frame.time_s)
                taken.add(column)
        known = [track.box for track in self._tracks]
        for column, box in enumerate(found):
            if column not in taken and not any(_overlap(box, other) >= SAME_OVERLAP for other in known):
                self._tracks.append(Track(self._next, box, frame.time_s, frame.time_s))
                self._next += 1

    @staticmethod
    def _meet(track: Track, box: FloatBox, time_s: float) -> None:
        if track.seen_s == time_s:
            blended = WEIGHT_OF_FOUND * np.array(box) + (1 - WEIGHT_OF_FOUND) * np.array(track.box)
            box = tuple(map(float, blended))
        track.box, track.found_s, track.seen_s = box, time_s, time_s
        track.times_found += 1


def _find(image: np.ndarray, size_px: int) -> list[FloatBox]:
    """Faces in a copy of `image` of that longer side, in pixels of `image`."""
    grey = search_copy(image, size_px)
    scale = max(grey.shape) / max(image.shape[:2])
    least = max(24, round(24 * max(grey.shape) / size_px))
    return [tuple(value / scale for value in box) for box in get_detector().find(grey, least)]


def _flow(before: np.ndarray, after: np.ndarray, box: FloatBox) -> FloatBox | None:
    """Where a box of the grey image `before` is in `after` (median flow: Kalal, Mikolajczyk and Matas 2010)."""
    left, top, width, height = box
    steps = (np.arange(FLOW_POINTS) + 0.5) / FLOW_POINTS
    across, down = np.meshgrid(left + width * (0.1 + 0.8 * steps), top + height * (0.1 + 0.8 * steps))
    points = np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)[:, None]
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, None, winSize=(15, 15), maxLevel=3)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, winSize=(15, 15), maxLevel=3)
    errors = np.linalg.norm(points - back, axis=2).ravel()
    kept = (found.ravel() == 1) & (found_back.ravel() == 1) & (errors < FLOW_ERROR_PX)
    if kept.mean() < FLOW_SHARE:
        return None
    old, new = points[kept, 0], there[kept, 0]
    shift = np.median(new - old, axis=0)
    spans = np.linalg.norm(old[:, None] - old[None], axis=2), np.linalg.norm(new[:, None] - new[None], axis=2)
    apart = spans[0] > 0.2 * width
    growth = float(np.clip(np.median(spans[1][apart] / spans[0][apart]), 0.9, 1.1)) if apart.any() else 1.0
    middle = left + width / 2 + float(shift[0]), top + height / 2 + float(shift[1])
    moved = middle[0] - growth * width / 2, middle[1] - growth * height / 2, growth * width, growth * height
    return moved if _correlate(_cut(before, box), _cut(after, moved)) >= FLOW_CORRELATION else None


def _cut(grey: np.ndarray, box: FloatBox) -> np.ndarray:
    """The box of a grey image, float64 (PATCH_PX, PATCH_PX); what is beyond the image is left out."""
    left, top, width, height = box
    rows = slice(max(0, round(top)), max(0, round(top + height)))
    columns = slice(max(0, round(left)), max(0, round(left + width)))
    patch = grey[rows, columns]
    return cv2.resize(patch, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA).astype(float) if patch.size else EMPTY


def _correlate(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation, 0 where one of them is constant."""
    one, other = one - one.mean(), other - other.mean()
    spread = np.sqrt((one**2).mean() * (other**2).mean())
    return float((one * other).mean() / spread) if spread else 0.0


def _is_inside(box: FloatBox, shape: tuple[int, ...]) -> bool:
    """Whether the middle of the box is in the image."""
    across, down = box[0] + box[2] / 2, box[1] + box[3] / 2
    return 0 <= across < shape[1] and 0 <= down < shape[0]


def _is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    small = [cv2.resize(grey, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(float) for grey in (before, after)]
    if np.abs(small[0] - small[1]).mean() < CUT_DIFFERENCE:
        return False
    return _correlate(*small) < CUT_CORRELATION


def _overlap(one: FloatBox, other: FloatBox) -> float:
    """Intersection over union, 0-1."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)
