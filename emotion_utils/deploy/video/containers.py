"""Files that FFmpeg opens, and which of their streams is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.files import is_image_name

PACKETS = ((188, 0), (192, 4), (204, 0))  # of a transport stream: bytes, and where in them SYNC is; Blu-ray, with FEC
SYNC = 0x47
LAST_PACKETS = 16  # that show where packets begin: other bytes do not repeat SYNC so often at these distances


def import_av() -> Any:
    """PyAV. Raises InputError where it is missing."""
    try:
        import av
    except ModuleNotFoundError:
        raise InputError("videos need PyAV: pip install 'emotion-utils[video]'") from None
    return av


def open_av(path: str | Path, mode: str = "r", **options: Any) -> Any:
    """`path` opened by PyAV. The name is given in full: FFmpeg takes what stands before a colon for a protocol."""
    return import_av().open(str(Path(path).absolute()), mode, **options)


def open_container(path: Path) -> Any:
    """The file `path`, which has a video stream. Raises InputError for what has none, and for images."""
    av = import_av()
    try:
        container = open_av(path, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not understood"
        raise InputError(f"{path}: cannot be read as a video ({reason}); give a file that a player shows") from None
    try:
        _check_container(path, container)
    except InputError:
        container.close()
        raise
    return container


def video_stream(container: Any) -> Any:
    """The first video stream that is no cover of a piece of music; None where there is none."""
    cover = import_av().stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)


def sound_stream(container: Any) -> Any:
    """The first audio stream that can be decoded; None where there is none."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def ends_within_packet(container: Any) -> bool:
    """Whether an MPEG transport stream ends in the middle of one of its packets.

    It names no length, and a recording may stop between any two packets: nothing else tells one that is cut.
    """
    if container.format.name != "mpegts":
        return False
    path = Path(container.name)
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (LAST_PACKETS + 1) * max(PACKETS)[0]))
        tail = file.read()
    for size, lead in PACKETS:
        for rest in range(size):
            begins = len(tail) - rest + lead
            syncs = tail[begins % size : begins : size]
            if len(syncs) >= LAST_PACKETS and set(syncs[-LAST_PACKETS:]) == {SYNC}:
                return rest > 0 and set(tail[begins : begins + 1]) <= {SYNC}  # anything else was put behind it
    return False


def _check_container(path: Path, container: Any) -> None:
    if re.search(r"_pipe$|^image2", container.format.name) or is_image_name(path.name):
        raise InputError(f"{path}: is an image; `emotion predict` reads images")
    stream = video_stream(container)
    if stream is None:
        cover = " and a cover" if container.streams.video else ""
        raise InputError(
            f"{path}: has no video stream ({count_of(len(container.streams.audio), 'audio stream')}{cover})"
        )
    if stream.codec_context is None:
        raise InputError(f"{path}: its video is in a format that FFmpeg does not know; convert it to H.264")
