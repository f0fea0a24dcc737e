"""A copy of a video with boxes, track numbers and labels; its sound is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from emotion_utils.deploy.video.containers import import_av, open_av
from emotion_utils.deploy.video.frame import Frame
from emotion_utils.deploy.video.frames import open_frames
from emotion_utils.deploy.video.sound import Sound
from emotion_utils.deploy.video.table import longest_step_s
from emotion_utils.deploy.video.timeline import COLOURS
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import replacing
from emotion_utils.progress import Progress

TIME_BASE = Fraction(1, 90_000)  # divides the frame times of film and television
LONGEST_TICKS = 6 * 3600 * 90_000  # from one frame to the next: MP4 counts in 31 bits
SPARSE_S = 1800.0  # a longer step from frame to frame leaves no room for frames that are encoded out of their order
KEPT_S = 0.5  # a box stays so long on frames that were not analysed, where these are not further apart


def annotate_video(
    source: str, rows: pd.DataFrame, target: Path, class_names: Sequence[str], *, fps: float | None = None,
    jumps: Sequence[Mapping[str, float]] = (), progress: Progress | None = None,
) -> list[str]:  # fmt: skip
    """Writes the MP4 `target` with what `rows` say of each frame; gives notes on what it does not hold.

    Times of frames and sound are those of the rows. `jumps` are those of the summary, which the sound makes too.
    Raises InputError where no such copy can be written.
    """
    av = import_av()
    reason = None
    for has_sound in [True, False] if Path(source).is_file() else [False]:
        try:
            notes = _write_copy(source, rows, target, class_names, fps, jumps if has_sound else None, progress)
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, EmotionError) or not (has_sound or isinstance(error, av.error.FFmpegError)):
                raise
            reason = reason or getattr(error, "strerror", None) or str(error)
        else:
            return [*notes, f"the copy has no sound: MP4 does not take it ({reason})"] if reason else notes
    raise InputError(f"{target}: cannot be written ({reason}); leave out --annotate")


def _write_copy(
    source: str, rows: pd.DataFrame, target: Path, class_names: Sequence[str], fps: float | None,
    jumps: Sequence[Mapping[str, float]] | None, progress: Progress | None,
) -> list[str]:  # fmt: skip
    """The copy, with sound unless `jumps` is None."""
    av, frames = import_av(), open_frames(source, fps=fps)
    kept_s, faces_of = longest_step_s(rows, KEPT_S), _faces_by_frame(rows)
    with replacing(target) as path, open_av(path, "w", format="mp4") as container:
        video, sound, notes = None, None, []
        faces: list[Mapping[str, Any]] = []
        said_s, pts, lead = 0.0, -1, 0
        for done, frame in enumerate(frames, start=1):
            if frame.number in faces_of:
                faces, said_s = faces_of.pop(frame.number), frame.time_s
            image = frame.image.copy()
            if frame.time_s - said_s <= kept_s:
                _draw(image, faces, frame, class_names)
            if video is None:
                video = _add_video(container, image, is_sparse=rows["time_s"].diff().max() > SPARSE_S)
                sound = None if jumps is None else Sound(source, container, frames.first_s, jumps)
            due = round(frame.time_s / TIME_BASE) - lead
            if pts >= 0 and due - pts > LONGEST_TICKS:
                notes = ["frames that are more than 6 hours apart are closer together in the copy"]
                lead += due - pts - LONGEST_TICKS
                due = pts + LONGEST_TICKS
            pts = max(pts + 1, due)  # two frames of the same moment are two
            drawn = av.VideoFrame.from_ndarray(_fit(image, video.height, video.width), format="rgb24")
            drawn.pts, drawn.time_base = pts, TIME_BASE
            container.mux(video.encode(drawn))
            if sound:
                sound.copy_until(frame.time_s)
            if progress:
                progress(done, frames.total)
        container.mux(video.encode(None))
        if sound:
            sound.copy_until(np.inf)
            notes += sound.notes()
    return notes


def _faces_by_frame(rows: pd.DataFrame) -> dict[int, list[dict[str, Any]]]:
    columns = ["frame", "track", "left", "top", "width", "height", "found", "predicted", "confidence"]
    faces: dict[int, list[dict[str, Any]]] = {}
    for row in rows[columns].to_dict("records"):
        faces.setdefault(int(row["frame"]), []).extend([row] if row["found"] else [])
    return faces


def _add_video(container: Any, image: np.ndarray, *, is_sparse: bool) -> Any:
    options = {"crf": "20", "preset": "veryfast"} | ({"bf": "0"} if is_sparse else {})
    video = container.add_stream("libx264", rate=30, options=options)
    video.height, video.width = (max(2, side // 2 * 2) for side in image.shape[:2])
    video.pix_fmt = "yuv420p"
    video.time_base = video.codec_context.time_base = TIME_BASE
    return video


def _draw(image: np.ndarray, faces: Sequence[Mapping[str, Any]], frame: Frame, class_names: Sequence[str]) -> None:
    thick = max(2, round(max(image.shape[:2]) / 400))  # the colours of H.264 are half as wide as its brightness
    for face in faces:
        colour = COLOURS[list(class_names).index(face["predicted"]) % len(COLOURS)]
        rgb = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
        left, top, width, height = (round(frame.scale * face[side]) for side in ("left", "top", "width", "height"))
        cv2.rectangle(image, (left, top), (left + width, top + height), rgb, thick)
        text = f"{int(face['track'])} {face['predicted']} {100 * face['confidence']:.0f}%"
        _write(image, text.encode("ascii", "replace").decode(), left, top - 4 * thick, rgb, thick)


def _write(image: np.ndarray, text: str, left: int, bottom: int, rgb: tuple[int, ...], thick: int) -> None:
    scale, stroke = 0.25 * thick + 0.1, max(1, round(thick / 2))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
    width += 2 * thick
    left = max(0, min(left, image.shape[1] - width))
    bottom = max(height + below, bottom)
    cv2.rectangle(image, (left, bottom - height - below), (left + width, bottom + below), rgb, -1)
    cv2.putText(
        image, text, (left + thick, bottom), cv2.FONT_HERSHEY_SIMPLEX, scale, ink_on(rgb), stroke, cv2.LINE_AA
    )  # fmt: skip


def ink_on(rgb: tuple[int, ...]) -> tuple[int, int, int]:
    """White or black, whichever stands out more from a colour of COLOURS."""
    return (255, 255, 255) if np.dot(rgb, (0.299, 0.587, 0.114)) < 100 else (0, 0, 0)


def _fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 (height, width, 3): without a last odd line, and where the size has changed, in the middle of it."""
    if 0 <= image.shape[0] - height <= 1 and 0 <= image.shape[1] - width <= 1:
        return np.ascontiguousarray(image[:height, :width])
    scale = min(height / image.shape[0], width / image.shape[1])
    size = [max(1, round(scale * side)) for side in image.shape[1::-1]]
    fitted = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    fitted[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return fitted
