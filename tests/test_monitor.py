"""Progress lines: what they say, and that each epoch is told once."""

import pandas as pd
import pytest

from emotion_utils.config import resolve_config
from emotion_utils.monitor import EpochMonitor, duration, epoch_line
from emotion_utils.run import HISTORY_COLUMNS, Run

MODEL = "r18_scratch_emotion"


def history(epochs):
    numbers = {column: [0.5] * epochs for column in HISTORY_COLUMNS}
    return pd.DataFrame(numbers | {"epoch": range(1, epochs + 1), "phase": "all", "seconds": 30.0})


def test_line_tells_epoch_accuracy_and_time_left():
    assert epoch_line(history(2), 8) == "epoch 2/8, val accuracy 0.500, about 3 min 0 s left"
    assert epoch_line(history(8), 8) == "epoch 8/8, val accuracy 0.500"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3660, "1 h 1 min")]
)
def test_durations_are_written_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_last_epoch_is_told_even_if_training_ends_at_once(tmp_path):
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    said = []
    with EpochMonitor(run, MODEL, said.append):
        run.write_history(MODEL, history(2))
    assert said[-1].startswith("epoch 2/2")
    assert len(said) == len(set(said))
