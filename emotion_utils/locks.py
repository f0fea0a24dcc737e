"""One process at a time in a folder or at a file. The lock is the system's: a killed process holds nothing."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import refuse_links, refuse_second_name

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
LOCK_FILE = ".lock"  # in the folder that it stands for; its text says who holds it, or held it last


@contextmanager
def hold(folder: Path, mend: str, patience_s: float = 0.0) -> Iterator[None]:
    """Holds `folder`, which is made if it is not there, for as long as the block runs.

    Raises EmotionError that says who holds it, and `mend`, where another process does for longer than `patience_s`;
    InputError where the lock is a link to another file, OSError where the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_FILE
    refuse_second_name(refuse_links(folder, path))  # taking the lock writes into the file
    with ExitStack() as held:
        try:
            held.enter_context(lock_file(path, patience_s))
        except Timeout:
            raise EmotionError(f"another process is working on {folder}{_read_holder(path)}: {mend}") from None
        path.write_text(_describe_this_process(), encoding="utf-8")
        yield


@contextmanager
def hold_output(folder: Path) -> Iterator[None]:
    """`hold` of the folder that --output names. Raises InputError where it cannot be written to."""
    with ExitStack() as held:  # errors of the block are none of the lock's
        try:
            held.enter_context(hold(folder, "wait for it, or choose another --output"))
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror}; choose another --output") from None
        yield


@contextmanager
def lock_file(path: Path, patience_s: float = -1.0) -> Iterator[None]:
    """Holds the lock `path` for as long as the block runs; `patience_s` -1 waits for ever, else Timeout is raised.

    Some network drives have no locks: the block runs without, and a line on standard error says so.
    """
    lock = FileLock(path, timeout=patience_s, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        print(
            f"{path.parent}: this drive has no locks ({error.strerror}): do not start two commands in it at a time",
            file=sys.stderr,
        )
    try:
        yield
    finally:
        if lock.is_locked:
            lock.release()


def _describe_this_process() -> str:
    is_notebook = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)() is not None
    return f"{'a notebook' if is_notebook else 'a command'}, process {os.getpid()} on {socket.gethostname()}"


def _read_holder(path: Path) -> str:
    with suppress(OSError):  # Windows lets nobody read a file that is locked
        text = path.read_text(encoding="utf-8")
        return f" ({text})" if text else ""
    return ""
