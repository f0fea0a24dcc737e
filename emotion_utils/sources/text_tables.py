"""Tables as text, in whatever dialect: CSV with its delimiters, line ends and encodings, and JSON lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.trees import PEEK_BYTES, Tree

MOST_CELLS = 50_000_000  # of a table whose lines name their columns
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
MIN_PIXELS = 16 * 16  # so many numbers in one field are an image
MAX_NAMED = 8  # columns
ROWS_PEEKED = 4  # so many line ends are a header and a row, whatever ends the lines
MOST_PEEKED = 64 << 20  # bytes
_ONE_PIXEL = re.compile(r"(?:pixels?|px|p)?[ _.\-]*\d+", re.IGNORECASE)
SEPARATOR = re.compile(r"sep=.[\r\n]*", re.IGNORECASE)  # a line that Excel writes before the header
_STARTS = {  # of a text; that of UTF-32 begins as one of UTF-16 does
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be", b"\0\0\0": "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be",
}  # fmt: skip


@dataclass(frozen=True)
class TextTable:
    """Columns as they are spelled, rows of as many fields with the number of their line, and lines that are no rows."""

    columns: list[str]
    rows: list[tuple[int, list[str]]]
    odd: dict[int, str]  # number of a line -> why it is no row
    # Different ones of a column, by its place; `shares.values_of` fills it.
    values: dict[int, dict[str, None]] = field(default_factory=dict)


def encoding_of(start: bytes) -> str:
    """UTF-8, or UTF-16 or UTF-32 where a mark or the zero bytes of plain letters tell."""
    for mark, name in _STARTS.items():
        if start.startswith(mark):
            return name
    if start[1:4] == b"\0\0\0" != start[:1] * 3:
        return "utf-32-le"
    if start[1:2] == b"\0" != start[:1]:
        return "utf-16-le"
    return "utf-16-be" if start[:1] == b"\0" != start[1:2] and len(start) > 1 else "utf-8"


def is_decodable(start: bytes) -> bool:
    """Whether the first bytes of a file are text in the encoding that they seem to be of."""
    try:
        codecs.getincrementaldecoder(encoding_of(start))().decode(start)  # a letter may be cut at the end
    except UnicodeDecodeError:
        return False
    return True


def split_header(line: str) -> tuple[str, list[str]]:
    """The delimiter of a CSV's first line (comma, semicolon, tab or bar) and its column names."""
    delimiter = max(",;\t|", key=line.count)
    try:
        names = next(csv.reader([line.strip("\r\n")], delimiter=delimiter), [])
    except csv.Error:  # no CSV: no columns
        names = []
    return delimiter, [name.strip() for name in names]


def is_record(values: Sequence[str]) -> bool:
    """Whether the first line of a table is a row already: it names an image file, or holds an image's numbers."""
    return any(is_image_name(value.strip()) or len(split_pixels(value.encode())) >= MIN_PIXELS for value in values)


def split_pixels(field: bytes) -> list[bytes]:
    """The words of a field of pixels, between blanks or commas, in brackets or not: 52 63, [52, 63]."""
    return field.strip(b" \"'[]()\r\n\t").replace(b",", b" ").split()


def is_via(columns: Sequence[str]) -> bool:
    """Whether they are those of the VGG Image Annotator, which writes labels as JSON within a column."""
    return {"file_attributes", "region_attributes"} <= set(columns)


def list_some(names: Sequence[str]) -> str:
    """The first names, and how many there are where these are not all."""
    return ", ".join(names[:MAX_NAMED]) + (f" ... {len(names)} in all" if len(names) > MAX_NAMED else "")


def place_of(spec: str, name: str, number: int) -> str:
    """A line of the table `name`, for messages; `spec` may be the table itself."""
    return f"{spec}, line {number}" if spec.endswith(name) else f"{spec}: {name}, line {number}"


def refuse_pixel_columns(spec: str, columns: Sequence[str]) -> None:
    """Raises InputError for a table with a column for each pixel."""
    if sum(_ONE_PIXEL.fullmatch(name) is not None for name in columns) >= MIN_PIXELS:
        raise InputError(
            f"--data {spec}: {len(columns)} columns ({', '.join(columns[:3])} ...): one column for each pixel is not "
            "read; join these in one column pixels, with blanks between the numbers"
        )


def number_columns(count: int) -> list[str]:
    """Names for the columns of a table that has none."""
    return [f"column {number}" for number in range(1, count + 1)]


