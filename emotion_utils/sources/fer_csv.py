"""Images written as text, one row each, as FER2013 came (columns emotion, pixels, Usage)."""

from __future__ import annotations

import codecs
import math
import os
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import BinaryIO, NamedTuple

from emotion_utils.environment import cache_dir
from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.columns import Columns, check_columns, understand
from emotion_utils.sources.decoded import MIN_SIDE_PX, ImageFault
from emotion_utils.sources.layouts import make_table
from emotion_utils.sources.split_words import split_of
from emotion_utils.sources.text_tables import (
    SEPARATOR,
    TextTable,
    encoding_of,
    is_record,
    list_some,
    number_columns,
    split_header,
    split_pixels,
)

CLASS_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")  # of the numbers 0-7
SIDE_PX = 48
ROWS_LOOKED_AT = 1000  # to learn the size of the images
CHUNK_BYTES = 1 << 20
_GREY_OF = {f"{value}{point}".encode(): value for value in range(256) for point in ("", ".", ".0")}


class _Line(NamedTuple):
    number: int
    label: str
    usage: str
    offset: int  # of the pixels in the file, bytes
    length: int


class FerCsv:
    """The rows of a table of pixels: indexed once, parsed when read, so that memory does not grow with the pixels.

    `table` has a row for each image and `paths` its path by the number of its row, from 0; `faults` names the lines
    that are no rows. `name_labels` gives names to the numbers that are labels, or none: then they are FER2013's.
    Raises InputError for a table without labels, or with fewer rows than such lines.
    """

    def __init__(
        self, spec: str, file: BinaryIO, name_labels: Callable[[set[str]], Mapping[str, str]] = lambda _: {}
    ) -> None:
        self._file = _plain_lines(file)
        weakref.finalize(self, self._file.close)
        first, at, header = 1, 0, self._file.readline().decode("utf-8-sig", "replace")
        if SEPARATOR.match(header):
            first, at, header = 2, self._file.tell(), self._file.readline().decode("utf-8", "replace")
        delimiter, names = split_header(header)
        if is_record(names):
            names = number_columns(len(names))
            self._file.seek(at)
        else:
            first, at = first + 1, self._file.tell()
        some = (_split_line(line, delimiter, len(names)) for line in islice(self._file, ROWS_LOOKED_AT))
        rows = [(0, list(map(_text, fields))) for fields in some if len(fields) == len(names)]
        columns = understand(TextTable(names, rows, {}))
        self._file.seek(at)
        if columns.pixels < 0 or columns.label < 0:
            raise InputError(f"--data {spec}: {_tell_missing(columns)}")
        odd: dict[int, str] = {}
        lines, counts, offset, told = [], Counter(), at, []
        for number, line in enumerate(self._file, start=first):
            start, offset = offset, offset + len(line)
            if not line.strip():
                continue
            fields = _split_line(line, delimiter, len(names))
            if len(fields) != len(names):
                odd[number] = f"{count_of(len(fields), 'field')}, expected {len(names)}; is it cut short?"
                continue
            label, part = (_text(fields[n]) if n >= 0 else "" for n in (columns.label, columns.split))
            place = columns.pixels
            lines.append(
                _Line(number, label, part, start + sum(len(f) + 1 for f in fields[:place]), len(fields[place]))
            )
            if len(lines) <= ROWS_LOOKED_AT:
                counts[len(split_pixels(fields[place]))] += 1
            if columns.numbers >= 0 or columns.unclear >= 0:
                told.append((number, ["" if n == place else _text(field) for n, field in enumerate(fields)]))
        notes = [check_columns(spec, "the table of pixels", TextTable(names, told, {}), columns)]
        self.side_px = _side(counts)
        self.paths: dict[int, str] = {}
        self._pixels: dict[str, tuple[int, int]] = {}
        usage = names[columns.split] if columns.split >= 0 else ""
        in_words = sum(not _is_number(line.label) for line in lines if line.label) > len(lines) / 2
        numbers = {_whole(line.label) for line in lines} - {""}
        codes = {} if in_words else name_labels(numbers)
        if not codes:
            codes = {str(number): name for number, name in enumerate(CLASS_NAMES)}
            notes += [] if in_words else _tell_codes(names[columns.label], codes, numbers)
        self.notes = tuple(filter(None, notes))
        rows = self._index(names[columns.label], usage, lines, odd, {} if in_words else codes)
        if odd and len(odd) >= len(rows):
            number, reason = min(odd.items())
            raise InputError(f"--data {spec}, line {number}: {reason}")
        self.faults = {f"line {number}": f"no row: {reason}" for number, reason in sorted(odd.items())}
        self.table = make_table([*rows, *((path, "", "", "") for path in self.faults)])

    def read(self, path: str) -> bytes:
        """The image as a PGM file. Raises ImageFault for a wrong number of pixels or a value that is not 0 to 255."""
        if path in self.faults:
            raise ImageFault(self.faults[path])
        offset, length = self._pixels[path]
        side = self.side_px
        words = split_pixels(os.pread(self._file.fileno(), length, offset))
        if len(words) != side**2:
            raise ImageFault(f"wrong pixel count: {len(words)} values, expected {side**2} ({side} x {side})")
        try:
            return b"P5 %d %d 255\n" % (side, side) + bytes(map(_GREY_OF.__getitem__, words))
        except KeyError as error:
            word = error.args[0].decode("utf-8", "replace")
            raise ImageFault(f"wrong pixel value: {word!r} is not a number from 0 to 255") from None

    def _index(
        self, column: str, usage: str, lines: list[_Line], odd: dict[int, str], codes: Mapping[str, str]
    ) -> list[tuple[str, ...]]:
        """The rows of the table; lines whose label or split is none go to `odd`. No `codes` where labels are words."""
        rows = []
        for line in lines:
            label = codes.get(_whole(line.label), "") if codes else "" if _is_number(line.label) else line.label
            split = split_of(line.usage)
            if not label:
                expected = f"a number from 0 to {max(map(int, codes))}" if codes else "a name"
                odd[line.number] = f"{column} {line.label!r} is not {expected}"
            elif line.usage and split is None:
                odd[line.number] = f"{usage} {line.usage!r} is not Training, PublicTest or PrivateTest"
            else:
                folder = f"{line.usage}/" if line.usage else ""
                path = f"{folder}{label.replace('/', '_')}/{line.number - 1:05d}.pgm"
                self._pixels[path] = (line.offset, line.length)
                self.paths[line.number - 2] = path
                rows.append((path, label, "", split or ""))
        return rows


