"""What an image is like besides the face in it: measured once, while the audit has it decoded. No torch."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pandas as pd

from emotion_utils.artefacts import NUMBER_PROPERTIES, TEXT_PROPERTIES
from emotion_utils.audit.faces import CropResult

COLOUR_SPREAD = 3.0  # mean distance of the channels from which on an image is in colour; rounding makes less than 1
UNIFORM_RANGE = 10  # grey levels within a row of pixels that still counts as plain: JPEG rounds plain areas so far
BORDER_PX = 512  # of the longer side: so fine is a border measured
FACE_UNKNOWN = math.nan  # where nobody looked for one
# Mean of the luminance table in Annex K of the JPEG standard, which libjpeg's quality scales.
STANDARD_TABLE_MEAN = 57.625

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"GIF8", "GIF"), (b"BM", "BMP"), (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"), (b"P1", "PPM"), (b"P2", "PPM"), (b"P3", "PPM"), (b"P4", "PPM"), (b"P5", "PPM"), (b"P6", "PPM"),
)  # fmt: skip
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}  # markers of a JPEG that no length follows
_QUANTISATION, _SCAN = 0xDB, 0xDA


def measure_image(data: bytes, rgb: np.ndarray, view: CropResult) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The values of TEXT_PROPERTIES and NUMBER_PROPERTIES of one image.

    - format: as its bytes say (JPEG, PNG ...), "" where unknown; colour: "colour" or "grey", whatever the file is;
    - jpeg_quality: 1-100, as libjpeg counts it, NaN for other formats;
    - brightness, contrast: mean and deviation of the grey levels, 0-1;
    - border: share (0-1) of the area outside the rows and columns at the edges that are plain;
    - face_share: area of the face's box over that of the image, at most 1; 0 where none was found, NaN where nobody
      looked.

    `data` are the file's bytes, `rgb` uint8 (H, W, 3) the whole image, `view` what became of the face in it.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    mean, deviation = (float(value[0, 0]) / 255 for value in cv2.meanStdDev(grey))
    numbers = (measure_jpeg_quality(data), mean, deviation, measure_border(grey), _measure_face(rgb, view))
    return (name_format(data), "colour" if is_colour(rgb) else "grey"), numbers


def property_table(texts: list[tuple[str, ...]], numbers: np.ndarray) -> pd.DataFrame:
    """The columns that a manifest has for them; numbers float (n, len(NUMBER_PROPERTIES)) to four decimals."""
    table = pd.DataFrame(texts, columns=list(TEXT_PROPERTIES), dtype=object)
    return table.assign(**dict(zip(NUMBER_PROPERTIES, np.round(numbers.astype(np.float64).T, 4), strict=True)))


def name_format(data: bytes) -> str:
    """The format of an image file by how it begins, "" where that is none of these."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return "AVIF"
    return next((name for start, name in _SIGNATURES if data.startswith(start)), "")


def is_colour(rgb: np.ndarray) -> bool:
    """Whether uint8 (H, W, 3) shows colour; a grey image that is stored in three channels does not."""
    step = max(1, max(rgb.shape[:2]) // 128)
    red, green, blue = cv2.split(rgb[::step, ::step])
    return float(np.mean(cv2.max(cv2.absdiff(red, green), cv2.absdiff(green, blue)))) > COLOUR_SPREAD


def measure_border(grey: np.ndarray) -> float:
    """Share (0-1) of the area of uint8 (H, W) that plain rows and columns at the edges take; 1 where all is plain."""
    step = max(1, max(grey.shape) // BORDER_PX)
    grey = grey[::step, ::step]
    inside = 1.0
    for axis in (0, 1):
        darkest, brightest = (cv2.reduce(grey, axis, way).ravel() for way in (cv2.REDUCE_MIN, cv2.REDUCE_MAX))
        spread = brightest - darkest
        rich = np.flatnonzero(spread > UNIFORM_RANGE)
        inside *= (rich[-1] - rich[0] + 1) / len(spread) if len(rich) else 0.0
    return 1.0 - inside


def measure_jpeg_quality(data: bytes) -> float:
    """The quality (1-100) at which libjpeg would have made the first quantisation table of a JPEG; NaN without one."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 5 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        if data[at + 1] == _QUANTISATION:
            kind = np.dtype(">u2" if data[at + 4] >> 4 else "u1")
            table = data[at + 5 : at + 5 + 64 * kind.itemsize]
            whole = len(table) == 64 * kind.itemsize
            return _quality_of(float(np.frombuffer(table, kind).mean())) if whole else math.nan
        if data[at + 1] == 0xFF:
            at += 1  # fill bytes may stand before a marker
        else:
            at += 2 if data[at + 1] in _NO_LENGTH else 2 + int.from_bytes(data[at + 2 : at + 4])
    return math.nan


def _quality_of(table_mean: float) -> float:
    """libjpeg's quality from the mean of a luminance table: it scales the standard one by a percentage."""
    scale = 100 * table_mean / STANDARD_TABLE_MEAN
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return float(np.clip(round(quality), 1, 100))


def _measure_face(rgb: np.ndarray, view: CropResult) -> float:
    if view.outcome == "missed":
        return 0.0
    if view.box is None:
        return FACE_UNKNOWN
    height, width = rgb.shape[:2]
    return min(1.0, view.box.width * view.box.height / (height * width))
