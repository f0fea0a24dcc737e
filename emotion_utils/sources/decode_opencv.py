"""JPEG and PNG with OpenCV alone, for machines that have neither Pillow nor simplejpeg: the same pixels, or a refusal.

What the pixels depend on is told from the file, as OpenCV says nothing of it: kinds of files that it reads in another
way than decode.py does are refused. One fault is not seen: corrupt data within a scan of a JPEG.
"""

from __future__ import annotations

import cv2
import numpy as np

from emotion_utils.errors import InputError
from emotion_utils.sources.content import name_content
from emotion_utils.sources.decoded import TRUNCATED, Decoded, ImageFault, check_jpeg, refuse_bomb
from emotion_utils.sources.jpeg import read_structure
from emotion_utils.sources.png import SIGNATURE, keep_needed_chunks

PLAIN_COLOURS = (0, 2, 3)  # of a PNG: grey, RGB, palette; the others have transparency
NEEDS_PILLOW = "cannot be read by OpenCV alone ({}): pip install pillow simplejpeg, or save it as 8-bit JPEG or PNG"


def decode_image(data: bytes) -> Decoded:
    """The image in `data`, turned upright by its EXIF tag. Raises ImageFault."""
    if data.startswith(SIGNATURE):
        data = _check_png(data)
    elif jpeg := read_structure(data):
        check_jpeg(jpeg)
        if jpeg.end == len(data):  # nothing would say whether the end mark is all that is missing
            raise ImageFault(TRUNCATED)
        if len(jpeg.components) not in (1, 3) or jpeg.precision != 8:
            raise ImageFault(NEEDS_PILLOW.format("CMYK, or more than 8 bits"))
    elif data[:2] == b"\xff\xd8":
        raise ImageFault(TRUNCATED)
    else:
        known = name_content(data)
        raise ImageFault(known if not known.startswith("damaged") else NEEDS_PILLOW.format("neither JPEG nor PNG"))
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ImageFault(TRUNCATED)
    return Decoded(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), ())


def _check_png(data: bytes) -> bytes:
    """The PNG without needless chunks. Raises ImageFault where it is damaged, too large, transparent or deep."""
    try:
        data = keep_needed_chunks(data)
    except InputError as error:
        raise ImageFault(f"damaged: {error}") from None
    if b"IEND" not in data[-12:]:
        raise ImageFault(TRUNCATED)
    refuse_bomb(int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    chunks = data[33 : data.index(b"IDAT")] if b"IDAT" in data else b""
    if data[24] > 8 or data[25] not in PLAIN_COLOURS or b"tRNS" in chunks or b"eXIf" in data or b"acTL" in chunks:
        raise ImageFault(NEEDS_PILLOW.format("a PNG of 16 bits, transparent, animated or turned by EXIF"))
    return data