def _tell_missing(columns: Columns) -> str:
    """Which column a table of pixels lacks; one without a header has none, but may well hold labels."""
    names = columns.names
    if columns.pixels >= 0 and len(names) > 1 and names == number_columns(len(names)):
        return tell_headerless(columns)
    missing = [what for what, at in (("emotion", columns.label), ("pixels", columns.pixels)) if at < 0]
    why = "these images have no labels" if columns.pixels >= 0 else "it holds no images"
    return f"column {', '.join(missing)} is missing; found {list_some(names)}: {why}"


def tell_headerless(columns: Columns) -> str:
    """What to write above a table of pixels without a header, whose order of columns is not guessed."""
    header = {(2, 0): "pixels,emotion", (2, 1): "emotion,pixels", (3, 1): "emotion,pixels,Usage"}.get(
        (len(columns.names), columns.pixels), "emotion, pixels and Usage, in the order of its columns,"
    )
    return f"has no line with the names of its columns: write {header} above the first line"


def _plain_lines(file: BinaryIO) -> BinaryIO:
    """The file itself, or where it is not UTF-8 or ends its lines with a lone CR, a nameless copy that is not."""
    start = file.read(CHUNK_BYTES)
    encoding = encoding_of(start)
    file.seek(0)
    if encoding.startswith("utf-8") and (b"\n" in start or b"\r" not in start):
        return file
    cache_dir().mkdir(parents=True, exist_ok=True)
    copy = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115 - the caller keeps it open
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    with file:
        while chunk := file.read(CHUNK_BYTES):
            copy.write(decoder.decode(chunk).replace("\r", "\n").encode())  # an empty line does not matter
    copy.seek(0)
    return copy


def _split_line(line: bytes, delimiter: str, count: int) -> list[bytes]:
    """The fields of a line as they stand; a delimiter within quotes or brackets divides none where `count` says so."""
    fields = line.split(delimiter.encode())
    if len(fields) <= count:
        return fields
    joined: list[bytes] = []
    for field in fields:
        if joined and (joined[-1].count(b'"') % 2 or joined[-1].count(b"[") > joined[-1].count(b"]")):
            joined[-1] += delimiter.encode() + field
        else:
            joined.append(field)
    return joined


def _side(counts: Mapping[int, int]) -> int:
    """Height and width in pixels of most images; FER2013's where that is no square."""
    most = max(counts, key=lambda count: (counts[count], count), default=0)
    side = math.isqrt(most)
    return side if side >= MIN_SIDE_PX and side**2 == most else SIDE_PX


def _whole(label: str) -> str:
    """The whole number in '3', '03' and '3.0'; '' for what is none."""
    whole, point, rest = label.partition(".")
    return (whole.lstrip("0") or "0") if whole.isdecimal() and not (point and rest.strip("0")) else ""


def _tell_codes(column: str, codes: Mapping[str, str], numbers: set[str]) -> list[str]:
    """What the numbers were taken for, and a warning where not all of FER2013's seven occur."""
    seen = [number for number in codes if number in numbers]
    notes = [f"{column} as in FER2013: {', '.join(f'{number} is {codes[number]}' for number in seen)}"]
    if seen and not set(list(codes)[:7]) <= numbers:
        notes.append(
            f"not all of FER2013's seven classes are there (only {', '.join(seen)}): if the numbers mean something "
            "else, put a labels.txt with a line such as '0 happy' for each beside the table, and give the folder"
        )
    return notes


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip(" \"'\r\n\t")
