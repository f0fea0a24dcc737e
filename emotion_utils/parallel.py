"""How large things are built: in several threads with bounded memory, by one process, whole or not at all. No torch."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from emotion_utils.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def count_workers() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ahead(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`work` of each item in threads, in order; only a few are under way at a time, so that memory stays bounded.

    A single worker is the caller itself: handing each item to another thread would only cost time.
    """
    if workers == 1:
        yield from map(work, items)
        return
    items = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        pending = deque(pool.submit(work, item) for item in islice(items, 2 * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(work, item) for item in islice(items, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()


@contextmanager
def only_builder(path: Path, size_bytes: int) -> Iterator[None]:
    """One process at a time may build `path`; others wait. Raises InputError where there is no place for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write to {path.parent} ({error.strerror}): set EMOTION_CACHE_DIR to another"
        ) from None
    with FileLock(path.with_suffix(".lock")):
        free_mb = shutil.disk_usage(path.parent).free >> 20
        if free_mb < size_bytes >> 20 and not path.exists():
            raise InputError(
                f"the decoded images need {size_bytes >> 20:,} MB in {path.parent}, {free_mb:,} MB are free: make "
                "room, set EMOTION_CACHE_DIR to another folder, or choose a smaller image_size_px"
            )
        yield


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder that takes the place of `path` when the block ends without an error."""
    for leftover in path.parent.glob(f".{path.name}-*"):  # of killed processes: nobody else builds here now
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.chmod(0o755)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
