"""The criteria that a report is judged by, read from somebody's file and kept in the run. No torch."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from emotion_utils.errors import InputError
from emotion_utils.files import read_bytes
from emotion_utils.run import Run

MOST_BYTES = 1 << 20
MOST_CRITERIA = 100
MOST_LETTERS = 500
COLUMN = "criterion"
ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(.*)")
HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")


def read_rubric(path: str | Path) -> list[str]:
    """The criteria in a file: a line each (.txt), items of a Markdown list (.md), the column `criterion` of a table
    (.csv), or a list (.yaml). Headings and empty lines are skipped; nothing else is.

    Raises InputError that names the line where the file is something else.
    """
    path = Path(path)
    readers = {
        ".txt": _from_lines, "": _from_lines, ".md": _from_lines, ".csv": _from_table,
        ".yaml": _from_yaml, ".yml": _from_yaml,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"rubric: {path}: expected a file that ends in .txt, .md, .csv or .yaml")
    try:
        text = read_bytes(path, MOST_BYTES).decode("utf-8-sig")
    except InputError as error:
        raise InputError(f"rubric: {error}; name another file, or null for none") from None
    except UnicodeDecodeError:
        raise InputError(f"rubric: {path}: not text in UTF-8; save it so") from None
    found = [(place, " ".join(said.replace("**", "").replace("`", "").split())) for place, said in reader(path, text)]
    seen: dict[str, str] = {}
    for place, criterion in found:
        if not re.search(r"[^\W\d_]", criterion):
            raise InputError(f"rubric: {path}, {place}: no criterion in words")
        if not criterion.isprintable():
            raise InputError(f"rubric: {path}, {place}: a character that cannot be printed")
        if len(criterion) > MOST_LETTERS:
            raise InputError(
                f"rubric: {path}, {place}: longer than {MOST_LETTERS} letters; one criterion is one sentence"
            )
        if criterion.casefold() in seen:
            raise InputError(f"rubric: {path}, {place}: the same as {seen[criterion.casefold()]}")
        seen[criterion.casefold()] = place
    if not 1 <= len(found) <= MOST_CRITERIA:
        raise InputError(f"rubric: {path}: {len(found)} criteria; 1 to {MOST_CRITERIA} are possible")
    return [criterion for _, criterion in found]


def store_rubric(run: Run) -> None:
    """Keeps the criteria of the settings in the run, where the report and its verification find them."""
    path = run.path("rubric")
    if run.config.rubric is None:
        path.unlink(missing_ok=True)
        return
    content = {"file": Path(run.config.rubric).name, "criteria": read_rubric(run.config.rubric)}
    if not path.exists() or run.read("rubric") != content:
        run.write("rubric", content)


Found = Iterator[tuple[str, str]]  # where a criterion stands, and its text


def _from_lines(path: Path, text: str) -> Found:
    lines = text.splitlines()
    is_list = path.suffix.lower() == ".md" or any(map(ITEM.fullmatch, lines))
    held: tuple[str, str] | None = None
    for number, line in enumerate(lines, start=1):
        place, item = f"line {number}", ITEM.fullmatch(line) if is_list else None
        if not line.strip() or HEADING.match(line):
            continue
        if is_list and item is None and held and line[0].isspace():
            held = (held[0], f"{held[1]} {line.strip()}")
            continue
        if is_list and item is None:
            raise InputError(
                f"rubric: {path}, {place}: neither an item of a list nor a heading; indent what belongs to an item"
            )
        if held:
            yield held
        held = (place, item[1] if item else line)
    if held:
        yield held


def _from_table(path: Path, text: str) -> Found:
    header = text.partition("\n")[0]
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header.count), strict=True))
    except csv.Error as error:
        raise InputError(f"rubric: {path}: not a CSV table ({error})") from None
    names = [name.strip().casefold() for name in rows[0]] if rows else []
    if names.count(COLUMN) != 1:
        raise InputError(f"rubric: {path}: a column {COLUMN!r} is needed, found {', '.join(names)[:200] or 'none'}")
    for number, row in enumerate(rows[1:], start=2):
        if any(cell.strip() for cell in row):
            if len(row) != len(names):
                raise InputError(f"rubric: {path}, row {number}: {len(row)} cells, the header has {len(names)}")
            yield f"row {number}", row[names.index(COLUMN)]


def _from_yaml(path: Path, text: str) -> Found:
    try:
        value: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"rubric: {path}: not readable as YAML") from None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"rubric: {path}: a list of texts is needed, each with a - before it")
    yield from ((f"item {number}", each) for number, each in enumerate(value, start=1))
