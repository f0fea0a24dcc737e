"""Options that several commands take, among them short forms of --set: what somebody types first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from emotion_utils.errors import InputError
from emotion_utils.given_paths import EMPTY
from emotion_utils.model_table import trust_code


class _GivenPath(click.Path):
    """A path that is not empty: click makes the current folder of one that is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail(EMPTY, param, ctx)
        return super().convert(value, param, ctx)


PATH = _GivenPath(path_type=Path)
DATA = _GivenPath(path_type=str)  # or a link, or the number of a camera
DEVICE_VARIABLE = "EMOTION_DEVICE"  # of devices.py, which needs torch


def takes_recipe(command: Callable[..., Any]) -> Callable[..., Any]:
    """--lr and --epochs: what a training of one model can change as well."""
    for option in (
        click.option("--epochs", type=click.IntRange(1, 1000), metavar="N", help="Passes over the training images."),
        click.option("--lr", type=click.FloatRange(0, 10, min_open=True), metavar="RATE",
                     help="Learning rate of the head, of every model that is trained."),
    ):  # fmt: skip
        command = option(command)
    return command


takes_device = click.option(
    "--device", metavar="NAME", expose_value=False, callback=lambda _, __, name: _name_device(name),
    help="cpu, cuda, cuda:1 or mps.  [default: a GPU that computes what the CPU does, else the CPU]",
)  # fmt: skip


trusts_code = click.option(
    "--trust-code", multiple=True, metavar="FILE", expose_value=False,
    type=PATH, callback=lambda _, __, files: trust_code(files),
    help="Run this Python file, which builds a network of your own or of somebody whose code you would run.",
)  # fmt: skip


def _name_device(name: str | None) -> None:
    """For this process and those that it starts."""
    if name is not None:
        os.environ[DEVICE_VARIABLE] = name


def refuse_contradictions(settings: Iterable[str], **options: Any) -> None:
    """Raises InputError where --set gives a value to what an option gives one to as well."""
    for key in (setting.partition("=")[0].strip() for setting in settings):
        if options.get(key) is not None:
            raise InputError(f"--{key} and --set {key}=... are the same setting: give it once")


def rates_of(models: Iterable[str], lr: float | None) -> list[str]:
    """The settings that --lr stands for; those of --set come behind them, and so overrule them for one model."""
    return [] if lr is None else [f"recipes.{model}.lr={lr!r}" for model in models]
