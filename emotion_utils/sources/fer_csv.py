"""fer2013.csv: images written as text, one row each (columns emotion, pixels, Usage)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from typing import BinaryIO

import pandas as pd

from emotion_utils.errors import InputError
from emotion_utils.sources.decode import ImageFault
from emotion_utils.sources.layouts import TABLE_COLUMNS, split_of

COLUMNS = ("emotion", "pixels", "usage")  # compared in lower case; the order varies between editions
CLASS_NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")  # of the numbers 0-6
SIDE_PX = 48
_GREY_OF = {str(value).encode(): value for value in range(256)}


def is_fer_header(columns: list[str]) -> bool:
    return set(COLUMNS) <= set(columns) or {"emotion", "pixels"} <= set(columns)


class FerCsv:
    """The rows of a FER2013 table: indexed once, parsed when read, so that memory does not grow with the pixels."""

    def __init__(self, spec: str, file: BinaryIO) -> None:
        self._file = file
        weakref.finalize(self, file.close)
        self._pixels: dict[str, tuple[int, int]] = {}  # path -> offset and length in the file, bytes
        header = [name.strip().strip('"').lower() for name in file.readline().decode("utf-8-sig", "replace").split(",")]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise InputError(f"--data {spec}: column {', '.join(missing)} is missing; found {', '.join(header)}")
        places = {name: header.index(name) for name in COLUMNS}
        offset, rows = file.tell(), []
        for number, line in enumerate(file, start=2):
            start, offset = offset, offset + len(line)
            if not line.strip():
                continue
            fields = line.split(b",")
            if len(fields) != len(header):
                raise InputError(
                    f"--data {spec}, line {number}: {len(fields)} fields, expected {len(header)}; is it cut short?"
                )
            rows.append(self._index(spec, number, start, fields, places))
        self.table = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))

    def read(self, path: str) -> bytes:
        """The image as a PGM file. Raises ImageFault for a wrong number of pixels or a value that is not 0 to 255."""
        offset, length = self._pixels[path]
        words = os.pread(self._file.fileno(), length, offset).strip(b' "\r\n').split()
        if len(words) != SIDE_PX**2:
            raise ImageFault(f"wrong pixel count: {len(words)} values, expected {SIDE_PX**2} ({SIDE_PX} x {SIDE_PX})")
        try:
            return b"P5 %d %d 255\n" % (SIDE_PX, SIDE_PX) + bytes(map(_GREY_OF.__getitem__, words))
        except KeyError as error:
            word = error.args[0].decode("utf-8", "replace")
            raise ImageFault(f"wrong pixel value: {word!r} is not a number from 0 to 255") from None

    def _index(
        self, spec: str, number: int, start: int, fields: list[bytes], places: Mapping[str, int]
    ) -> tuple[str, str, str, str]:
        """One row of the table; remembers where its pixels stand."""
        words = {name: fields[place] for name, place in places.items() if name != "pixels"}
        emotion, usage = (words[name].decode("utf-8", "replace").strip(' "\r\n') for name in ("emotion", "usage"))
        if emotion not in {str(i) for i in range(len(CLASS_NAMES))}:
            raise InputError(
                f"--data {spec}, line {number}: emotion {emotion!r} is not a number from 0 to {len(CLASS_NAMES) - 1}"
            )
        split = split_of(usage)
        if split is None:
            raise InputError(
                f"--data {spec}, line {number}: Usage {usage!r} is not Training, PublicTest or PrivateTest"
            )
        label = CLASS_NAMES[int(emotion)]
        path = f"{usage}/{label}/{number - 1:05d}.pgm"
        place = places["pixels"]
        self._pixels[path] = (start + sum(len(field) + 1 for field in fields[:place]), len(fields[place]))
        return path, label, "", split
