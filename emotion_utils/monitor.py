"""Tells, while a model is trained in another process, which epoch it is at and how long it still takes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pandas as pd

from emotion_utils.run import Run

POLL_S = 0.5


class EpochMonitor:
    """Follows a model's history.csv from a thread of its own and says one line an epoch; without a model, nothing."""

    def __init__(self, run: Run, model: str | None, say: Callable[[str], None]) -> None:
        self._run, self._model, self._say = run, model, say
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._epochs_told = 0

    def __enter__(self) -> EpochMonitor:
        if self._model:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._model:
            self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(POLL_S):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        if not (self._run.model_dir(self._model) / "history.csv").exists():
            return
        history = self._run.read_history(self._model)
        if len(history) > self._epochs_told:
            self._epochs_told = len(history)
            self._say(epoch_line(history, self._run.config.epochs))


def epoch_line(history: pd.DataFrame, epochs: int) -> str:
    """The last epoch in one line, with the time that the rest takes at its pace."""
    last = history.iloc[-1]
    remaining_s = float(last["seconds"]) * (epochs - len(history))
    still = f", about {duration(remaining_s)} left" if remaining_s else ""
    return f"epoch {len(history)}/{epochs}, val accuracy {last['val_acc']:.3f}{still}"


def duration(seconds: float) -> str:
    """`45 s`, `2 min 5 s`, `1 h 3 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
