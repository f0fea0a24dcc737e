"""A run on a terminal: what stays, what goes by, and what it says of the time left."""

import fcntl
import os
import re
import struct
import sys
import termios
from contextlib import suppress

import pandas as pd
import pytest

from emotion_utils.artefacts import HISTORY_COLUMNS
from emotion_utils.config import resolve_config
from emotion_utils.run import Run
from emotion_utils.terminal import live_line, time_left
from emotion_utils.terminal.live_line import LiveLines
from emotion_utils.terminal.time_left import Part, TimeLeft

PARTS = [Part("01"), Part("02", "VGG16_emotion", 1), Part("03", "r18_scratch_emotion", 2), Part("05")]
COLUMNS = 60


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds): lets so much time pass."""
    now = [0.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_time_left_follows_from_what_was_measured(clock):
    config = resolve_config("smoke", ["epochs=10"])
    left = TimeLeft(PARTS, config, {})
    left.begin("01")
    assert left.seconds is None  # nothing is known yet
    clock(20)
    left.finish()
    left.begin("02")
    left.measured(100.0)  # 10 epochs of 5 units: a unit takes 2 s, ResNet18's 2 x 10 take 40
    fixed = time_left.FIXED_S
    assert left.seconds == fixed + 100 + fixed + 40 + time_left.OTHER_STAGES * fixed
    clock(50)
    assert left.seconds == fixed + 50 + fixed + 40 + time_left.OTHER_STAGES * fixed
    clock(60)
    left.finish()  # 10 s beside the training
    left.begin("03")
    assert left.seconds == 10 + 40 + time_left.OTHER_STAGES * 10
    left.begin("05")
    clock(1000)
    assert left.seconds == 0.0


def test_stages_of_an_earlier_run_take_what_they_took_and_finished_trainings_nothing(clock):
    left = TimeLeft(PARTS, resolve_config("smoke"), {"02": 50.0, "03": 40.0, "05": 30.0})
    left.begin("02")
    assert left.seconds == 50 + 0 + 30


def test_a_stage_that_ends_while_the_line_is_drawn_takes_no_other_with_it(clock):
    class Ending(dict):
        """What earlier runs took; the stage under way ends when that is looked up for the first time."""

        def __contains__(self, notebook):
            if not ended:
                ended.append(notebook)
                left.finish()
            return super().__contains__(notebook)

    ended = []
    parts = [Part("01"), Part("05"), Part("06")]
    left = TimeLeft(parts, resolve_config("smoke"), Ending({"01": 20.0, "05": 30.0, "06": 40.0}))
    assert left.seconds == 20 + 30 + 40
    assert left.seconds == 30 + 40


class Pty:
    """A terminal of COLUMNS columns as sys.stdout and sys.stderr."""

    def __init__(self, monkeypatch):
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self.stream = open(slave, "w", encoding="utf-8")  # noqa: SIM115
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, self.stream)

    def read(self):
        self.stream.close()
        shown = b""
        with suppress(OSError):  # the end, as Linux says it of a terminal
            while part := os.read(self.master, 4096):
                shown += part
        return shown.decode()


def history(epochs):
    numbers = {column: [0.5] * epochs for column in HISTORY_COLUMNS}
    return pd.DataFrame(numbers | {"epoch": range(1, epochs + 1), "phase": "all", "seconds": 30.0})


def test_on_a_terminal_epochs_go_by_and_what_is_out_of_the_ordinary_stays(tmp_path, monkeypatch):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(live_line, "REDRAW_S", 60.0)
    terminal = Pty(monkeypatch)
    lines = LiveLines(Run.create(tmp_path / "run", resolve_config("smoke", ["epochs=8"])), PARTS)
    lines.begin("[2/4] 02", "02")
    lines.tell_event({"kind": "phase", "epoch": 1, "phase": "head", "trainable_parameters": 15})
    lines.tell_event({"kind": "rollback", "epoch": 1, "rate_factor": 0.5})
    lines.tell_epoch(history(3), 8)
    lines.finish(70.0)
    lines.begin(f"[3/4] {'long' * 30}", "03")
    lines.close()
    monkeypatch.undo()
    shown = terminal.read()
    stayed = [line for line in shown.split("\n") if line.strip()][:-1]
    assert [re.sub(r"\x1b\[\w+|.*\r", "", line.rstrip("\r")) for line in stayed] == [
        "[2/4] 02: epoch 1 starts again at 0.5 times the learning rate", "[2/4] 02: finished in 1 min 10 s"
    ]  # fmt: skip
    assert re.search(r"\r\x1b\[36m\[2/4\] 02: \x1b\[0mepoch 4/8, val accuracy 0.500, about \d min left", shown)
    passing = re.sub(r"\x1b\[\d*m", "", shown).split("\r")
    drawn = [part for part in passing if "long" in part]
    assert drawn
    assert max(map(len, drawn)) <= COLUMNS  # a longer one would leave pieces behind
    assert not passing[-1].strip()  # nothing of it stays
