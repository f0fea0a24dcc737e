"""Tells, while a model is trained in another process, which epoch it is at, how long it still takes, and what it had to
deal with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import pandas as pd

from emotion_utils.run import Run

POLL_S = 0.5


class EpochMonitor:
    """Follows a model's history.csv and events.jsonl from a thread of its own and says a line for each epoch and for
    what is out of the ordinary; without a model, nothing."""

    def __init__(self, run: Run, model: str | None, say: Callable[[str], None]) -> None:
        self._run, self._model, self._say = run, model, say
        own = run.config.recipes[model].epochs if model else None
        self._epochs = own or run.config.epochs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._epochs_told = 0
        self._events = run.read_events(model) if model else []  # told, or of an earlier training

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
        self._tell_events()
        if not (self._run.model_dir(self._model) / "history.csv").exists():
            return
        history = self._run.read_history(self._model)
        if len(history) > self._epochs_told:
            self._epochs_told = len(history)
            self._say(epoch_line(history, self._epochs))

    def _tell_events(self) -> None:
        known, self._events = self._events, self._run.read_events(self._model)
        told = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(known, self._events, strict=False))))
        for event in self._events[told:]:  # a training that begins again takes back what it had told
            for line in event_lines(event):
                self._say(line)


def event_lines(event: Mapping[str, Any]) -> list[str]:
    """An event of training for people who watch; nothing for what goes without saying."""
    kind = event["kind"]
    if kind == "started" and event.get("batch_rate_factor", 1.0) != 1.0:
        return [f"batches of {event['batch_size']}, rates times {event['batch_rate_factor']:.3g}"]
    if kind == "preflight":
        numbers = event["precision"] + ", compiled" * event["compiled"]
        foretold = f"about {duration(event['seconds'])} and {event['memory_mb'] / 1024:.1f} GB foreseen, in {numbers}"
        return [foretold, *(f"warning: {warning}" for warning in event["warnings"])]
    templates = {
        "phase": "epoch {epoch}: {phase} learns, {trainable_parameters:,} parameters",
        "grow": "epoch {epoch}: images of {size_px} px",
        "resumed": "goes on from its checkpoint, epoch {epoch}, step {step}",
        "checkpoint_refused": "begins anew: its checkpoint does not fit ({reason})",
        "memory_backoff": "memory ran out with {micro_batch_before} images at a time; now {micro_batch}",
        "spike_skipped": "epoch {epoch}, step {step} skipped: {reason}",
        "scale_lowered": "epoch {epoch}, step {step}: float16 overflowed, gradients are now scaled by {scale:g}",
        "numerics_refused": "training goes on without {tried}, which fails here: {reason}",
        "graph_refused": "steps are not recorded as a CUDA graph: {reason}",
        "rollback": "epoch {epoch} begins again, at {rate_factor:g} times the rate",
        "early_stop": "stopped after epoch {epoch}: {reason}",
        "best_epoch": "epoch {epoch} is kept, with val accuracy {val_acc:.3f}",
    }
    return [templates[kind].format(**event)] if kind in templates else []


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
