"""From frames to rows: faces followed, classified a few frames at a time, and smoothed over time. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from emotion_utils.audit.face_detectors import Box
from emotion_utils.audit.faces import cut_square
from emotion_utils.deploy.input_images import is_coloured
from emotion_utils.deploy.network import Network
from emotion_utils.deploy.video.frame import Frame
from emotion_utils.deploy.video.smoothing import Smoother
from emotion_utils.deploy.video.tracks import Seen, Tracker
from emotion_utils.errors import InputError
from emotion_utils.parallel import iterate_ahead
from emotion_utils.store.resize import resize_square

FRAMES_AHEAD = 4  # that wait between two threads: bounds the memory, and is enough to keep both busy
FRAMES_AT_ONCE = 8  # whose faces are classified together
DECIMALS = 6  # of probabilities, as they are written; the smoothed ones are computed from these
Row = dict[str, Any]


@dataclass(frozen=True)
class Chunk:
    """Rows that are ready, and what is needed to go on after them."""

    rows: list[Row]
    frames: int  # analysed so far
    number: int  # of the newest frame
    time_s: float
    covering: list[tuple[float, int, int]] = field(default_factory=list)  # when, and which two tracks
    cuts: list[float] = field(default_factory=list)  # when
    coloured: int = 0  # frames in which faces are in colour,
    grey: int = 0  # and in which they are grey
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tracked:
    number: int
    time_s: float
    seen: list[Seen]
    boxes: list[Box]  # in pixels of the video
    faces: list[np.ndarray]  # uint8 (size_px, size_px, 3)
    covering: set[tuple[int, int]]
    is_cut: bool
    state: dict[str, Any]


def iterate_chunks(
    network: Network, frames: Iterable[Frame], smoother: Smoother, *, every: int = 1, at_once: int = FRAMES_AT_ONCE,
    state: dict[str, Any] | None = None,
) -> Iterator[Chunk]:  # fmt: skip
    """Rows of each `every`th frame, `at_once` frames at a time; the last chunk holds those that waited for more.

    A row has frame, time_s, track, left, top, width, height, found, probs and smoothed (lists of k); of a frame
    without a face there is one, whose track is None. Reading, following and classifying go on at the same time, each
    in a thread of its own. With the `state` of a chunk the work goes on after it, and gives what it would have given.
    """
    if every < 1:
        raise InputError(f"--every {every}: of how many frames one is analysed, 1 or more")
    tracker, count = Tracker(), 0
    number, time_s = -1, 0.0
    if state:
        smoother.restore(state["smoother"])
        count, number = int(state["frames"]), int(state["number"])
    tracked = _track(iterate_ahead(frames, FRAMES_AHEAD), tracker, network.input_spec.size_px, every, state)
    waiting = iterate_ahead(tracked, FRAMES_AHEAD * at_once)
    while group := list(islice(waiting, at_once)):
        rows: list[Row] = []
        for each, probs in zip(group, _classify(network, group), strict=True):
            rows += smoother.add(_make_rows(each, probs), each.time_s)
        colours = [is_coloured(np.stack(each.faces)) for each in group if each.faces]
        count, number, time_s = count + len(group), group[-1].number, group[-1].time_s
        yield Chunk(
            rows, count, number, time_s,
            [(each.time_s, *pair) for each in group for pair in sorted(each.covering)],
            [each.time_s for each in group if each.is_cut],
            sum(colours), len(colours) - sum(colours),
            {"tracker": group[-1].state, "smoother": smoother.state(), "frames": count, "number": number},
        )  # fmt: skip
    yield Chunk(smoother.flush(), count, number, time_s)


def _track(
    frames: Iterable[Frame], tracker: Tracker, size_px: int, every: int, state: dict[str, Any] | None
) -> Iterator[_Tracked]:
    last = int(state["number"]) if state else -1
    for place, frame in enumerate(frames):
        if place % every:
            continue
        if frame.number <= last:
            if frame.number == last:
                tracker.restore(state["tracker"], frame)
            continue
        seen = tracker.see(frame)
        yield _Tracked(
            frame.number, frame.time_s, seen,
            [Box(*(round(value / frame.scale) for value in each.box)) for each in seen],
            [resize_square(cut_square(frame.image, each.box), size_px) for each in seen],
            set(tracker.covering), tracker.is_cut, tracker.state(),
        )  # fmt: skip


def _classify(network: Network, group: Sequence[_Tracked]) -> list[np.ndarray]:
    """Of each frame the probabilities of its faces, float64 (n, k), as they are written."""
    faces = [face for each in group for face in each.faces]
    if not faces:
        return [np.empty((0, len(network.class_names)))] * len(group)
    probs = network.predict(np.stack(faces)).round(DECIMALS)
    return np.split(probs, np.cumsum([len(each.faces) for each in group])[:-1])


def _make_rows(tracked: _Tracked, probs: np.ndarray) -> list[Row]:
    frame = {"frame": tracked.number, "time_s": round(tracked.time_s, 6)}
    if not tracked.seen:
        return [{**frame, "track": None, "found": False}]
    return [
        {**frame, "track": seen.track, **box._asdict(), "found": True, "probs": row.tolist()}
        for seen, box, row in zip(tracked.seen, tracked.boxes, probs, strict=True)
    ]
