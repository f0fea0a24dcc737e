"""What the environment decides: where the cache lies, and whether the network may be used."""

from __future__ import annotations

import os
from pathlib import Path

from emotion_utils.errors import InputError
from emotion_utils.given_paths import absolute

OFFLINE_VARIABLE = "EMOTION_OFFLINE"


def cache_dir() -> Path:
    """Where weights, stores and proxies are kept between runs; EMOTION_CACHE_DIR moves it."""
    if given := os.environ.get("EMOTION_CACHE_DIR"):
        return Path(absolute(given))
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise InputError("this user has no home folder for the cache: set EMOTION_CACHE_DIR to one") from None
    return Path(base) / "emotion_utils"


def is_offline() -> bool:
    """Whether EMOTION_OFFLINE forbids whatever needs a network."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")
