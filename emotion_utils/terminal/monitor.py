"""Follows a training in another process: the epoch that it has reached, the time left, and what it had to deal with."""

from __future__ import annotations

import threading
from itertools import takewhile
from typing import Any

import pandas as pd

from emotion_utils.ablation import all_trainings
from emotion_utils.errors import EmotionError
from emotion_utils.run import Run
from emotion_utils.terminal.live_line import PlainLines

POLL_S = 0.5


class EpochMonitor:
    """Follows history.csv and events.jsonl of a model from a thread of its own and tells `lines` of each epoch and each
    event, in each of its trainings in turn; without a model, nothing."""

    def __init__(self, run: Run, model: str | None, lines: PlainLines) -> None:
        self._lines = lines
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
            self._lines.tell(f"its progress can no longer be followed: {error}")

    def _tell(self) -> None:
        for training in self._trainings:
            training.tell(self._lines)


class _Training:
    """One training of a model, and what was told of it; what was there before needs no telling."""

    def __init__(self, run: Run, model: str, still_to_come: int) -> None:
        self._run, self._model, self._still_to_come = run, model, still_to_come
        self._name = f"{run.title(model)}, seed {run.config.seed}: " if run.model_folder else ""
        self._history = self._read_history()
        self._events = run.read("events", model)  # told, or of an earlier training

    def tell(self, lines: PlainLines) -> None:
        """What has happened since this was asked last."""
        for event in self._new_events():
            lines.tell_event(event, self._name)
        history = self._read_history()
        if not history.empty and not history.equals(self._history):
            self._history = history
            lines.tell_epoch(history, self._count_epochs(), self._still_to_come, self._name)

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
