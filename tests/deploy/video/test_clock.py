"""Times that jump, repeat or are missing."""

from itertools import pairwise

import pytest

from emotion_utils.deploy.video.clock import Clock

STEP_S = 0.1


def place(stamps, longest_gap_s=10.0):
    clock = Clock(longest_gap_s, STEP_S)
    times_s = [clock.place(*pair) for pair in zip(stamps, [*stamps[1:], None], strict=True)]
    assert all(after > before for before, after in pairwise(times_s)), "no frame is lost"
    return times_s, clock


@pytest.mark.parametrize("stamps", [[3, 3.1, 3.2, 9.2, 9.25], [0, 1e-6, 2e-6], [-1, 0, 1]])
def test_times_that_rise_stay_as_they_are(stamps):
    times_s, clock = place(stamps)
    assert times_s == [stamp - stamps[0] for stamp in stamps]
    assert not list(clock.notes())


@pytest.mark.parametrize("wrong", [1000.0, -1000.0, 0.1, 0.05, 0.7, None])
def test_a_single_wrong_time_is_placed_between_its_neighbours(wrong):
    times_s, clock = place([0, 0.1, 0.2, wrong, 0.4, 0.5])
    assert times_s == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [note.split(" had")[0] for note in clock.notes()] == ["1 frame"]


@pytest.mark.parametrize("begin", [0.0, 0.15, -5.0, 1000.0])
def test_times_that_begin_anew_go_on(begin):
    times_s, clock = place([0, 0.1, 0.2, 0.3, *(begin + STEP_S * n for n in range(4))])
    assert times_s == pytest.approx([STEP_S * n for n in range(8)])
    (jump,) = clock.jumps
    assert (jump.at_s, jump.jumped_s) == pytest.approx((0.4, begin - 0.3))
    assert begin + jump.shift_s == pytest.approx(0.4)
    assert next(clock.notes()).startswith(f"its times jump by {begin - 0.3:+,.1f} s at 0.4 s:")


@pytest.mark.parametrize(
    "stamps",
    [[0, 0, 0, 1, 1, 1, 2], [0, 0.1, 0.2, 0.1, 0.2, 0.1, 0.2], [0, 1000, 0.2, 1000.3, 0.4], [5, None, None, None]],
)
def test_no_frame_is_lost_whatever_the_times(stamps):
    assert place(stamps)[0][-1] < 3
