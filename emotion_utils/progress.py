"""Progress for a person who watches: bars in a terminal and in JupyterLab, silence in a pipeline and in a log."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr

from tqdm.auto import tqdm

QUIET_VARIABLE = "EMOTION_QUIET"  # set by the pipeline, which reports the progress itself

Progress = Callable[[int, int], None]  # images, steps or bytes that are done, and all of them (0: not known)


def progress_bar(what: str, unit: str = "image") -> Progress | None:
    """A callback that draws a bar, or None where EMOTION_QUIET is set.

    Where standard error is no terminal and no notebook nothing is drawn: a log would hold each state of the bar.
    """
    if os.environ.get(QUIET_VARIABLE):
        return None
    bar: tqdm | None = None

    def update(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:  # not before the first step: what is refused at once gets no bar
            bar = tqdm(desc=what, unit=unit, unit_scale=unit == "B", leave=False, disable=None)
        bar.total = total or None  # 0: not known
        bar.update(done - bar.n)
        if total and done >= total:
            bar.close()

    return update


@contextmanager
def bars_for_a_terminal() -> Iterator[None]:
    """For a library that draws bars of its own, wherever standard error leads."""
    with nullcontext() if sys.stderr.isatty() else redirect_stderr(io.StringIO()):
        yield


def format_duration(seconds: float) -> str:
    """`45 s`, `2 min 5 s`, `1 h 3 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
