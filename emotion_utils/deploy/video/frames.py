"""The frames of a video as a viewer shows them: upright, with square pixels, each with its true time. No torch."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np

from emotion_utils.deploy.decoding import decode_image
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.printable import count_of
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.trees import read_file

if TYPE_CHECKING:
    import av

LARGEST_PX = 1920  # longer side of a frame that is held; of larger ones a smaller copy is, so that memory stays bounded
NEARLY_SQUARE = 0.01  # pixels whose sides differ by no more are taken for square
SHORT_BY_S, SHORT_BY_SHARE = 0.5, 0.01  # of its length, which a file lacks at its end: the sound may last longer
NUMBER = re.compile(r"(\d+)\D*$")  # the last one in a file's name
WIDE_RANGE = {16: "PQ", 18: "HLG"}  # transfer characteristics (ITU-T H.273) of HDR


@dataclass(frozen=True)
class Frame:
    """One picture of a video."""

    number: int  # from 0, in the order in which they are shown
    time_s: float  # since the first one
    image: np.ndarray  # uint8 (H, W, 3) RGB, of at most LARGEST_PX
    scale: float = 1.0  # a pixel of the video, as it is shown, is so many of `image`


class Frames(Protocol):
    """An open video."""

    total: int  # frames that there will be; 0: not known
    notes: list[str]  # what a reader of the results should know; complete after the last frame
    is_live: bool  # what comes next is not known

    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """Ends what is live."""


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


# -- files -----------------------------------------------------------------------------------------


@dataclass
class FileFrames:
    """Frames of a file that FFmpeg reads. Raises InputError where it has none that can be decoded."""

    path: Path
    total: int = 0
    notes: list[str] = field(default_factory=list)
    is_live: bool = False

    def __post_init__(self) -> None:
        with _open_container(self.path) as container:
            stream = container.streams.video[0]
            self.total = stream.frames
            self._length_s = float(container.duration / import_av().time_base) if container.duration else 0.0
            if name := WIDE_RANGE.get(int(stream.codec_context.color_trc or 0)):
                self.notes.append(f"its colours are of high dynamic range ({name}) and are read as if they were not")

    def __iter__(self) -> Iterator[Frame]:
        return self._read()

    def seek(self, time_s: float) -> Iterator[Frame]:
        """Frames from some time before `time_s` on; their numbers mean nothing."""
        return self._read(time_s)

    def stop(self) -> None:
        """Nothing is live."""

    def _read(self, from_s: float = 0.0) -> Iterator[Frame]:
        first, numbers, damaged = None, count(), 0
        with _open_container(self.path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if from_s and stream.start_time is not None:
                first = float(stream.start_time * stream.time_base)
                container.seek(stream.start_time + int(from_s / stream.time_base), stream=stream)
            upright = _Upright(stream.sample_aspect_ratio)
            last_time = -1.0
            for frame, faults in _decode(container, stream):
                damaged = faults
                if frame is not None and frame.time is None:
                    raise InputError(
                        f"{self.path}: its frames have no times; put it into a container that gives them, "
                        f"such as: ffmpeg -r 25 -i {self.path.name} -c copy {self.path.stem}.mp4"
                    )
                for shown in upright.deinterlace(frame):
                    first = shown.time if first is None else first
                    time_s = float(shown.time - first)
                    if time_s <= last_time:  # a stamp that was written wrongly: shown at the same moment
                        continue
                    last_time = time_s
                    image, scale = upright.to_rgb(shown)
                    yield Frame(next(numbers), time_s, image, scale)
            if self._length_s - last_time > SHORT_BY_S + SHORT_BY_SHARE * self._length_s:
                self.notes.append(
                    f"it ends after {last_time:.1f} s of the {self._length_s:.1f} s that it names: it may be cut short"
                )
            if damaged:
                self.notes.append(f"{count_of(damaged, 'packet')} could not be decoded: those frames are missing")
            if upright.is_interlaced:
                self.notes.append("it is interlaced; the lines of each frame are joined (yadif)")
        if not from_s and not next(numbers):
            raise InputError(f"{self.path}: no frame of it can be decoded; is the file whole?")


def _open_container(path: Path) -> Any:
    av = import_av()
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not understood"
        raise InputError(f"{path}: cannot be read as a video ({reason}); give a file that a player shows") from None
    if not container.streams.video:
        container.close()
        raise InputError(f"{path}: has no video stream ({count_of(len(container.streams.audio), 'audio stream')})")
    if re.search(r"_pipe$|^image2", container.format.name) or is_image_name(path.name):
        container.close()
        raise InputError(f"{path}: is an image; `emotion predict` reads images")
    return container


def import_av() -> Any:
    """PyAV. Raises InputError where it is missing."""
    try:
        import av
    except ModuleNotFoundError:
        raise InputError("videos need PyAV: pip install 'emotion-utils[video]'") from None
    return av


def _decode(container: Any, stream: Any) -> Iterator[tuple[av.VideoFrame | None, int]]:
    """Each frame, with the number of packets before it that could not be decoded; last (None, all of them)."""
    av, damaged = import_av(), 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):  # the file ends in the middle of something
            packet, damaged = None, damaged + 1
        try:
            frames = stream.decode(packet) if packet is not None else stream.decode(None)
        except av.error.EOFError:
            frames = []
        except av.error.FFmpegError:
            frames, damaged = [], damaged + 1
        yield from ((frame, damaged) for frame in frames)
        if packet is None:
            yield None, damaged
            return


class _Upright:
    """Frames as they are to be looked at: lines joined, turned, with square pixels, no larger than LARGEST_PX."""

    def __init__(self, pixel_shape: Fraction | None) -> None:
        self.is_interlaced = False
        self._stretch = float(pixel_shape or 1) or 1.0
        self._graph: Any = None

    def deinterlace(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """`frame`, or from the first interlaced one on what `yadif` makes of each; None stands for the end."""
        if frame is not None and (frame.interlaced_frame or self.is_interlaced):
            self.is_interlaced = True
            self._graph = self._graph or self._make_graph(frame)
        if self._graph:
            yield from self._through_graph(frame)
        elif frame is not None:
            yield frame

    def to_rgb(self, frame: av.VideoFrame) -> tuple[np.ndarray, float]:
        """uint8 (H, W, 3), and how many of its pixels one shown pixel is."""
        width, height = frame.width, frame.height
        if abs(self._stretch - 1) > NEARLY_SQUARE:
            width, height = (round(width * self._stretch), height) if self._stretch > 1 else (
                width, round(height / self._stretch)
            )  # fmt: skip
        scale = min(1.0, LARGEST_PX / max(width, height))
        size = {"width": max(1, round(scale * width)), "height": max(1, round(scale * height))}
        image = frame.reformat(**size, format="rgb24", interpolation="AREA" if scale < 1 else "BILINEAR").to_ndarray()
        quarters = round(frame.rotation / 90) % 4  # counter-clockwise, as the file asks for
        return np.ascontiguousarray(np.rot90(image, quarters)), scale

    def _make_graph(self, frame: av.VideoFrame) -> Any:
        graph = import_av().filter.Graph()
        buffer = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        graph.link_nodes(buffer, graph.add("yadif", "deint=interlaced"), graph.add("buffersink")).configure()
        return graph

    def _through_graph(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        av = import_av()
        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


# -- folders of images -----------------------------------------------------------------------------


class ImageFrames:
    """Images named by their numbers, so many a second; a number that is missing is a moment without an image."""

    def __init__(self, folder: Path, fps: float | None) -> None:
        found = [entry for entry in folder.iterdir() if is_image_name(entry.name) and not entry.is_dir()]
        names = sorted(entry.name for entry in found if entry.is_file())
        others = sorted(entry.name for entry in found if not entry.is_file())
        if not names:
            raise InputError(f"{folder}: holds no images; give a folder of numbered images, or a video file")
        if fps is None:
            raise InputError(f"{folder}: images have no times; say how many of them a second there are: --fps 25")
        self.folder, self.fps, self.total = folder, fps, len(names)
        self.notes: list[str] = []
        if others:
            names_of = count_of(len(others), "name")
            self.notes.append(f"{names_of} of no file left out (pipe, device, link to nothing), such as {others[0]}")
        self.is_live = False
        self._named = sorted((_find_number(folder, name), name) for name in names)
        numbers = [number for number, _ in self._named]
        if twice := next((number for number, after in pairwise(numbers) if number == after), None):
            raise InputError(f"{folder}: two images have the number {twice}; which of them comes first?")

    def seek(self, time_s: float) -> Iterator[Frame]:
        return iter(self)

    def stop(self) -> None:
        """Nothing is live."""

    def __iter__(self) -> Iterator[Frame]:
        first, size, left_out = self._named[0][0], None, []
        for number, name in self._named:
            try:
                image = decode_image(read_file(self.folder / name)).rgb
            except ImageFault as fault:
                left_out.append(f"{name}: {fault}")
                continue
            size = size or image.shape
            if image.shape != size:
                left_out.append(f"{name}: is of another size than the first one")
                continue
            image, scale = shrink(image)
            yield Frame(number - first, (number - first) / self.fps, image, scale)
        if size is None:
            raise InputError(f"{self.folder}: none of its {count_of(self.total, 'image')} can be used: {left_out[0]}")
        if left_out:
            self.notes.append(f"{count_of(len(left_out), 'image')} left out, such as {left_out[0]}")


def _find_number(folder: Path, name: str) -> int:
    found = NUMBER.search(Path(name).stem)
    if found is None:
        raise InputError(f"{folder / name}: has no number in its name; number the images in the order of time")
    return int(found[1])


def shrink(image: np.ndarray) -> tuple[np.ndarray, float]:
    """uint8 (H, W, 3) of at most LARGEST_PX, and how many of its pixels one of `image` is."""
    scale = min(1.0, LARGEST_PX / max(image.shape[:2]))
    if scale == 1:
        return image, scale
    size = [max(1, round(scale * side)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale


# -- cameras ---------------------------------------------------------------------------------------


class CameraFrames:
    """What camera `number` sees, until it is stopped. Raises InputError where there is none."""

    def __init__(self, number: int) -> None:
        self._camera = cv2.VideoCapture(number)
        if not self._camera.isOpened():
            raise InputError(f"camera {number}: cannot be opened; is it there, and is no other program using it?")
        self.total, self.is_live = 0, True
        self.notes: list[str] = []
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


def read_frame(source: str | Path, number: int, time_s: float, *, fps: float | None = None) -> Frame | None:
    """One frame of what `open_frames` has read, by its number and time; None where it cannot be read again."""
    path = expand(source)
    if not path.exists():
        return None  # a camera
    frames = FileFrames(path) if path.is_file() else ImageFrames(path, fps)
    return next((frame for frame in frames.seek(time_s) if frame.time_s >= time_s - 1e-4), None)
