"""Tables and facts as files: each is written whole or not at all, and checked when it is read."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import secrets
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pandas as pd

from emotion_utils.errors import EmotionError, InputError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LEFTOVER = re.compile(r"\..+\.[0-9a-z_]{8}(\.\w+)?")  # of `replacing`
LARGEST_WHOLE = 2**53  # up to here a float64 holds each whole number
LARGEST_NUMBER = 1e300  # what is larger overflows in the first sum
MOST_JSON_BYTES = 64 << 20  # far more than any audit takes: more is no file of this project
MOST_TABLE_BYTES = 2 << 30  # a manifest of ten million images
# What a file of a run is hashed to, by its kind; a sparse file may be larger than any disk and would take days.
MOST_BYTES = {".csv": MOST_TABLE_BYTES, ".json": MOST_JSON_BYTES, ".safetensors": 4 << 30, ".mp4": 32 << 30}
MOST_OTHER_BYTES = 1 << 30
MOST_NESTED = 40  # lists and mappings in each other

Kind = Literal["text", "number", "integer", "number or empty"]  # of what a column holds; what is empty reads as NaN
NUMBERS = ("number", "integer", "number or empty")
JOURNAL_LOCK = "journal.log.lock"  # a link that Optuna makes beside its journal


class FullDisk(EmotionError):
    """There is no room for a file; what was there before is still there."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: cannot be written ({reason}); make room and start again: what is finished is kept")
        self.reason = reason


@contextmanager
def needing_room(path: Path) -> Iterator[None]:
    """Raises FullDisk that names `path` where the block finds no room for it."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise FullDisk(path, error.strerror) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` that takes its place when the block ends without an error.

    Raises FullDisk where there is no room, InputError as `refuse_target` does.
    """
    with needing_room(path), _replacing(path) as temporary:
        yield temporary


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    refuse_target(path)
    # As `remove_leftovers` knows it; a name of 255 bytes has no room for more.
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(4)}{path.suffix}")
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # a name that no folder takes fails here, before the work
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.open("xb").close()  # for whom the umask allows
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ENOENT, errno.ENAMETOOLONG):
            raise
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another file") from None
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


def refuse_links(root: Path, path: Path) -> Path:
    """`path`, which lies below `root`. Raises InputError where a part of the way from there is a link.

    Somebody else may have made the folder, and what is written through a link ends elsewhere. `root` may be a link of
    its owner's.
    """
    place = root
    for part in path.relative_to(root).parts:
        place = place / part
        if part == ".." or place.is_symlink():
            raise InputError(f"{place} is a link: none in a run folder is followed; put what it leads to in its place")
    return path


def refuse_links_below(root: Path, leave: tuple[str, ...] = ()) -> None:
    """Raises InputError that names the first link below `root`; folders named in `leave` are not looked into."""
    waiting = [root]
    while waiting:
        for entry in list_folder(waiting.pop()):
            if entry.name == JOURNAL_LOCK and entry.is_symlink():
                continue  # Optuna's own, left by a search that was killed; it is only ever deleted
            if entry.is_symlink():
                refuse_links(root, Path(entry.path))
            if entry.is_dir(follow_symlinks=False) and entry.name not in leave:
                waiting.append(Path(entry.path))


def list_folder(folder: Path | str) -> list[os.DirEntry[str]]:
    """What is in a folder, by name. Raises InputError where it cannot be read, as the name of one in many others."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{str(folder)[:200]}: cannot be read ({error.strerror})") from None


def refuse_second_name(path: Path) -> None:
    """Before a file is written in place: raises InputError where it has another name (a hard link) somewhere else."""
    if path.is_file() and path.stat().st_nlink > 1:
        raise InputError(f"{path} is a hard link: the file would change elsewhere too; put a copy in its place")


# What is in place of a file: reading a pipe would wait, and a device may never end.
_OTHER_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip


def refuse_target(path: Path, mend: str = "name another file") -> None:
    """Before a file is replaced: raises InputError where a link, or what is no regular file, would vanish for it.

    Whoever links results.csv to another disk means that one, and a device is needed by everybody.
    """
    if os.path.islink(path):
        raise InputError(f"{path}: is a link, which a file would replace; {mend}")
    if os.path.exists(path) and not os.path.isfile(path):
        kind = _OTHER_KINDS.get(stat.S_IFMT(path.stat().st_mode), "something else")
        raise InputError(f"{path}: is {kind}, which no file replaces; {mend}")


def open_file(path: Path) -> BinaryIO:
    """A file, open for reading. Raises InputError where it is missing, unreadable or no regular file; never waits."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        raise InputError(f"{path}: {_OTHER_KINDS.get(kind, 'something else')} in place of a file")
    return os.fdopen(handle, "rb")


