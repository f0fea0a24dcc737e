"""A run as a person at a terminal follows it: lines that stay, and below them one that is drawn anew every second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from tqdm import tqdm

from emotion_utils.events import event_lines
from emotion_utils.printable import printable
from emotion_utils.progress import format_duration
from emotion_utils.run import Run
from emotion_utils.terminal.output import paint
from emotion_utils.terminal.time_left import Part, TimeLeft

REDRAW_S = 1.0
LOOKING = "looking for what is up to date, "  # between the stages
ROUTINE = ("started", "phase", "grow")  # events that the live line makes superfluous


class PlainLines:
    """Where there is no terminal: each step is a line of its own, for a log."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._label = ""

    def begin(self, label: str, notebook: str) -> None:
        self._label = label
        self.say(label)

    def tell(self, line: str) -> None:
        """Something about the stage that has begun, if one has."""
        self.say(f"{self._label}: {line}" if self._label else line)

    def tell_event(self, event: Mapping[str, Any], training: str = "") -> None:
        """`training` names it where a stage has several."""
        for line in event_lines(event):
            self.tell(training + line)

    def tell_epoch(self, history: pd.DataFrame, epochs: int, still_to_come: int = 0, training: str = "") -> None:
        """`still_to_come`: trainings of the stage after this one."""
        self.tell(training + epoch_line(history, epochs, still_to_come))

    def finish(self, seconds: float) -> None:
        self.tell(f"finished in {format_duration(seconds)}")

    def close(self) -> None:
        """No more is to come."""


class LiveLines(PlainLines):
    """On a terminal: what is out of the ordinary stays; epochs and the time left for everything go by."""

    def __init__(self, run: Run, parts: Sequence[Part]) -> None:
        super().__init__(lambda line: tqdm.write(printable(line), file=sys.stdout))
        earlier = {name: done["seconds"] for name, done in run.facts["stages"].items() if "seconds" in done}
        self._time, self._state = TimeLeft(parts, run.config, earlier), LOOKING
        self._line = tqdm(bar_format="{desc}", leave=False, dynamic_ncols=True, file=sys.stderr)
        self._closed = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    def begin(self, label: str, notebook: str) -> None:
        self._label, self._state = label, ""
        self._time.begin(notebook)
        self._draw()

    def tell_event(self, event: Mapping[str, Any], training: str = "") -> None:
        if event["kind"] == "preflight":
            self._time.measured(event["seconds"])
            for warning in event["warnings"]:
                self.tell(f"{training}warning: {warning}")
        elif event["kind"] not in ROUTINE:
            super().tell_event(event, training)

    def tell_epoch(self, history: pd.DataFrame, epochs: int, still_to_come: int = 0, training: str = "") -> None:
        done, last = len(history), history.iloc[-1]
        self._time.measured(history["seconds"].sum() + last["seconds"] * (epochs - done))
        self._state = f"{training}epoch {min(done + 1, epochs)}/{epochs}, val accuracy {last['val_acc']:.3f}, "
        self._draw()

    def finish(self, seconds: float) -> None:
        self._time.finish()
        super().finish(seconds)
        self._label, self._state = "", LOOKING

    def close(self) -> None:
        self._closed.set()
        self._ticker.join()
        self._line.close()

    def _tick(self) -> None:
        while not self._closed.wait(REDRAW_S):
            self._draw()

    def _draw(self) -> None:
        seconds = self._time.seconds
        left = f"{format_duration(self._time.elapsed)} so far" if seconds is None else f"about {_round(seconds)} left"
        label = paint(f"{printable(self._label)}: ", sys.stderr, fg="cyan") if self._label else ""
        self._line.set_description_str(f"{label}{self._state}{left}")


def epoch_line(history: pd.DataFrame, epochs: int, still_to_come: int = 0) -> str:
    """The last epoch in one line, with the time that the rest takes at its pace, and that of trainings to come."""
    last = history.iloc[-1]
    remaining_s = float(last["seconds"]) * (epochs * (1 + still_to_come) - len(history))
    still = f", about {format_duration(remaining_s)} left" if remaining_s else ""
    more = f" with {still_to_come} more training{'s' * (still_to_come > 1)} of it" if still_to_come else ""
    return f"epoch {len(history)}/{epochs}, val accuracy {last['val_acc']:.3f}{still}{more}"


def _round(seconds: float) -> str:
    """Of an estimate, no more than can be relied on: tens of seconds, minutes, tens of minutes."""
    unit = 10 if seconds < 60 else 60 if seconds < 3600 else 600
    rounded = max(unit, unit * round(seconds / unit))
    return f"{rounded // 60} min" if 60 <= rounded < 3600 else format_duration(rounded)
