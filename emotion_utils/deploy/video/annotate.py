"""A copy of a video with boxes, track numbers and labels; its sound is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from emotion_utils.deploy.video.frames import Frame, import_av, open_frames
from emotion_utils.deploy.video.timeline import COLOURS
from emotion_utils.files import replacing
from emotion_utils.progress import Progress

TIME_BASE = Fraction(1, 90_000)  # divides the frame times of film and television
IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")  # sound that is taken over as it is; other is made AAC
KEPT_S = 0.5  # a box stays so long on frames that were not analysed


def annotate_video(
    source: str, table: Path, target: Path, class_names: Sequence[str], *, fps: float | None = None,
    progress: Progress | None = None,
) -> None:  # fmt: skip
    """Writes the MP4 `target` with what `table` says of each frame. Times of frames and sound stay as they are."""
    av, frames = import_av(), open_frames(source, fps=fps)
    rows = _rows_by_frame(table)
    with replacing(target) as path, av.open(str(path), "w", format="mp4") as container:
        video, first_s = None, 0.0
        sound = _Sound(source, container) if Path(source).is_file() else None
        faces: list[Mapping[str, Any]] = []
        said_s = 0.0
        for done, frame in enumerate(frames, start=1):
            image = np.ascontiguousarray(frame.image[: frame.image.shape[0] // 2 * 2, : frame.image.shape[1] // 2 * 2])
            if video is None:
                video = _add_video(container, image)
                if sound:
                    sound.add_stream()
            if frame.number in rows:
                faces, said_s = rows.pop(frame.number), frame.time_s
            if frame.time_s - said_s <= KEPT_S:
                _draw(image, faces, frame, class_names)
            drawn = av.VideoFrame.from_ndarray(image, format="rgb24")
            drawn.pts, drawn.time_base = round(frame.time_s / TIME_BASE), TIME_BASE
            container.mux(video.encode(drawn))
            if sound:
                sound.copy_until(frame.time_s + first_s)
            if progress:
                progress(done, frames.total)
        if video is not None:
            container.mux(video.encode(None))
        if sound:
            sound.copy_until(np.inf)


def _rows_by_frame(table: Path) -> dict[int, list[dict[str, Any]]]:
    columns = ["frame", "track", "left", "top", "width", "height", "found", "predicted", "confidence"]
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in pd.read_csv(table, usecols=columns).to_dict("records"):
        rows.setdefault(int(row["frame"]), []).extend([row] if row["found"] else [])
    return rows


def _add_video(container: Any, image: np.ndarray) -> Any:
    video = container.add_stream("libx264", rate=30, options={"crf": "20", "preset": "veryfast"})
    video.height, video.width = image.shape[:2]
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
    scale = 0.25 * thick + 0.1
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    left = max(0, min(left, image.shape[1] - width))
    bottom = max(height + below, bottom)
    cv2.rectangle(image, (left, bottom - height - below), (left + width, bottom + below), rgb, -1)
    white_on_it = np.dot(rgb, (0.299, 0.587, 0.114)) < 140
    ink = (255, 255, 255) if white_on_it else (0, 0, 0)
    cv2.putText(image, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)


class _Sound:
    """The first audio stream of a file, on its way into another."""

    def __init__(self, source: str, target: Any) -> None:
        self._av, self._target = import_av(), target
        self._container = self._av.open(source)
        self._streams = self._container.streams.audio
        self._held: list[Any] = []

    def add_stream(self) -> None:
        if not self._streams:
            return
        stream = self._streams[0]
        start = self._container.streams.video[0]
        self._start_s = float((start.start_time or 0) * start.time_base)
        self._is_copied = stream.codec_context.name in IN_MP4
        self._out = (
            self._target.add_stream_from_template(stream)
            if self._is_copied
            else self._target.add_stream("aac", rate=stream.codec_context.sample_rate)
        )
        self._packets = self._encode(stream)

    def copy_until(self, time_s: float) -> None:
        """Takes over what is heard until `time_s` after the first frame."""
        while self._streams:
            packet = self._held.pop() if self._held else next(self._packets, None)
            if packet is None:
                return
            if packet.pts is not None and float(packet.pts * packet.time_base) > time_s:
                self._held.append(packet)
                return
            self._target.mux(packet)

    def _encode(self, stream: Any) -> Iterator[Any]:
        """Packets of the new stream, with times since the first frame of the video."""
        shift = round(self._start_s / stream.time_base)
        try:
            for packet in self._container.demux(stream):
                if self._is_copied:
                    if packet.dts is None or packet.pts - shift < 0:
                        continue
                    packet.stream, packet.pts, packet.dts = self._out, packet.pts - shift, packet.dts - shift
                    yield packet
                    continue
                for frame in packet.decode():
                    frame.pts = None if frame.pts is None else frame.pts - shift
                    yield from self._out.encode(frame)
        except (self._av.error.FFmpegError, OSError):  # cut short: what there is is kept
            pass
        if not self._is_copied:
            yield from self._out.encode(None)
