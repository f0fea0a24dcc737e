"""What an image file is decoded to, and what refuses it: the same whatever decodes. Needs NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_utils.errors import InputError
from emotion_utils.sources.jpeg import JpegStructure

MAX_PIXELS = 64_000_000  # 192 MB as RGB: more than a face photo needs, and two at once still fit beside training
MAX_FILE_BYTES = 256_000_000  # an uncompressed image of MAX_PIXELS; nothing larger is read at all
MAX_SCAN_PIXELS = 1_000_000_000  # pixels times scans of a JPEG: about 3 s; 15 scans are usual, each visits all pixels
MIN_SIDE_PX = 16  # below this not even the mouth has a pixel of its own
CONSTANT_RANGE = 2  # a plain area comes out of JPEG with rounding errors of this size
TRUNCATED = "truncated: the file ends before the image does"
DAMAGED_MEMBER = "damaged in the archive"  # the reason of what cannot be read there


class ImageFault(InputError):
    """This image cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Decoded:
    """An image as uint8 (H, W, 3) RGB, upright, and what had to be done to get there."""

    rgb: np.ndarray
    # Of: turned by EXIF, grey, palette, alpha, CMYK, 16-bit, animated, other colour space, values of 0 to N.
    conversions: tuple[str, ...]


def refuse_unusable(rgb: np.ndarray) -> None:
    """Raises ImageFault for an image that decodes but shows nothing: too small, or of one colour."""
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise ImageFault(f"tiny: {width} x {height} pixels, at least {MIN_SIDE_PX} a side are needed")
    greens = rgb[:: max(1, height // 8), :: max(1, width // 8), 1]  # nearly every image passes on these few values
    if int(greens.max()) - int(greens.min()) > CONSTANT_RANGE:
        return
    if np.ptp(rgb.reshape(-1, 3), axis=0).max() <= CONSTANT_RANGE:
        raise ImageFault("constant: every pixel has the same colour")


def check_jpeg(jpeg: JpegStructure) -> None:
    """Raises ImageFault where a JPEG is too large, takes too long or lacks whole scans."""
    refuse_bomb(jpeg.width, jpeg.height)
    if jpeg.is_broken:
        raise ImageFault("truncated: the image's data break off within the file")
    if jpeg.scans * jpeg.width * jpeg.height > MAX_SCAN_PIXELS:
        raise ImageFault(
            f"too large: {jpeg.scans} scans of {jpeg.width} x {jpeg.height} pixels, the limit is "
            f"{MAX_SCAN_PIXELS // 1_000_000} megapixels in all scans"
        )
    if jpeg.lacks_scans:
        raise ImageFault(TRUNCATED)


def refuse_bomb(width: int, height: int) -> None:
    """Raises ImageFault for a declared size that must not be decoded."""
    if width * height > MAX_PIXELS:
        raise ImageFault(f"too large: {width} x {height} pixels, the limit is {MAX_PIXELS // 1_000_000} megapixels")
