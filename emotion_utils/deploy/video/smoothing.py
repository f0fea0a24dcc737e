"""Probabilities of a face over time, smoothed: logits averaged with weights that fall with the distance in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

TIME_CONSTANT_S = 0.15  # both ways; chosen by `emotion bench video`, see docs/video.md
CAUSAL_TIME_CONSTANT_S = 0.2  # with what came before alone; likewise
REACH = 4.0  # time constants beyond which nothing counts: its weight is below 2 %
LEAST_PROBABILITY = 1e-6  # stands for 0, whose logarithm is not finite


def smooth(
    times_s: Sequence[float], probs: np.ndarray, at_s: float, time_constant_s: float, *, ahead: bool
) -> np.ndarray:
    """Probabilities float64 (k,) at the time `at_s`, from those (n, k) at `times_s`.

    The mean of the logits, weighted by exp(-|t - at_s| / time_constant_s), through a softmax. Without `ahead` only what
    is not later counts: the usual exponential average of a live video.
    """
    away = np.asarray(times_s, dtype=float) - at_s
    reach = REACH * time_constant_s
    used = (away >= -reach - 1e-9) & (away <= (reach if ahead else 0.0) + 1e-9)
    weights = np.exp(-np.abs(away[used]) / time_constant_s) if time_constant_s else np.ones(used.sum())
    logits = np.log(np.maximum(np.asarray(probs, dtype=float)[used], LEAST_PROBABILITY))
    mean = weights @ logits / weights.sum()
    raised = np.exp(mean - mean.max())
    return raised / raised.sum()


class Smoother:
    """Rows of faces on their way: each leaves with its smoothed probabilities once all that counts for it is known.

    A row is a dict with `time_s`, `track` (None where no face is) and `probs`; `smoothed` is added. Rows
    leave in the order in which they came.
    """

    def __init__(self, time_constant_s: float, *, ahead: bool) -> None:
        self._constant_s, self._ahead = time_constant_s, ahead
        self._waiting: list[dict[str, Any]] = []
        self._known: dict[int, list[tuple[float, list[float]]]] = {}  # of each track, from oldest to newest

    def add(self, rows: Sequence[dict[str, Any]], now_s: float) -> list[dict[str, Any]]:
        """Takes the rows of the frame at `now_s`; gives those that are ready."""
        for row in rows:
            if row["track"] is not None:
                self._known.setdefault(row["track"], []).append((row["time_s"], list(row["probs"])))
        self._waiting += rows
        delay_s = REACH * self._constant_s if self._ahead else 0.0
        ready = [row for row in self._waiting if row["time_s"] + delay_s <= now_s + 1e-9]
        self._waiting = self._waiting[len(ready) :]
        done = self._finish(ready)
        self._forget(now_s - delay_s - REACH * self._constant_s)
        return done

    def flush(self) -> list[dict[str, Any]]:
        """The rows that still wait, when nothing more comes."""
        waiting, self._waiting = self._waiting, []
        return self._finish(waiting)

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON can hold it."""
        return {"waiting": list(self._waiting), "known": [[track, list(seen)] for track, seen in self._known.items()]}

    def restore(self, state: dict[str, Any]) -> None:
        self._waiting = list(state["waiting"])
        self._known = {track: [(time, probs) for time, probs in seen] for track, seen in state["known"]}

    def _finish(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        for row in rows:
            if row["track"] is not None:
                times, probs = zip(*self._known[row["track"]], strict=True)
                row["smoothed"] = smooth(
                    times, np.array(probs), row["time_s"], self._constant_s, ahead=self._ahead
                ).tolist()
        return list(rows)

    def _forget(self, before_s: float) -> None:
        for track in list(self._known):
            self._known[track] = [seen for seen in self._known[track] if seen[0] >= before_s]
            if not self._known[track]:
                del self._known[track]
