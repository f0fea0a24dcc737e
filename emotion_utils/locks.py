"""One process at a time in a folder of results. The lock is the operating system's: a killed process holds nothing."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from emotion_utils.errors import EmotionError

LOCK_FILE = ".lock"  # in the folder that it stands for; its text says who holds it, or held it last


@contextmanager
def hold(folder: Path, mend: str, patience_s: float = 0.0) -> Iterator[None]:
    """Holds `folder`, which is made if it is not there, for as long as the block runs.

    Raises EmotionError that says who holds it, and `mend`, where another process does for longer than `patience_s`;
    OSError where the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    lock = FileLock(path, timeout=patience_s)
    try:
        lock.acquire()
    except Timeout:
        raise EmotionError(f"another process is working on {folder}{_read_holder(path)}: {mend}") from None
    try:
        path.write_text(_describe_this_process(), encoding="utf-8")
        yield
    finally:
        lock.release()


def _describe_this_process() -> str:
    is_notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)() is not None
    return f"{'a notebook' if is_notebook else 'a command'}, process {os.getpid()} on {socket.gethostname()}"


def _read_holder(path: Path) -> str:
    with suppress(OSError):  # Windows lets nobody read a file that is locked
        text = path.read_text(encoding="utf-8")
        return f" ({text})" if text else ""
    return ""
