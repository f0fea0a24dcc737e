"""How the C library hands out memory while a network learns on a processor."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt(3). Setting one ends glibc's own adjustment of them, whose upper bounds the usual values are.
TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
KEEPING = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}
USUAL = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: 64 << 20}


@contextmanager
def reuse_freed_memory() -> Iterator[None]:
    """Inside the block freed memory stays with the process for the next step; at its end it goes back to the system.

    Otherwise the pages of each large layer are returned and requested anew in each step, and the system fills them with
    zeros: on two cores a tenth of the time of a step at 96 px. The peak is the same. Only glibc has such a setting
    (mallopt(3)); elsewhere this does nothing.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    _set(libc, KEEPING)
    try:
        yield
    finally:
        _set(libc, USUAL)
        libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, values: dict[int, int]) -> None:
    for parameter, value in values.items():
        libc.mallopt(parameter, value)  # another allocator in glibc's place may refuse, which costs speed only
