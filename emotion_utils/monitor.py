"""Follows a training in another process: the epoch that it has reached, the time left, and what it had to deal with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

import pandas as pd

from emotion_utils.ablation import all_trainings
from emotion_utils.errors import EmotionError
from emotion_utils.events import event_lines
from emotion_utils.progress import format_duration
from emotion_utils.run import Run

POLL_S = 0.5


class EpochMonitor:
    """Follows history.csv and events.jsonl of a model from a thread of its own and says a line for each epoch and for
    what is out of the ordinary, in each of its trainings in turn; without a model, nothing."""

    def __init__(self, run: Run, model: str | None, say: Callable[[str], None]) -> None:
        self._say = say
        runs = all_trainings(run, model) if model else []
        self._trainings = [
            _Training(each, model, still_to_come=len(runs) - number) for number, each in enumerate(runs, start=1)
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> EpochMonitor:
        if self._trainings:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._trainings:
            self._thread.join()

    def _follow(self) -> None:
        try:
            while not self._stop.wait(POLL_S):
                self._tell()
            self._tell()
        except (EmotionError, OSError) as error:  # the training goes on, and will say itself what it cannot read
            self._say(f"its progress can no longer be followed: {error}")

    def _tell(self) -> None:
        for training in self._trainings:
            for line in training.new_lines():
                self._say(line)


class _Training:
    """One training of a model, and what was told of it; what was there before needs no telling."""

    def __init__(self, run: Run, model: str, still_to_come: int) -> None:
        self._run, self._model, self._still_to_come = run, model, still_to_come
        self._name = f"{run.title(model)}, seed {run.config.seed}: " if run.model_folder else ""
        self._history = self._read_history()
        self._events = run.read("events", model)  # told, or of an earlier training

    def new_lines(self) -> Iterator[str]:
        """What has happened since this was asked last."""
        for event in self._new_events():
            yield from (f"{self._name}{line}" for line in event_lines(event))
        history = self._read_history()
        if not history.empty and not history.equals(self._history):
            self._history = history
            yield self._name + epoch_line(history, self._count_epochs(), self._still_to_come)

    def _count_epochs(self) -> int:
        """Of the whole training, which may have shortened itself."""
        own = self._run.config.recipes[self._model].epochs or self._run.config.epochs
        return next((event["epochs"] for event in reversed(self._events) if event["kind"] == "shortened"), own)

    def _read_history(self) -> pd.DataFrame:
        has_one = self._run.path("history", self._model).exists()
        return self._run.read("history", self._model) if has_one else pd.DataFrame()

    def _new_events(self) -> list[dict[str, Any]]:
        """A training that begins again takes back what it had told."""
        known, self._events = self._events, self._run.read("events", self._model)
        told = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(known, self._events, strict=False))))
        return self._events[told:]


def epoch_line(history: pd.DataFrame, epochs: int, still_to_come: int = 0) -> str:
    """The last epoch in one line, with the time that the rest takes at its pace, and that of trainings to come."""
    last = history.iloc[-1]
    remaining_s = float(last["seconds"]) * (epochs * (1 + still_to_come) - len(history))
    still = f", about {format_duration(remaining_s)} left" if remaining_s else ""
    more = f" with {still_to_come} more training{'s' * (still_to_come > 1)} of it" if still_to_come else ""
    return f"epoch {len(history)}/{epochs}, val accuracy {last['val_acc']:.3f}{still}{more}"
