"""Paths as a person writes them: with ~ for a home folder, and never empty."""

from __future__ import annotations

import os
from pathlib import Path

from emotion_utils.errors import InputError

EMPTY = "an empty path: a variable that is not set gives one; name a file or folder, or . for the current folder"


def expand(path: str | os.PathLike[str]) -> Path:
    """`path` with its ~ or ~name at the start replaced by the home folder.

    Raises InputError where it is no path, is empty, has a null character, or names nobody's home.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        raise InputError(f"a {type(path).__name__} is no path: give a text or a pathlib.Path") from None
    if not isinstance(text, str):
        raise InputError(f"{text!r}: give a path as text, not as bytes")
    if not text:
        raise InputError(EMPTY)
    if "\0" in text:
        raise InputError(f"{text!r}: no path has a null character in it")
    try:
        return Path(text).expanduser() if text.startswith("~") else Path(text)  # ./~name is a file
    except RuntimeError:
        who = Path(text).parts[0]
        raise InputError(f"{text}: there is no home folder {who}; write ./{text} for a file of this name") from None


def absolute(path: str) -> str:
    """As the notebooks, which run in another folder, will find it."""
    return os.path.abspath(expand(path))
