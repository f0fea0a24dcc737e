"""Freed memory stays with a process that trains, and goes back to the system afterwards."""

import ctypes
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from emotion_utils.training.cpu.allocation import reuse_freed_memory

MB = 128
PAGES = MB * 2**20 // resource.getpagesize()
PROJECT = Path(__file__).parents[3]

needs_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="only glibc can be told to keep memory"
)


def bytes_of_x(count):
    return b"x" * count


def new_pages_of(times):
    """How many pages the system had to bring for one block of memory that is filled and freed, again and again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        bytes_of_x(MB << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident_mb():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20


def serves_again_inside_the_block_only():
    assert new_pages_of(3) > 2 * PAGES
    with reuse_freed_memory():
        new_pages_of(1)
        assert new_pages_of(3) < PAGES / 10
        held = resident_mb()
    assert held - resident_mb() > MB / 2
    assert new_pages_of(3) > 2 * PAGES


def goes_back_after_an_error_too():
    with pytest.raises(ZeroDivisionError), reuse_freed_memory():
        1 / 0  # noqa: B018
    assert new_pages_of(3) > 2 * PAGES


@needs_glibc
@pytest.mark.parametrize("check", [serves_again_inside_the_block_only, goes_back_after_an_error_too])
def test_memory_that_is_freed(check):
    """In a process of its own: after an allocation that failed, as other tests have them, glibc moves a thread to an
    arena too small for a block of this size, so that each block is new to the system.
    """
    module = "tests.training.cpu.test_allocation"
    subprocess.run([sys.executable, "-m", module, check.__name__], cwd=PROJECT, check=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
