"""How long a run still takes: from what its trainings have been measured to take, and what earlier stages took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from emotion_utils.config import RunConfig
from emotion_utils.model_table import get_spec

FIXED_S = 15.0  # of a stage beside its training, until one was measured: a kernel starts, figures are drawn
OTHER_STAGES = 1.5  # times as long as that take the stages that train nothing


class Part(NamedTuple):
    """A stage as far as its time goes: its notebook, the model that it trains, and how often it does."""

    notebook: str
    model: str | None = None
    trainings: int = 0


class TimeLeft:
    """Of the stages of a run; `earlier` has the seconds that stages took before, in this folder."""

    def __init__(self, parts: Sequence[Part], config: RunConfig, earlier: Mapping[str, float]) -> None:
        self._to_come, self._config, self._earlier = list(parts), config, earlier
        self._pace_s: float | None = None  # of a ResNet18's epoch
        self._trainings: dict[str, float] = {}  # seconds, as measured so far
        self._fixed: list[float] = []
        self._began = time.monotonic()

    def begin(self, notebook: str) -> None:
        """The stages before this one are done, or were."""
        if self._to_come and self._to_come[0].notebook != notebook:
            names = [part.notebook for part in self._to_come]
            self._to_come = self._to_come[names.index(notebook) :]
        self._began = time.monotonic()

    def measured(self, seconds: float) -> None:
        """What one training of the stage that has begun takes, as far as is known now."""
        model = self._to_come[0].model
        self._trainings[model] = seconds
        self._pace_s = seconds / self._work(model)

    def finish(self) -> None:
        """The stage that has begun is done."""
        part = self._to_come.pop(0)
        if part.model in self._trainings:
            self._fixed.append(max(0.0, self.elapsed - part.trainings * self._trainings[part.model]))
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds of the stage that has begun."""
        return time.monotonic() - self._began

    @property
    def seconds(self) -> float | None:
        """All that is still to come; None as long as no training was measured."""
        parts = list(self._to_come)  # those of one moment: the line is drawn by a thread of its own
        expected = [self._expect(part, is_under_way=number == 0) for number, part in enumerate(parts)]
        if not expected or None in expected:
            return None
        return max(0.0, expected[0] - self.elapsed) + sum(expected[1:])

    def _expect(self, part: Part, *, is_under_way: bool) -> float | None:
        if part.notebook in self._earlier and part.model not in self._trainings:
            return self._earlier[part.notebook] if is_under_way or part.model is None else 0.0  # else it is up to date
        fixed = sum(self._fixed) / len(self._fixed) if self._fixed else FIXED_S
        if part.model is None:
            return OTHER_STAGES * fixed
        if self._pace_s is None:
            return None
        most = 60 * (self._config.recipes[part.model].budget_minutes or float("inf"))
        seconds = self._trainings.get(part.model, self._pace_s * self._work(part.model))
        return fixed + part.trainings * min(most, seconds)

    def _work(self, model: str) -> float:
        """A training in epochs of a ResNet18."""
        return get_spec(model).cost * (self._config.recipes[model].epochs or self._config.epochs)
