"""The sound of a video, on its way into a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from emotion_utils.deploy.video.containers import import_av, open_av, sound_stream
from emotion_utils.printable import count_of

IN_MP4 = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")  # sound that is taken over as it is; other is made AAC
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
OVERLAP_S = 0.2  # a step back of no more leaves out what is heard twice; a longer one is a jump
LONGEST_GAP_S = 6 * 3600.0  # likewise a step ahead, unless the frames make it too
SAME_JUMP_S = 1.0  # sound and frames begin and end a little apart


class Sound:
    """The first audio stream of the file `source` that can be decoded. `target` gets a stream for it at once."""

    def __init__(self, source: str, target: Any, first_s: float, jumps: Sequence[Mapping[str, float]]) -> None:
        """`first_s` is when the first frame is shown, as the file gives it; `jumps` are those of the frames."""
        self._target, self._container = target, open_av(source, metadata_errors="replace")
        self._stream = sound_stream(self._container)
        self._held: list[Any] = []
        self._shift_s, self._jumps = -first_s, list(jumps)
        self._before_s = self._until_s = None  # the newest packet's: as the file gives it, and in the copy
        self._damaged = 0
        self._kind = self._resampler = None
        self._packets: Iterator[Any] = iter(())
        if self._stream is not None:
            self._is_copied = self._stream.codec_context.name in IN_MP4
            self._out = target.add_stream_from_template(self._stream) if self._is_copied else self._add_aac()
            self._packets = self._copy() if self._is_copied else self._encode()

    def copy_until(self, time_s: float) -> None:
        """Takes over what is heard until `time_s` after the first frame."""
        while packet := self._held.pop() if self._held else next(self._packets, None):
            if packet.pts is not None and float(packet.pts * packet.time_base) > time_s:
                self._held.append(packet)
                return
            self._target.mux(packet)

    def notes(self) -> Iterator[str]:
        """What of the sound is not in the copy."""
        if self._stream is None and self._container.streams.audio:
            yield "the copy has no sound: FFmpeg does not know its format"
        if self._stream is not None and self._jumps:
            yield "the sound does not jump where the times of the frames do: the two may be out of step in the copy"
        if self._damaged:
            yield f"{count_of(self._damaged, 'packet')} of the sound damaged or cut off: missing in the copy"

    def _add_aac(self) -> Any:
        given = self._stream.codec_context.sample_rate
        return self._target.add_stream("aac", rate=min((rate for rate in AAC_RATES if rate >= given), default=96000))

    def _copy(self) -> Iterator[Any]:
        until_ticks = None
        for packet, shift_s in self._placed():
            shift = round(shift_s / packet.time_base)
            pts, dts = (packet.dts if packet.pts is None else packet.pts) + shift, packet.dts + shift
            if pts < 0 or (until_ticks is not None and dts <= until_ticks):
                continue
            until_ticks = dts
            packet.stream, packet.pts, packet.dts = self._out, pts, dts
            yield packet

    def _encode(self) -> Iterator[Any]:
        av, until_s = import_av(), None
        for packet, shift_s in self._placed():
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self._damaged += 1
                continue
            for frame in frames:
                if frame.pts is not None:
                    frame.pts += round(shift_s / frame.time_base)
                    if until_s is not None and frame.time < until_s - 1e-3:
                        continue
                    until_s = frame.time + frame.samples / frame.sample_rate
                yield from self._resample(frame)
        yield from self._resample(None)
        yield from self._out.encode(None)

    def _resample(self, frame: Any) -> Iterator[Any]:
        """Encodes a frame, whose rate or channels may differ from those before it; None stands for the end."""
        kind = frame and (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            for made in self._resampler.resample(None) if self._resampler else ():
                yield from self._out.encode(made)
            out, self._kind = self._out.codec_context, kind
            self._resampler = kind and import_av().AudioResampler(out.format, out.layout, out.sample_rate)
        for made in self._resampler.resample(frame) if self._resampler else ():
            yield from self._out.encode(made)

    def _placed(self) -> Iterator[tuple[Any, float]]:
        """Each packet with what has to be added to its times to be those since the first frame."""
        av = import_av()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):  # cut short: what there is is kept
                self._damaged += 1
                return
            if packet is None:
                return
            if packet.dts is None:
                continue
            self._follow(float(packet.dts * packet.time_base), float((packet.duration or 0) * packet.time_base))
            yield packet, self._shift_s

    def _follow(self, given_s: float, length_s: float) -> None:
        """Changes the shift where the times jump: as the frames do, or so that the sound goes on."""
        if self._before_s is not None:
            step_s = given_s - self._before_s
            sizes = [jump["jumped_s"] for jump in self._jumps] if step_s < 0 or step_s > 2 * SAME_JUMP_S else []
            made = next((place for place, size_s in enumerate(sizes) if abs(size_s - step_s) < SAME_JUMP_S), None)
            if made is not None:
                self._shift_s = self._jumps[made]["shift_s"]
                del self._jumps[: made + 1]
            elif not -OVERLAP_S <= step_s <= LONGEST_GAP_S:
                self._shift_s = self._until_s - given_s
        self._before_s, self._until_s = given_s, given_s + self._shift_s + length_s
