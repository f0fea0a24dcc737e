"""Durations as people say them."""

import pytest

from emotion_utils.progress import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3660, "1 h 1 min")]
)
def test_durations_are_written_as_people_say_them(seconds, text):
    assert format_duration(seconds) == text
