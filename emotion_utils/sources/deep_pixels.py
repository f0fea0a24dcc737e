"""Pixels of more than 8 bits to 8 bits: of which range their values are is told from the values of the file."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from emotion_utils.errors import InputError
from emotion_utils.sources.png import SIGNATURE, with_clean_pixels

BITS = (8, 10, 12, 14, 16)  # that cameras and scanners give; a file for 16 bits may hold values of fewer
BITS_PER_SAMPLE = 258  # TIFF tag


def to_8_bit(values: np.ndarray) -> tuple[np.ndarray, int]:
    """uint8 of the same shape, and the value that became 255.

    Values are integers of 0 to 65535 or floats; floats of at most 1 are of 0-1. Any others are of the fewest BITS that
    hold the largest one. Raises InputError where they are of no such range.
    """
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 65535:
        raise InputError(f"values of {low:g} to {high:g}, expected 0 to 65535, or 0 to 1")
    full = 1 if values.dtype.kind == "f" and high <= 1 else next(2**bits - 1 for bits in BITS if high <= 2**bits - 1)
    scaled = np.empty(values.shape, np.uint8)
    for row, out in zip(values, scaled, strict=True):  # a whole copy as floats would be the largest part of all memory
        out[:] = np.rint(row.astype(np.float32) * (255 / full))
    return scaled, full


def is_deep(image: Image.Image, data: bytes) -> bool:
    """Whether a PNG or TIFF file in colour has 16 bits per sample, of which Pillow reads the upper eight."""
    if image.format == "PNG":
        return data[24] == 16
    return image.format == "TIFF" and 16 in image.tag_v2.get(BITS_PER_SAMPLE, ())


def with_full_range(image: Image.Image, data: bytes) -> tuple[Image.Image, int]:
    """`image`, loaded from a file for which `is_deep` holds; where its values are of fewer than 16 bits, made again.

    Also the largest value of their range, 0 where nothing had to be done. Transparency is of a range of its own.
    """
    colours = image.getextrema()[: 1 if image.mode == "LA" else 3]
    if max(high for _, high in colours) > 0x3F:  # upper eight of sixteen bits
        return image, 0
    mode, size = image.mode, image.size
    image.close()  # of a large one there is no room for two
    data = with_clean_pixels(data) if data.startswith(SIGNATURE) else data
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if deep is None or deep.dtype != np.uint16 or deep.shape[:2] != size[::-1] or deep.ndim != 3:
        raise InputError("16-bit colours in a form that cannot be read: save the image with 8 bits")
    rgb, full = to_8_bit(deep[:, :, 2::-1])
    alpha = [to_8_bit(deep[:, :, 3])[0]] if "A" in mode and deep.shape[2] == 4 else []
    del deep
    return Image.fromarray(np.dstack([rgb, *alpha])), full
