"""The frames of a video as a viewer shows them: upright, with square pixels, each with its true time. No torch."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import cv2

from emotion_utils.deploy.video.file_frames import FileFrames
from emotion_utils.deploy.video.frame import Frame, Frames, Jump, shrink
from emotion_utils.deploy.video.image_frames import ImageFrames
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.sources.files import is_image_name

PIECES, PIECE_BYTES = 64, 1 << 20  # of a file, spread over it, by which it is known again
SAME_TIME_S = 2e-6  # times are written to the microsecond


def open_frames(source: str | Path, *, fps: float | None = None) -> Frames:
    """The frames of a video file, of a folder of numbered images with `fps` frames a second, or of camera `source`.

    Raises InputError for what is none of them, and for a folder without `fps`.
    """
    path = expand(source)
    if fps is not None and not 0 < fps <= 1000:
        raise InputError(f"--fps {fps:g}: a video has more than 0 and at most 1,000 frames a second")
    if re.fullmatch(r"\d{1,3}", str(source)) and not path.exists():
        return CameraFrames(int(str(source)))
    if path.is_dir():
        return ImageFrames(path, fps)
    if not path.exists():
        raise InputError(f"{source}: there is no such file or folder; check the path (a camera is a number, such as 0)")
    if not path.is_file():
        raise InputError(f"{source}: is a device or a pipe; give a video file, or the number of a camera, such as 0")
    if fps is not None:
        raise InputError(f"--fps is for folders of images: {source} has times of its own")
    return FileFrames(path)


def fingerprint(source: str | Path) -> str | None:
    """What tells a file from others of its name and size, and a folder from others of its name; None for a camera.

    Of a file it is made of PIECES, which is all of it up to 64 MiB; of a folder, of the names, sizes and times of its
    images.
    """
    path, digest = expand(source), hashlib.sha256()
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if is_image_name(entry.name) and entry.is_file():
                digest.update(
                    f"{entry.name}\0{entry.stat().st_size}\0{entry.stat().st_mtime_ns}\0".encode(errors="replace")
                )
    elif path.exists():
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            for piece in range(PIECES):
                file.seek(max(piece * PIECE_BYTES, piece * (size - PIECE_BYTES) // (PIECES - 1)))
                digest.update(file.read(PIECE_BYTES))
    else:
        return None
    return digest.hexdigest()


def read_again(
    source: str | Path, wanted: Mapping[int, float], *, fps: float | None = None, seeks: bool = True
) -> Iterator[tuple[int, Frame]]:
    """Frames of what `open_frames` has read: `wanted` gives the time of each number. A camera gives none of them.

    Not by `seeks` where the times of the file jump: there all frames up to the last wanted one are read.
    """
    path, missing = expand(source), dict(wanted)
    if not path.exists():
        return
    frames = FileFrames(path) if path.is_file() else ImageFrames(path, fps)
    for number, time_s in wanted.items() if seeks else ():
        frame = next((frame for frame in frames.seek(time_s) if frame.time_s >= time_s - SAME_TIME_S), None)
        if frame is not None and abs(frame.time_s - time_s) <= SAME_TIME_S:
            del missing[number]
            yield number, frame
    for frame in frames if missing else ():
        if frame.number in missing:
            del missing[frame.number]
            yield frame.number, frame
        if not missing:
            return


class CameraFrames:
    """What camera `number` sees, until it is stopped. Raises InputError where there is none."""

    def __init__(self, number: int) -> None:
        self._camera = cv2.VideoCapture(number)
        if not self._camera.isOpened():
            raise InputError(f"camera {number}: cannot be opened; is it there, and is no other program using it?")
        self.total, self.step_s, self.is_live = 0, 0.0, True
        self.notes: list[str] = []
        self.jumps: list[Jump] = []
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[Frame]:
        start = None
        try:
            for number in count():
                seen, bgr = self._camera.read()
                if not seen or self._stopped.is_set():
                    return
                now = time.monotonic()
                start = now if start is None else start
                image, scale = shrink(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
                yield Frame(number, now - start, image, scale)
        finally:
            self._camera.release()
