"""The command line itself: help in whole sentences, and one line for whatever is written wrongly on it."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from emotion_utils.config import PROFILES, suggest_setting
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.terminal.output import fail

INTERRUPTED = (
    "interrupted; the same command goes on after what is finished, and a training from its last checkpoint, at most a "
    "minute old"
)
PLAIN = {  # for what click says of numbers
    "a valid integer range": "a whole number",
    "a valid integer": "a whole number",
    "a valid float range": "a number",
    "a valid float": "a number",
}


class OneLineErrors(click.Group):
    """A group whose errors are one line on standard error; exit status 1 for a failed run, 2 for bad input."""

    group_class = type  # of groups below it as well

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **kwargs):  # type: ignore[override]
        words = sys.argv[1:] if args is None else list(args)
        try:
            return super().main(words, prog_name or "emotion", **{**kwargs, "standalone_mode": False})
        except click.exceptions.Abort:
            fail(INTERRUPTED, 1)
        except click.exceptions.NoArgsIsHelpError as error:  # help, and yet nothing of what was wanted is done
            click.echo(error.format_message(), err=True)
            sys.exit(2)
        except click.ClickException as error:
            fail(explain(error, words), 2)
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


def explain(error: click.ClickException, words: Sequence[str]) -> str:
    """What is wrong with the command line `words`, and how it is written."""
    message = error.format_message()
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    if isinstance(error, click.MissingParameter) and error.param:
        what = getattr(error.param, "help", None)
        message = message.removesuffix(".") + (f": {what}" if what else "")
        usage = context.get_usage()
        return f"{message.removesuffix('.')}; {usage[0].lower()}{usage[1:]}"
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        near = [option for option in error.possibilities or () if option != "--help" or name.startswith("--h")]
        return message if near else f"No such option {name!r}" + _suggest_option(name, context, words)
    if message.startswith("Got unexpected extra argument"):
        return message + _suggest_quotes(message.partition("(")[2].removesuffix(")"), context)
    if message.startswith("No such command"):
        return _suggest_command(message, context)
    for theirs, ours in PLAIN.items():
        message = message.replace(theirs, ours)
    return message


def _suggest_option(name: str, context: click.Context, words: Sequence[str]) -> str:
    """The setting that goes by this name, or the option that lacks a dash; else where all options are listed."""
    options = _options(context)
    lacking = [f"-{word.partition('=')[0]}" for word in words if word.startswith(name) and not word.startswith("--")]
    if near := next((option for option in lacking if option in options), None):
        return f"; did you mean '{near}'?"
    setting = suggest_setting(name.lstrip("-").replace("-", "_")) if "--set" in options else ""
    if f"--{setting}" in options:
        return f"; did you mean '--{setting}'?"
    return f"; did you mean '--set {setting}=...'?" if setting else f"; {context.command_path} --help lists them"


def _suggest_command(message: str, context: click.Context) -> str:
    """An option of this name, or where the commands are listed, if click has found no command that is close."""
    name = message.split("'")[1]
    option = difflib.get_close_matches(f"--{name}", _options(context), n=1, cutoff=0.8)
    if option:
        return f"No such command {name!r}; did you mean '{context.command_path} {option[0]}'?"
    known = f"; {context.command_path} --help lists them"
    return message if "Did you mean" in message else message.removesuffix(".") + known


def _suggest_quotes(extra: str, context: click.Context) -> str:
    """What a word may be that stands where none is expected."""
    options, first = _options(context), extra.split(" ")[0]
    if "--profile" in options and first in PROFILES:
        return f"; did you mean '--profile {first}'?"
    if "--data" in options and Path(first).exists():
        return f"; did you mean '--data {first}'?"
    return "; names with spaces or brackets need quotes, and a setting no spaces: --set 'key=[a, b]'"


def _options(context: click.Context) -> list[str]:
    return ["--help", *(option for param in context.command.params for option in param.opts)]
