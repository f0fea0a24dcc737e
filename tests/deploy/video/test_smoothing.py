import json

import numpy as np
import pandas as pd
import pytest

from emotion_utils.deploy.video.smoothing import Smoother, smooth


def logits(probs):
    return np.log(probs) - np.log(probs).mean(axis=-1, keepdims=True)


@pytest.fixture
def seen():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.02, 0.3, 60))
    return times, rng.dirichlet([2, 2, 2], 60)


def test_causal_average_is_that_of_pandas(seen):
    times, probs = seen
    constant_s = 0.4
    stamps = pd.to_datetime(times, unit="s")
    expected = pd.DataFrame(logits(probs)).ewm(halflife=pd.Timedelta(constant_s * np.log(2), "s"), times=stamps).mean()
    ours = smooth(times[:41], probs[:41], times[40], constant_s, ahead=False)
    # What lies more than four time constants back is left out here.
    np.testing.assert_allclose(logits(ours), logits(np.exp(expected.to_numpy()[40])), atol=0.03)


def test_both_ways_has_no_lag():
    times = np.arange(41) / 20
    probs = np.where((times < 1)[:, None], [[0.8, 0.2]], [[0.2, 0.8]])
    probs[20] = 0.5
    both = np.array([smooth(times, probs, at, 0.2, ahead=True) for at in times])
    np.testing.assert_allclose(both, both[::-1, ::-1], atol=1e-12)
    causal = np.array([smooth(times, probs, at, 0.2, ahead=False) for at in times])
    assert both[20, 0] == pytest.approx(0.5)
    assert causal[20, 0] > 0.6


def test_rows_leave_in_order_with_what_the_whole_would_give(seen):
    times, probs = seen
    rows = [
        {"time_s": time, "track": None if place % 7 == 3 else 1 + place % 2, "probs": row.tolist()}
        for place, (time, row) in enumerate(zip(times, probs, strict=True))
    ]
    for ahead in (False, True):
        smoother, left = Smoother(0.15, ahead=ahead), []
        for place, row in enumerate(rows):
            left += smoother.add([dict(row)], row["time_s"])
            if place % 11 == 5:  # what was interrupted goes on
                state = json.loads(json.dumps(smoother.state()))
                smoother = Smoother(0.15, ahead=ahead)
                smoother.restore(state)
        left += smoother.flush()
        assert [row["time_s"] for row in left] == [row["time_s"] for row in rows]
        for row in left:
            if row["track"] is None:
                assert "smoothed" not in row
                continue
            own = [other for other in rows if other["track"] == row["track"]]
            whole = smooth(
                [o["time_s"] for o in own], np.array([o["probs"] for o in own]), row["time_s"], 0.15, ahead=ahead
            )
            np.testing.assert_allclose(row["smoothed"], whole, atol=1e-12)


def test_memory_does_not_grow_with_the_video():
    smoother = Smoother(0.2, ahead=True)
    for number in range(5000):
        smoother.add([{"time_s": number / 25, "track": 1 + number // 500, "probs": [0.5, 0.5]}], number / 25)
    assert len(json.dumps(smoother.state())) < 20_000
