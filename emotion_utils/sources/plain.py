"""The shortest way to the pixels of a file that the audit accepted; what is not plain goes the careful way."""

from __future__ import annotations

import numpy as np

from emotion_utils.sources.decode import decode_plain_jpeg, decode_rgb

_HARMLESS = frozenset((0xC4, 0xDB, 0xDD, 0xE0, 0xFE))  # tables, restart interval, JFIF, comment
_SEQUENTIAL_FRAMES = frozenset((0xC0, 0xC1))


def decode_accepted(data: bytes) -> np.ndarray:
    """What `decode_rgb` returns, bit for bit: uint8 (H, W, 3) RGB.

    Only for bytes that `decode_rgb` has accepted before: damage and huge sizes are not looked for again.
    """
    channels = plain_jpeg_channels(data)
    image = decode_plain_jpeg(data, channels) if channels else None
    return decode_rgb(data) if image is None else image


def plain_jpeg_channels(data: bytes) -> int:
    """1 or 3 for an 8-bit grey or colour JPEG without orientation, profile or Adobe's colour marks; else 0.

    Walks the markers up to the frame header, which tells precision and number of components.
    """
    place = 2 if data[:2] == b"\xff\xd8" else len(data)
    while place + 9 < len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _SEQUENTIAL_FRAMES:
            return data[place + 9] if data[place + 4] == 8 and data[place + 9] in (1, 3) else 0
        if marker not in _HARMLESS:
            return 0
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0
