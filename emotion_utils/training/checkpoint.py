"""The state of a training between two steps, on disk: a killed training continues from it, to the same bits."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from emotion_utils.errors import EmotionError
from emotion_utils.files import replacing

INTERVAL_S = 60.0  # between two checkpoints: the most work that a kill can cost
COST_SHARE = 0.02  # of the time, at most, is spent on writing them


class Checkpoint:
    """One file that is always whole. `key` names what the state belongs to: settings, data, network."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self._written, self._cost_s = time.monotonic(), 0.0

    def is_due(self) -> bool:
        return time.monotonic() - self._written >= max(INTERVAL_S, self._cost_s / COST_SHARE)

    def write(self, state: dict[str, Any]) -> None:
        """Replaces the file at once: a kill meanwhile leaves the last one. Raises EmotionError on a full disk."""
        start = time.monotonic()
        try:
            with replacing(self.path) as temporary:
                torch.save({"key": self.key, "state": state}, temporary)
        except (OSError, RuntimeError) as error:  # torch reports a full disk by either
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            reason = "no room for all of it" if "unexpected pos" in reason else reason  # torch counts bytes, no more
            last = "the last checkpoint is intact" if self.path.exists() else "there is no checkpoint yet"
            raise EmotionError(
                f"{self.path}: cannot be written ({reason}); make room and start again: {last}"
            ) from None
        self._written = time.monotonic()
        self._cost_s = self._written - start

    def read(self) -> tuple[dict[str, Any] | None, str]:
        """The state, or None and the reason why the file cannot be used (empty if there is none)."""
        if not self.path.exists():
            return None, ""
        try:
            with zipfile.ZipFile(self.path) as archive:
                damaged = archive.testzip()  # torch writes checksums, and does not look at them
            if damaged:
                return None, f"damaged: the checksum of {damaged} is another"
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file fails in many ways
            return None, f"not readable: {str(error).partition(chr(10))[0]}"
        if not isinstance(stored, dict) or stored.get("key") != self.key or "state" not in stored:
            return None, "it belongs to other settings, data or weights"
        return stored["state"], ""

    def clear(self) -> None:
        """Deletes half-written files that kills left; only the process that writes may call this."""
        for leftover in self.path.parent.glob(f".{self.path.name}.*"):
            leftover.unlink()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
