"""What the command says to a person: lines without codes from elsewhere, colour on a terminal, errors of one line."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn, TextIO

import click

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.printable import printable, shorten

INTERRUPTED = "interrupted; the same command continues from the last checkpoint, which is at most a minute old"

PLAIN = {  # for what click says of numbers
    "a valid integer range": "a whole number", "a valid integer": "a whole number",
    "a valid float range": "a number", "a valid float": "a number",
}  # fmt: skip


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


class OneLineErrors(click.Group):
    """A group whose errors are one line on standard error; exit status 1 for a failed run, 2 for bad input."""

    group_class = type  # of groups below it as well

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **kwargs):  # type: ignore[override]
        try:
            return super().main(args, prog_name or "emotion", **{**kwargs, "standalone_mode": False})
        except click.exceptions.Abort:
            fail(INTERRUPTED, 1)
        except click.exceptions.NoArgsIsHelpError as error:  # help, and yet nothing of what was wanted is done
            click.echo(error.format_message(), err=True)
            sys.exit(2)
        except click.ClickException as error:
            fail(_explain(error), 2)
        except InputError as error:
            fail(str(error), 2)
        except EmotionError as error:
            fail(str(error), 1)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not error.filename:
                raise
            fail(f"{error.filename}: {error.strerror}: change its permissions, or work on a copy", 1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they are written down, not by the alphabet."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Whole sentences, where click would break them off."""
        rows = [(name, command.get_short_help_str(limit=500)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _explain(error: click.ClickException) -> str:
    """What is wrong with the command line, and how it is written."""
    message = error.format_message()
    if isinstance(error, click.MissingParameter) and error.ctx and error.param:
        what = getattr(error.param, "help", None)
        message = message.removesuffix(".") + (f": {what}" if what else "")
        return f"{message.removesuffix('.')}; {error.ctx.get_usage()[0].lower()}{error.ctx.get_usage()[1:]}"
    for theirs, ours in PLAIN.items():
        message = message.replace(theirs, ours)
    return message
