"""Durations as people say them, and bars for terminals alone."""

import io
import sys

import pytest

from emotion_utils.progress import bars_for_a_terminal, format_duration, progress_bar


class Stream(io.StringIO):
    def __init__(self, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bars_are_drawn_on_a_terminal_and_leave_logs_alone(monkeypatch, is_terminal):
    monkeypatch.setattr(sys, "stderr", stream := Stream(is_terminal))
    monkeypatch.delenv("EMOTION_QUIET", raising=False)
    update = progress_bar("predict")
    for done in range(1, 4):
        update(done, 3)
    with bars_for_a_terminal():
        print("a library's bar", file=sys.stderr)
    assert ("predict" in stream.getvalue(), "bar" in stream.getvalue()) == (is_terminal, is_terminal)
    assert is_terminal or not stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3660, "1 h 1 min")]
)
def test_durations_are_written_as_people_say_them(seconds, text):
    assert format_duration(seconds) == text
