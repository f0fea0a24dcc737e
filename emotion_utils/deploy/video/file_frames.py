"""Files that FFmpeg reads, as frames with times that go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emotion_utils.deploy.video.clock import Clock
from emotion_utils.deploy.video.containers import ends_within_packet, import_av, open_container, video_stream
from emotion_utils.deploy.video.frame import Frame, Jump
from emotion_utils.deploy.video.upright import Upright
from emotion_utils.errors import InputError
from emotion_utils.printable import count_of

if TYPE_CHECKING:
    import av

WIDE_RANGE = {16: "PQ", 18: "HLG"}  # transfer characteristics (ITU-T H.273) of HDR
LONGEST_GAP_S = 6 * 3600.0  # between two frames; MP4 holds no longer one
LONGEST_TV_GAP_S = 10.0  # likewise, in formats whose times begin anew where a transmission does
SHORT_BY_S = 0.1  # beyond a frame and a half, which the video lacks at its end
SHORT_BY_SOUND_S, SHORT_BY_SHARE = (
    0.5,
    0.01,
)  # likewise where only the length with the sound is known, which may be longer


@dataclass
class FileFrames:
    """Frames of a file that FFmpeg reads. Raises InputError where it has none that can be decoded."""

    path: Path
    total: int = 0
    step_s: float = 0.0
    notes: list[str] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)
    is_live: bool = False
    first_s: float = 0.0  # when the first frame is shown, as the file gives it; known with it

    def __post_init__(self) -> None:
        with open_container(self.path) as container:
            stream = video_stream(container)
            self.total = stream.frames
            self.step_s = float(1 / stream.average_rate) if stream.average_rate else 0.0
            self._clock_gap_s = LONGEST_TV_GAP_S if _may_begin_anew(container) else LONGEST_GAP_S
            if name := WIDE_RANGE.get(int(stream.codec_context.color_trc or 0)):
                self.notes.append(f"its colours are of high dynamic range ({name}) and are read as if they were not")

    def __iter__(self) -> Iterator[Frame]:
        clock, size, number = Clock(self._clock_gap_s, self.step_s), None, -1
        with open_container(self.path) as container:
            reader = _Reader(container)
            for number, (shown, following) in enumerate(_with_following(iter(reader))):
                given_s, following_s = reader.time_of(shown), following and reader.time_of(following)
                if number == 0 and given_s is None and following_s is None:
                    raise InputError(
                        f"{self.path}: its frames have no times; put it into a container that gives them, "
                        f"such as: ffmpeg -r 25 -i {self.path.name} -c copy {self.path.stem}.mp4"
                    )
                time_s = clock.place(given_s, following_s)
                if number == 0:
                    self.first_s = -clock.shift_s if shown.time is None else shown.time
                image, scale = reader.upright.to_rgb(shown)
                if size is not None and image.shape != size:
                    self._say_once(f"the size of its frames changes (at {time_s:.1f} s): boxes are in pixels of each")
                size = image.shape
                last = shown
                yield Frame(number, time_s, image, scale)
            if number < 0:
                raise InputError(f"{self.path}: no frame of it can be decoded; is the file whole?")
            self.jumps = clock.jumps
            self.notes += clock.notes()
            if last.time is not None and not clock.jumps:
                self.notes += self._tell_ends(container, last)
            self.notes += reader.notes()

    def seek(self, time_s: float) -> Iterator[Frame]:
        """Frames from some time before `time_s` on, by the times of the file; their numbers mean nothing."""
        with open_container(self.path) as container:
            first = next((frame for frame in _Reader(container) if frame.time is not None), None)
        if first is None:
            return
        with open_container(self.path) as container:
            stream = video_stream(container)
            container.seek(int((first.time + time_s) / stream.time_base), stream=stream)
            reader = _Reader(container)
            for shown in reader:
                if shown.time is not None:
                    yield Frame(-1, shown.time - first.time, *reader.upright.to_rgb(shown))

    def stop(self) -> None:
        """Nothing is live."""

    def _say_once(self, note: str) -> None:
        if not any(note.split(" (")[0] in each for each in self.notes):
            self.notes.append(note)

    def _tell_ends(self, container: Any, last: av.VideoFrame) -> Iterator[str]:
        """What the file says of its length and does not hold."""
        stream = video_stream(container)
        step_s = float(last.duration * last.time_base) if last.duration else self.step_s
        began_s = float(stream.start_time * stream.time_base) if stream.start_time is not None else self.first_s
        if self.first_s - began_s > SHORT_BY_S + self.step_s:
            yield f"its first {self.first_s - began_s:.1f} s cannot be decoded: times count from the first whole frame"
        end_s, is_of_video = _find_end(container)
        if end_s is None:
            return
        length_s = end_s - self.first_s
        allowed_s = SHORT_BY_S + 0.5 * self.step_s if is_of_video else SHORT_BY_SOUND_S + SHORT_BY_SHARE * length_s
        if end_s - (last.time + step_s) > allowed_s:
            yield (
                f"it ends after {last.time - self.first_s:.1f} s of the {length_s:.1f} s that it names: "
                "it may be cut short"
            )


class _Reader:
    """The decoded frames of a container, upright; counts what is damaged on the way."""

    def __init__(self, container: Any) -> None:
        self._container, self._stream = container, video_stream(container)
        self._stream.thread_type = "AUTO"
        self.upright = Upright(self._stream.sample_aspect_ratio)
        self.damaged = 0  # packets
        # AVI gives times in the order of decoding; those of frames that are shown in another one are dealt out wrongly.
        self._is_in_order = container.format.name != "avi"
        self._ends_damaged = False

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for frame in self._decode():
            yield from self.upright.deinterlace(frame)
        yield from self.upright.deinterlace(None)

    def time_of(self, frame: av.VideoFrame) -> float | None:
        """Seconds, as the file gives them."""
        if self._is_in_order or self.upright.is_interlaced:
            return frame.time
        return None if frame.dts is None else float(frame.dts * frame.time_base)

    def notes(self) -> Iterator[str]:
        if self.damaged:
            yield f"{count_of(self.damaged, 'packet')} could not be decoded: frames there are missing"
        if self._ends_damaged:
            yield "its last packet is damaged: it may be cut short"
        elif ends_within_packet(self._container):
            yield "it ends in the middle of a packet: it may be cut short"
        if self.upright.is_interlaced:
            yield "it is interlaced; the lines of each frame are joined (yadif)"

    def _decode(self) -> Iterator[av.VideoFrame]:
        av = import_av()
        packets, is_over = self._container.demux(self._stream), False
        while not is_over:
            is_damaged = False
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):  # the file ends in the middle of something
                packet, is_damaged = None, True
            is_over = packet is None
            try:
                yield from self._stream.decode(packet)
            except av.error.EOFError:
                pass
            except av.error.FFmpegError:
                is_damaged = True
            self.damaged += is_damaged
            if packet is not None and packet.size:
                self._ends_damaged = packet.is_corrupt  # where one clip follows another, the first packet is too


def _with_following(frames: Iterator[av.VideoFrame]) -> Iterator[tuple[av.VideoFrame, av.VideoFrame | None]]:
    before = next(frames, None)
    for frame in frames:
        yield before, frame
        before = frame
    if before is not None:
        yield before, None


def _may_begin_anew(container: Any) -> bool:
    return bool(container.format.flags & import_av().format.Flags.ts_discont.value)


def _find_end(container: Any) -> tuple[float | None, bool]:
    """When the video ends by what the file says, None where it says nothing; and whether that is of its video alone."""
    stream, whole_s = video_stream(container), None
    if container.duration:
        whole_s = ((container.start_time or 0) + container.duration) / import_av().time_base
    own_s = _read_duration(stream.metadata.get("DURATION", ""))  # of Matroska
    if stream.duration:
        own_s = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    known = [end_s for end_s in (whole_s, own_s) if end_s]
    return min(known, default=None), own_s is not None or not container.streams.audio


def _read_duration(text: str) -> float | None:
    """Seconds of 00:00:03.960000000."""
    try:
        hours, minutes, seconds = map(float, text.split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds
