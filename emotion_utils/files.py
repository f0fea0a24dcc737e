"""Tables and facts as files: each is written whole or not at all, and checked when it is read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from emotion_utils.errors import EmotionError, InputError

LEFTOVER = re.compile(r"\..+\.[0-9a-z_]{8}(\.\w+)?")  # of `replacing`
LARGEST_WHOLE = 2**53  # up to here a float64 holds each whole number

Kind = Literal["text", "number", "integer", "number or empty"]  # of what a column holds; what is empty reads as NaN
NUMBERS = ("number", "integer", "number or empty")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that takes its place when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")  # as `remove_leftovers` knows it
    temporary.open("xb").close()  # for whom the umask allows
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """What killed processes left of files that they were writing; nobody else may be writing below `folder`."""
    for path in folder.rglob(".*.*"):
        if LEFTOVER.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- JSON ------------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    """Written whole: a reader sees the old file or the new one."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, made_by: str = "") -> Any:
    """What `path` holds. Raises InputError where it is missing, EmotionError where it is damaged; both name `made_by`,
    which writes it."""
    _require(path, made_by)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EmotionError(
            f"{path}: not readable as JSON ({error}); make it again with {made_by or '--fresh'}"
        ) from None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """One object per line. Raises EmotionError naming file and row."""
    values = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            values.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise EmotionError(f"{path}, row {number}: not readable as JSON ({error})") from None
    return values


# -- CSV -------------------------------------------------------------------------------------------


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Written whole; floats in the shortest form that reads back to the same bits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: Path, made_by: str) -> pd.DataFrame:
    """A table of text, for `convert_columns`.

    Raises InputError where the file is missing, EmotionError where it is cut off or damaged; both name `made_by`.
    """
    _require(path, made_by)
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        row = content.count(b"\n") + 1
        raise EmotionError(f"{path}, row {row}: the file ends within a line; make it again with {made_by}")
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise EmotionError(f"{path}: not readable as CSV ({error}); make it again with {made_by}") from None


def convert_columns(path: Path, table: pd.DataFrame, kinds: Mapping[str, Any]) -> pd.DataFrame:
    """A copy with the NUMBERS among `kinds` as float64 or int64, to the very bits that were written.

    Raises EmotionError naming the file and the first row that holds something else.
    """
    table = table.copy()
    for column, kind in kinds.items():
        if kind not in NUMBERS:
            continue
        if kind == "number or empty":
            table[column] = table[column].replace("", None)
        numbers = pd.to_numeric(table[column], errors="coerce")
        refuse_rows(path, numbers.isna() & table[column].notna(), f"{column} is not a number")
        table[column] = table[column].astype("float64")
        if kind == "integer":
            refuse_rows(path, (numbers % 1 != 0) | (numbers.abs() > LARGEST_WHOLE), f"{column} is not a whole number")
            table[column] = table[column].astype("int64")
    return table


def check_columns(path: Path, table: pd.DataFrame, columns: Iterable[str]) -> None:
    """Raises EmotionError naming the columns that are missing."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise EmotionError(
            f"{path}: column {', '.join(missing)} is missing; found {', '.join(map(str, table.columns))}"
        )


def check_values(path: Path, column: pd.Series, allowed: set[str]) -> None:
    """Raises EmotionError naming the first row whose value is not allowed."""
    expected = ", ".join(repr(value) for value in sorted(allowed))
    refuse_rows(path, ~column.isin(allowed), f"{column.name} is not one of {expected}")


def refuse_rows(path: Path, bad: pd.Series, complaint: str) -> None:
    """Raises EmotionError with the complaint and the line in the file of the first row where `bad` is true."""
    if bad.any():
        raise EmotionError(f"{path}, row {int(bad.to_numpy().argmax()) + 2}: {complaint}")


def _require(path: Path, made_by: str) -> None:
    if not path.exists():
        raise InputError(f"{path} is missing: run {made_by} first")
