"""Every setting of a run for people to read: its key, its value, what else it may be, and what it decides."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from emotion_utils.config import RunConfig
from emotion_utils.model_table import MODELS
from emotion_utils.recipe import AugmentConfig, Recipe

OPTIONS = ("profile", "data", "classes")  # of the command itself
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}  # as pydantic names them


class Setting(NamedTuple):
    """`value` and `choices` as one would type them; choices is empty where any text may stand."""

    key: str
    value: str
    choices: str
    meaning: str


def list_settings(config: RunConfig) -> list[Setting]:
    """All of them in the order of config.py; a recipe's key stands once, as MODEL, with the values of all models."""
    settings: list[Setting] = []
    for key, field in RunConfig.model_fields.items():
        if key == "augment":
            settings += [_describe(f"augment.{name}", inner, [getattr(config.augment, name)])
                         for name, inner in AugmentConfig.model_fields.items()]  # fmt: skip
        elif key == "recipes":
            settings += [_describe(f"recipes.MODEL.{name}", inner,
                                   [getattr(config.recipes[model], name) for model in config.models])
                         for name, inner in Recipe.model_fields.items()]  # fmt: skip
        elif key not in OPTIONS:
            settings.append(_describe(key, field, [getattr(config, key)], MODELS if key == "models" else ()))
    return settings


def format_setting(setting: Setting, width: int) -> str:
    """One setting as lines of at most `width` characters."""
    choices = f"  ({setting.choices})" if setting.choices else ""
    wrapped = partial(textwrap.wrap, width=width, break_long_words=False, break_on_hyphens=False)
    lines = wrapped(f"{setting.key}={setting.value}{choices}", subsequent_indent="      ")
    return "\n".join([*lines, *wrapped(setting.meaning, initial_indent="    ", subsequent_indent="    ")])


def _describe(key: str, field: FieldInfo, values: list[Any], choices: Iterable[str] = ()) -> Setting:
    written = list(dict.fromkeys(_write(value) for value in values))
    if len(written) > 1:
        written = [_write(value) for value in values]
    return Setting(key, " | ".join(written), ", ".join(choices or _choices(field)), field.description)


def _write(value: Any) -> str:
    """As --set reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "[" + ", ".join(_write(getattr(entry, "__dict__", entry)) for entry in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_write(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def _choices(field: FieldInfo) -> Iterator[str]:
    """Literals, true and false, or the ends of a range."""
    kinds = [field.annotation, *get_args(field.annotation)]
    found = [kind for kind in kinds if get_origin(kind) is Literal]
    if found:
        yield from map(str, get_args(found[0]))
    elif bool in kinds:
        yield from ("false", "true")
    facts = [fact for kind in kinds for fact in getattr(kind, "__metadata__", ())] + field.metadata
    facts = [part for fact in facts for part in (fact.metadata if isinstance(fact, FieldInfo) else [fact])]
    bounds = {name: getattr(fact, name) for name in BOUNDS for fact in facts if hasattr(fact, name)}
    if bounds.keys() == {"ge", "le"}:
        yield f"from {bounds['ge']} to {bounds['le']}"
    elif bounds:
        yield " and ".join(f"{BOUNDS[name]} {value}" for name, value in bounds.items())
    if type(None) in kinds:
        yield "null"
