"""Progress for a person who watches: bars in a terminal and in JupyterLab, silence where a pipeline runs."""

from __future__ import annotations

import os
from collections.abc import Callable

from tqdm.auto import tqdm

QUIET_VARIABLE = "EMOTION_QUIET"  # set by the pipeline, which tells of the progress itself

Progress = Callable[[int, int], None]  # done, total


def progress_bar(what: str, unit: str = "image") -> Progress | None:
    """A callback that draws a bar, or None where EMOTION_QUIET is set."""
    if os.environ.get(QUIET_VARIABLE):
        return None
    bar = tqdm(desc=what, unit=unit, leave=False)

    def update(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return update
