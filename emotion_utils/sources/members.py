"""What zips and tars share: which names, links and sizes are safe, and a member as a file of its own."""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from emotion_utils.cache_building import naming_full_disk
from emotion_utils.environment import cache_dir
from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.decoded import DAMAGED_MEMBER

MAX_RATIO = 100  # images shrink by less than 2, tables of pixels by about 4; bombs by 1000 and more
RATIO_FREE_BYTES = 16_000_000  # up to here a high ratio harms nobody (a plain bitmap of one colour has one)
CHUNK_BYTES = 1 << 20
_SHORTEST = re.compile(r"[^/.:][^/:]*(?:/[^/.:][^/:]*)*")  # no part is empty or starts with a dot, and no drive leads
_MEND = "it is not safe to use: unpack it with a tool that keeps everything in one folder, and give that"
_DRIVE = re.compile(r"^[A-Za-z]:")


@contextmanager
def naming(path: Path, name: str, faults: Mapping[str, str]) -> Iterator[None]:
    """Raises InputError that names the member, for whatever goes wrong with it."""
    try:
        if name in faults:
            raise InputError(f"{path}: {name} is {faults[name]}")
        yield
    except InputError:
        raise
    except Exception as error:  # as many kinds as there are ways to be damaged
        reason = f"{DAMAGED_MEMBER} ({describe(error)}); download or copy it again"
        raise InputError(f"{path}: {name} is {reason}") from None


def describe(error: Exception) -> str:
    return str(error) or type(error).__name__


def spool(chunks: Iterable[bytes], compressed: Path | None = None) -> BinaryIO:
    """The chunks in a nameless file; stops a stream that grows beyond what the file `compressed` can honestly hold."""
    try:
        cache_dir().mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115 - the caller keeps it open
    except OSError as error:
        raise InputError(
            f"cannot write to {cache_dir()} ({error.strerror}): set EMOTION_CACHE_DIR to another"
        ) from None
    try:
        with naming_full_disk(cache_dir()):
            for chunk in chunks:
                file.write(chunk)
                if compressed is not None:
                    refuse_bomb(compressed, file.tell(), compressed.stat().st_size)
            file.flush()
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def check_name(path: Path, name: str) -> str:
    """`name` in its shortest form. Raises InputError where unpacking it would write outside of a folder."""
    if _SHORTEST.fullmatch(name):
        return name
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise InputError(f"{path}: member {name!r} leads outside of the archive; {_MEND}")
    return posixpath.normpath(name)


def check_link(path: Path, name: str, target: str, start: str) -> str:
    """What the link `name` points to, as a member's name. Raises InputError where that is outside."""
    end = posixpath.normpath(posixpath.join(start, target.replace("\\", "/")))
    if end.startswith(("/", "../")) or end == ".." or _DRIVE.match(end):
        raise InputError(f"{path}: member {name!r} is a link that leads outside ({target!r}); {_MEND}")
    return end


def refuse_bomb(what: object, size: int, packed: int) -> None:
    if size > RATIO_FREE_BYTES and size > MAX_RATIO * packed:
        raise InputError(f"{what}: {packed:,} bytes that unpack to {size:,} or more; it is not safe to use")


def note_links(links: list[str]) -> tuple[str, ...]:
    return (f"left out {count_of(len(links), 'link')}, e.g. to {links[0]}",) if links else ()