def open_to_append(path: Path) -> BinaryIO:
    """A file, made if there is none, open for reading and for writing at its end.

    Raises InputError where a link or a file with another name (a hard link) is in its place, as what lies elsewhere
    would change, and where it is no regular file; OSError where it cannot be opened.
    """
    if path.is_symlink():
        raise InputError(f"{path} is a link, which is not followed; delete it")
    refuse_second_name(path)
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | flags, 0o666)
    kind = stat.S_IFMT(os.fstat(handle).st_mode)
    if kind != stat.S_IFREG:
        os.close(handle)
        raise InputError(f"{path}: {_OTHER_KINDS.get(kind, 'something else')} in place of a file")
    return os.fdopen(handle, "a+b")


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """A whole file. Raises InputError as `open_file` does, and where it is larger than that."""
    with open_file(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(f"{path}: larger than {most_bytes >> 20:,} MB, so not what this file should hold")
    return content


def refuse_large(path: Path) -> None:
    """Before a file from elsewhere is hashed: raises InputError where it is larger than one of its kind may be."""
    most_bytes = MOST_BYTES.get(path.suffix, MOST_OTHER_BYTES)
    if path.stat().st_size > most_bytes:
        raise InputError(f"{path}: larger than {most_bytes >> 20:,} MB, so not what this file should hold")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex. Raises InputError as `open_file` does."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_line(path: Path, line: str) -> None:
    """Adds a line at the end of a file, whole or not at all. Raises FullDisk where there is no room."""
    with needing_room(path), path.open("ab", buffering=0) as file:
        size, data = file.tell(), f"{line}\n".encode()
        try:
            if file.write(data) < len(data):  # the first part of it found room
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(size)
            raise


# -- JSON ------------------------------------------------------------------------------------------


def write_json(path: Path, value: Any) -> None:
    """Written whole: a reader sees the old file or the new one."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, made_by: str = "") -> Any:
    """What `path` holds, as `parse_json` reads it. Raises InputError where it is missing or damaged; both name
    `made_by`, which writes it."""
    _require(path, made_by)
    content = read_bytes(path, MOST_JSON_BYTES)
    try:
        return parse_json(content)
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); make it again with {made_by or '--fresh'}") from None


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """One object per line, as `parse_json` reads it. Raises InputError naming file and row."""
    values = []
    for number, line in enumerate(read_bytes(path, MOST_JSON_BYTES).splitlines(), start=1):
        try:
            values.append(parse_json(line))
        except ValueError as error:
            raise InputError(f"{path}, row {number}: not readable as JSON ({error})") from None
    return values


def parse_json(content: bytes) -> Any:
    """JSON in UTF-8 as every reader understands it. Raises ValueError for anything else: NaN and infinity, numbers that
    no float holds, a name given twice, half a surrogate pair, more than MOST_NESTED lists in each other."""
    try:
        value = json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=refuse_repetition
        )
    except RecursionError:
        raise ValueError(f"more than {MOST_NESTED} lists in each other") from None
    waiting = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if isinstance(each, dict | list):
            if depth > MOST_NESTED:
                raise ValueError(f"more than {MOST_NESTED} lists in each other")
            parts = [*each, *each.values()] if isinstance(each, dict) else each
            waiting += [(part, depth + 1) for part in parts]
        elif isinstance(each, str):
            each.encode("utf-8")  # UnicodeEncodeError is a ValueError
        elif isinstance(each, int | float) and not abs(each) <= LARGEST_NUMBER:
            raise ValueError("a number is too large")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a JSON file (an `object_pairs_hook`). Raises ValueError where the last of two equal names would win
    silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r} appears twice")
    return found


# -- text ------------------------------------------------------------------------------------------


def write_text(path: Path, text: str) -> None:
    """Written whole, as UTF-8 with the line ends that it has."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode())


def read_text(path: Path, made_by: str) -> str:
    """What `path` holds. Raises InputError where it is missing or no UTF-8, and names `made_by`."""
    _require(path, made_by)
    try:
        return read_bytes(path, MOST_JSON_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not readable as UTF-8 ({error}); make it again with {made_by}") from None


# -- CSV -------------------------------------------------------------------------------------------


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Written whole; floats in the shortest form that reads back to the same bits."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: Path, made_by: str) -> pd.DataFrame:
    """A table of text, for `convert_columns`.

    Raises InputError where the file is missing, cut off or damaged, and names `made_by`.
    """
    _require(path, made_by)
    content = read_bytes(path, MOST_TABLE_BYTES)
    if content and not content.endswith(b"\n"):
        row = content.count(b"\n") + 1
        raise InputError(f"{path}, row {row}: the file ends within a line; make it again with {made_by}")
    try:
        return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as CSV ({error}); make it again with {made_by}") from None


def convert_columns(path: Path, table: pd.DataFrame, kinds: Mapping[str, Any]) -> pd.DataFrame:
    """A copy with the NUMBERS among `kinds` as float64 or int64, to the very bits that were written.

    Raises InputError naming the file and the first row that holds something else.
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
    """Raises InputError naming the columns that are missing."""
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(f"{path}: column {', '.join(missing)} is missing; found {', '.join(map(str, table.columns))}")


def check_values(path: Path, column: pd.Series, allowed: set[str]) -> None:
    """Raises InputError naming the first row whose value is not allowed."""
    expected = ", ".join(repr(value) for value in sorted(allowed))
    refuse_rows(path, ~column.isin(allowed), f"{column.name} is not one of {expected}")


def refuse_rows(path: Path, bad: pd.Series, complaint: str) -> None:
    """Raises InputError with the complaint and the line in the file of the first row where `bad` is true."""
    if bad.any():
        raise InputError(f"{path}, row {int(bad.to_numpy().argmax()) + 2}: {complaint}")


def _require(path: Path, made_by: str) -> None:
    if not path.exists():
        raise InputError(f"{path} is missing: run {made_by} first")


def missing_folders(folder: Path) -> list[Path]:
    """`folder` and those above it that are not there yet, the deepest first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Takes back folders that were made for what then was refused, up to the first that somebody uses."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()
