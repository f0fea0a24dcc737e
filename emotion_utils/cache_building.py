"""A folder of the cache: built by one process at a time, whole or not at all. No torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emotion_utils.errors import InputError
from emotion_utils.files import FULL_DISK, FullDisk
from emotion_utils.locks import lock_file


@contextmanager
def only_builder(path: Path, size_bytes: int) -> Iterator[None]:
    """One process at a time may build `path`; others wait. Raises InputError where it has no room."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {path.parent} ({error.strerror}): set EMOTION_CACHE_DIR to another"
        ) from None
    with lock_file(path.with_suffix(".lock")):
        free_mb = shutil.disk_usage(path.parent).free >> 20
        if free_mb < size_bytes >> 20 and not path.exists():
            raise InputError(
                f"the decoded images need {size_bytes >> 20:,} MB in {path.parent}, {free_mb:,} MB are free: make "
                "room, set EMOTION_CACHE_DIR to another folder, or choose a smaller image_size_px"
            )
        with naming_full_disk(path.parent):
            yield


@contextmanager
def naming_full_disk(place: Path) -> Iterator[None]:
    """Turns the error of a disk that is full into one line that says where."""
    try:
        yield
    except (OSError, FullDisk) as error:
        if isinstance(error, OSError) and error.errno not in FULL_DISK:
            raise
        raise InputError(
            f"{place}: the disk is full; free some space, or name another cache with EMOTION_CACHE_DIR"
        ) from None


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder that takes the place of `path` when the block ends without an error.

    Only its owner can look into it: it holds faces.
    """
    for leftover in path.parent.glob(f".{path.name}-*"):  # of killed processes: nobody else builds here now
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
