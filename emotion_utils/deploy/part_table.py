"""A long table that grows in a file beside its own, so that work that was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, Field, ValidationError

from emotion_utils.errors import InputError
from emotion_utils.files import missing_folders, open_to_append, read_json, refuse_target, remove_empty, write_json

_Count = Annotated[int, Field(ge=0, le=2**53)]


class _Notes(BaseModel):
    """What an earlier try left."""

    key: str
    done: _Count
    bytes: _Count
    state: dict[str, Any] | None = None
    state_sha256: str | None = None  # only what was written is gone on with: its form is its reader's alone


class PartTable:
    """`path` in the making: text in `path`.part, and beside it how much of that is whole.

    Raises InputError at once where nothing can be written there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = 0  # of what is counted, in the part that an earlier try left ...
        self.state: dict[str, Any] | None = None  # ... and what it needs to go on there
        self._part, self._notes = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        refuse_target(path, "name a file for the table")
        self._made = missing_folders(path.parent)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._existed = self._part.exists()
            self._file = open_to_append(self._part)
        except OSError as error:
            remove_empty(self._made)
            raise self._refused(error) from None

    def resume(self, key: str) -> None:
        """Keeps what an earlier try of the same `key` left; anything else in its place is overwritten."""
        self._key = key
        size = 0
        try:
            notes = _Notes.model_validate(read_json(self._notes), strict=True)
            is_whole = notes.state is None or notes.state_sha256 == _checksum(notes.state)
            if notes.key == key and is_whole and notes.bytes <= os.fstat(self._file.fileno()).st_size:
                self.done, self.state, size = notes.done, notes.state, notes.bytes
        except (InputError, ValidationError):
            pass  # none, damaged, or cut off in the middle of a line: from the start
        self._file.truncate(size)
        self._file.seek(0, os.SEEK_END)

    def restart(self) -> None:
        """Forgets what an earlier try left."""
        self.done, self.state = 0, None
        self._file.truncate(0)
        self._file.seek(0)

    def append(self, text: str, done: int, state: dict[str, Any] | None = None) -> None:
        """Adds text, which brings the count to `done`. Raises InputError where the disk takes no more."""
        try:
            self._file.write(text.encode("utf-8", "backslashreplace"))
            self._file.flush()
            os.fsync(self._file.fileno())
            notes = {"key": self._key, "done": done, "bytes": self._file.tell()}
            told = {} if state is None else {"state": state, "state_sha256": _checksum(state)}
            write_json(self._notes, notes | told)
        except OSError as error:
            raise self._refused(error) from None

    def read(self) -> pd.DataFrame:
        """The part that an earlier try left, as text; empty where it is no table."""
        try:
            return pd.read_csv(self._part, dtype=str, keep_default_na=False)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
            return pd.DataFrame()

    def finish(self) -> None:
        """The table takes its place."""
        self._file.close()
        try:
            self._part.replace(self.path)
        except OSError as error:
            raise self._refused(error) from None
        self._notes.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Closes it; leaves what has been done, but nothing where nothing was."""
        self._file.close()
        if not self._existed and not self._notes.exists():
            self._part.unlink(missing_ok=True)
            remove_empty(self._made)

    def _refused(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: cannot be written ({error.strerror}); name another --output")


def _checksum(state: dict[str, Any]) -> str:
    """The same for a state and for what is read of it again."""
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
