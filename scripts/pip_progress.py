"""Runs pip with one line that says what it is doing, in place of its hundred; needs nothing but Python itself."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

CHOSEN = re.compile(r"Collecting ([\w.-]+)")
FETCHED = re.compile(
    r"(?:Downloading|Using cached) (?:\S*/)?([^\s/]+?)-[\d][^\s/]*\.(?:whl|tar\.gz|zip) \(([\d.]+) (.?)B\)"
)
MEGABYTES = {"": 1e-6, "k": 1e-3, "M": 1.0, "G": 1e3}  # pip counts in powers of ten
TICK_S = 1.0
LAST_LINES, LINE_LENGTH = 6, 200  # of what pip said, where it fails


def run_pip(command: Sequence[str | Path], log: Path, *, cwd: Path, lock_file: int) -> bool:
    """Whether pip ended well. All that it says goes to `log`, and where it fails the end of that to standard error.

    On a terminal one line is drawn anew each second; elsewhere each stage gets one line when it is finished. pip holds
    the lock while it lives.
    """
    stages = Stages()
    with (
        log.open("w", encoding="utf-8", buffering=1) as log_file,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, pass_fds=(lock_file,)
        ) as pip,
    ):
        for line in read_lines(pip.stdout, lambda: draw(stages.now())):
            log_file.write(f"{line}\n")
            if done := stages.read(line):
                tell(done)
            draw(stages.now())
    tell(*([f"installed in {stages.lap()}"] if pip.returncode == 0 else last_lines(log)))
    return pip.returncode == 0


class Stages:
    """What pip is doing, as the lines say that it prints: it chooses and fetches packages, then unpacks them."""

    def __init__(self) -> None:
        self.started = self.begun = time.monotonic()
        self.doing = "starting pip"
        self.packages = 0
        self.megabytes = 0.0

    def read(self, line: str) -> str | None:
        """Takes in one line; returns what to tell of a stage that it ends."""
        line = line.strip()
        if found := CHOSEN.match(line):
            self.doing = f"choosing versions, now of {found[1]}"
        elif found := FETCHED.match(line):
            self.packages += 1
            self.megabytes += float(found[2]) * MEGABYTES[found[3]]
            self.doing = f"fetching {found[1]} ({found[2]} {found[3]}B)"
        elif line.startswith("Installing collected packages:"):
            packages = line.count(",") + 1
            self.doing = f"unpacking {packages} packages"
            return f"{packages} packages chosen and fetched, {self.megabytes:,.0f} MB, in {self.lap()}"
        return None

    def now(self) -> str:
        fetched = f"; {self.packages} packages, {self.megabytes:,.0f} MB so far" if self.packages else ""
        return f"{self.doing}{fetched}; {spell(time.monotonic() - self.started)}"

    def lap(self) -> str:
        """The time since the last stage ended, which begins the next."""
        before, self.begun = self.begun, time.monotonic()
        return spell(self.begun - before)


def read_lines(pipe: IO[bytes], wait: Callable[[], None]) -> Iterator[str]:
    """The lines that come through a pipe; `wait` is called each second in which none comes."""
    rest = b""
    while True:
        while not select.select([pipe], [], [], TICK_S)[0]:
            wait()
        chunk = os.read(pipe.fileno(), 1 << 16)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
        if not chunk:
            if rest:
                yield rest.decode("utf-8", "replace")
            return


def draw(text: str) -> None:
    """The one line, in place of what was drawn before; nothing where standard error is no terminal."""
    if sys.stderr.isatty():
        width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        print(f"\r\x1b[2K{text[: width - 1]}", end="", file=sys.stderr, flush=True)


def tell(*lines: str) -> None:
    """Lines that stay."""
    draw("")
    for line in lines:
        print(f"environment: {line}", file=sys.stderr)


def last_lines(log: Path) -> list[str]:
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    shown = [line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]} ..." for line in lines[-LAST_LINES:]]
    return [f"pip: {line}" for line in shown]


def spell(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
