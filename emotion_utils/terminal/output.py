"""What the command says to a person: lines without codes from elsewhere, colour on a terminal."""

from __future__ import annotations

import os
import sys
from typing import NoReturn, TextIO

import click

from emotion_utils.printable import printable, shorten


def say(line: object) -> None:
    """A line for a person; what it quotes cannot reach the terminal as a code."""
    click.echo(printable(str(line)))


def note(line: str) -> None:
    """What has to be known beside the output, on standard error."""
    click.echo(f"emotion: {printable(line)}", err=True)


def paint(text: str, stream: TextIO, **style: object) -> str:
    """`text` in the style of `click.style` where `stream` is a terminal that takes colour."""
    return click.style(text, **style) if has_colour(stream) else text


def is_watched() -> bool:
    """Whether both streams lead to a terminal on which a line can be drawn anew."""
    return sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Not in a file or a pipe, nor where NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def fail(message: str, status: int) -> NoReturn:
    """Says why the command ends, in one line on standard error."""
    line = shorten(printable(" ".join(message.split())))
    click.echo(paint("emotion:", sys.stderr, fg="red", bold=True) + f" {line}", err=True)
    sys.exit(status)
