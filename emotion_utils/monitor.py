"""Follows a training in another process: the epoch that it has reached, the time left, and what it had to deal with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import takewhile

import pandas as pd

from emotion_utils.errors import EmotionError
from emotion_utils.events import event_lines
from emotion_utils.progress import format_duration
from emotion_utils.run import Run

POLL_S = 0.5


class EpochMonitor:
    """Follows a model's history.csv and events.jsonl from a thread of its own and says a line for each epoch and for
    what is out of the ordinary; without a model, nothing."""

    def __init__(self, run: Run, model: str | None, say: Callable[[str], None]) -> None:
        self._run, self._model, self._say = run, model, say
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._history = self._read_history()  # as told; what was there before needs no telling
        self._events = run.read("events", model) if model else []  # told, or of an earlier training

    def __enter__(self) -> EpochMonitor:
        if self._model:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._model:
            self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._stop.wait(POLL_S):
                self._tell()
            self._tell()
        except (EmotionError, OSError) as error:  # the training goes on, and will say itself what it cannot read
            self._say(f"its progress can no longer be followed: {error}")

    def _tell(self) -> None:
        self._tell_events()
        history = self._read_history()
        if not history.empty and not history.equals(self._history):
            self._history = history
            self._say(epoch_line(history, self._count_epochs()))

    def _count_epochs(self) -> int:
        """Of the whole training, which may have shortened itself."""
        own = self._run.config.recipes[self._model].epochs or self._run.config.epochs
        return next((event["epochs"] for event in reversed(self._events) if event["kind"] == "shortened"), own)

    def _read_history(self) -> pd.DataFrame:
        has_one = self._model and self._run.path("history", self._model).exists()
        return self._run.read("history", self._model) if has_one else pd.DataFrame()

    def _tell_events(self) -> None:
        known, self._events = self._events, self._run.read("events", self._model)
        told = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(known, self._events, strict=False))))
        for event in self._events[told:]:  # a training that begins again takes back what it had told
            for line in event_lines(event):
                self._say(line)


def epoch_line(history: pd.DataFrame, epochs: int) -> str:
    """The last epoch in one line, with the time that the rest takes at its pace."""
    last = history.iloc[-1]
    remaining_s = float(last["seconds"]) * (epochs - len(history))
    still = f", about {format_duration(remaining_s)} left" if remaining_s else ""
    return f"epoch {len(history)}/{epochs}, val accuracy {last['val_acc']:.3f}{still}"
