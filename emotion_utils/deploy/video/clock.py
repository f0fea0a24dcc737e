"""Times that go on where those that a file gives jump, repeat or are missing."""

from __future__ import annotations

from collections.abc import Iterator

from emotion_utils.deploy.video.frame import Jump
from emotion_utils.printable import count_of

LEAST_STEP_S = 1e-3  # between frames that a file shows at the same moment
DEFAULT_STEP_S = 0.04
REORDERED = 16  # frames that a decoder may hold back; of these AVI gives no times at the end


class Clock:
    """Gives each frame a time later than that of the one before it.

    Times of the file are kept, also where they are far apart. From a step back on, or one of more than `longest_gap_s`,
    they are counted on at the usual step, which is a jump; a single one that is out of order is placed between its
    neighbours.
    """

    def __init__(self, longest_gap_s: float, step_s: float = 0.0) -> None:
        self._longest_gap_s, self._step_s = longest_gap_s, step_s or DEFAULT_STEP_S
        self._last_s: float | None = None  # as the file gives it
        self.now_s = self.shift_s = 0.0
        self.misplaced = self.untimed = 0
        self.jumps: list[Jump] = []

    def place(self, given_s: float | None, following_s: float | None) -> float:
        """When a frame is shown, in seconds since the first one; `following_s` is what the next one is given."""
        if self._last_s is None:
            self._last_s = given_s if given_s is not None else (following_s or 0.0) - self._step_s
            self.shift_s = -self._last_s
        elif self._goes_on(given_s) and not (self._goes_on(following_s) and following_s <= given_s):
            self._step_s = given_s - self._last_s
            self._last_s, self.now_s = given_s, given_s + self.shift_s
        elif given_s is None and following_s is None:
            self.untimed += 1
            self.now_s, self._last_s = self.now_s + self._step_s, self._last_s + self._step_s
        elif self._goes_on(following_s):
            self._misplace((following_s + self.shift_s - self.now_s) / 2)
        elif given_s is None or given_s == self._last_s or 0 < given_s - self._last_s <= self._longest_gap_s:
            self._misplace(LEAST_STEP_S)
        else:
            self.now_s += self._step_s
            self.shift_s = self.now_s - given_s
            self.jumps.append(Jump(round(self.now_s, 6), given_s - self._last_s, self.shift_s))
            self._last_s = given_s
        return self.now_s

    def notes(self) -> Iterator[str]:
        if self.jumps:
            more = f" and {count_of(len(self.jumps) - 1, 'other place')}" if len(self.jumps) > 1 else ""
            yield (
                f"its times jump by {self.jumps[0].jumped_s:+,.1f} s at {self.jumps[0].at_s:.1f} s{more}: "
                "they are counted on from there"
            )
        if misplaced := self.misplaced + (self.untimed if self.untimed > REORDERED else 0):
            yield (f"{count_of(misplaced, 'frame')} had no time, or one out of order: placed between the neighbours")

    def _goes_on(self, given_s: float | None) -> bool:
        return (
            given_s is not None
            and 0 < given_s - self._last_s <= self._longest_gap_s
            and given_s + self.shift_s > self.now_s
        )

    def _misplace(self, most_s: float) -> None:
        self.misplaced += 1
        self.now_s += min(self._step_s, most_s)
