"""The wall time that a run may take, for machines that cut a session off: shared out among the trainings to come."""

from __future__ import annotations

import os
import time

VARIABLE = "EMOTION_TRAINING_SECONDS"  # what a notebook's kernel is told
RESERVE_S = 240.0  # kept for what follows the trainings: creative element, report
RESERVE_SHARE = 0.3  # of the budget, where that is less


class Budget:
    """Starts counting when it is made. `minutes` None: no limit."""

    def __init__(self, minutes: float | None) -> None:
        self._end = None
        if minutes is not None:
            self._end = time.monotonic() + 60 * minutes - min(RESERVE_S, RESERVE_SHARE * 60 * minutes)

    def share(self, trainings: int) -> float:
        """Seconds for the next of so many trainings that are still to come; 0 where the time is spent."""
        return float("inf") if self._end is None else max(0.0, self._end - time.monotonic()) / trainings


def training_seconds(recipe_minutes: float | None) -> float:
    """What one training may take: the recipe's budget or the run's share, whichever is less; inf without either."""
    return min(60 * (recipe_minutes or float("inf")), float(os.environ.get(VARIABLE, "inf")))