def peek_table(tree: Tree, name: str) -> TextTable:
    """The first rows of the table `name`: see parse_start. More is read where its header and a row are longer."""
    start = tree.peek(name)
    if len(start) >= PEEK_BYTES and not _has_rows(start):
        with tree.open(name) as file:
            start = read_start(file)
    return parse_start(start, name)


def read_start(file: BinaryIO) -> bytes:
    """The first PEEK_BYTES of a table, or as many more as its header and first rows have, up to MOST_PEEKED."""
    start = b""
    while not _has_rows(start) and len(start) < MOST_PEEKED and (more := file.read(max(PEEK_BYTES, 7 * len(start)))):
        start += more
    return start


def _has_rows(start: bytes) -> bool:
    return start.count(b"\n") + start.count(b"\r") > ROWS_PEEKED


def parse_start(start: bytes, name: str) -> TextTable:
    """The table that begins with `start`, as far as that goes; without columns where it is none."""
    text = _level_lines(start.decode(encoding_of(start), "replace"))
    lines = text.split("\n")
    whole = "\n".join(lines[:-1]) if len(lines) > 1 else text
    try:
        return _parse("", name, whole)
    except (InputError, RecursionError):
        return TextTable(split_header(whole.lstrip("\n").partition("\n")[0])[1], [], {})


def read_table(spec: str, name: str, data: bytes) -> TextTable:
    """The table in `data`; `name` tells JSON lines by its suffix. Raises InputError for what is no table."""
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        raise InputError(
            f"--data {spec}: {name} is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    return _parse(spec, name, _level_lines(text))


def check_rows(spec: str, name: str, table: TextTable) -> None:
    """Raises InputError for a table without rows, or with no more rows than lines that are none."""
    if len(table.odd) >= max(len(table.rows), 1):
        number, reason = min(table.odd.items())
        raise InputError(f"--data {place_of(spec, name, number)}: {reason}")
    if not table.rows:
        raise InputError(f"--data {spec}: {name}: no rows below the header")


def _level_lines(text: str) -> str:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    line = SEPARATOR.match(text)
    return "\n" + text[line.end() :] if line else text  # the numbers of the lines stay


def _parse(spec: str, name: str, text: str) -> TextTable:
    if name.lower().endswith(".jsonl"):
        return _parse_json_lines(spec, name, text)
    header, _, _ = text.lstrip("\n").partition("\n")
    delimiter, columns = split_header(header)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows, odd, is_header = [], {}, True
    try:
        for values in reader:
            if not any(values):
                continue
            if is_header and is_record(values):
                columns, is_header = number_columns(len(columns)), False
            if is_header:
                is_header = False
            elif len(values) != len(columns):
                odd[reader.line_num] = f"{count_of(len(values), 'field')}, expected {len(columns)}; is it cut short?"
            else:
                rows.append((reader.line_num, values))
    except csv.Error as error:
        raise InputError(
            f"--data {place_of(spec, name, reader.line_num)}: {error}; is it cut short, or a quote not closed?"
        ) from None
    return TextTable(columns, rows, odd)


def _parse_json_lines(spec: str, name: str, text: str) -> TextTable:
    """An object a line; a nested value is no label and is left out."""
    records, odd = [], {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict):
            records.append((number, record))
        else:
            odd[number] = "is no JSON object; is it cut short?"
    columns = list(dict.fromkeys(key for _, record in records for key in record))
    if len(records) * len(columns) > MOST_CELLS:  # a few bytes may ask for as many
        raise InputError(
            f"--data {spec}: {name} has {len(columns):,} different keys in {len(records):,} lines: give each line the "
            "same few"
        )
    return TextTable(columns, [(number, _fields(record, columns)) for number, record in records], odd)


def _fields(record: dict, columns: Sequence[str]) -> list[str]:
    return ["" if isinstance(value := record.get(name, ""), dict | list) or value is None else str(value)
            for name in columns]  # fmt: skip


def note_odd(name: str, table: TextTable) -> str:
    """The lines that are no rows, for a person; "" where there are none."""
    if not table.odd:
        return ""
    number, reason = min(table.odd.items())
    what = "1 line that is no row" if len(table.odd) == 1 else f"{len(table.odd)} lines that are no rows"
    return f"{name}: left out {what}, e.g. line {number} ({reason})"
