"""Bytes of an image file to 8-bit RGB, whatever the file holds; what cannot be used is refused with its reason."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageOps

from emotion_utils.errors import InputError

MAX_PIXELS = 64_000_000  # 192 MB as RGB: more than a face photo needs, and two at once still fit beside training
MAX_FILE_BYTES = 256_000_000  # an uncompressed image of MAX_PIXELS; nothing larger is read at all
MIN_SIDE_PX = 16  # below this not even the mouth has a pixel of its own
CONSTANT_RANGE = 2  # a plain area comes out of JPEG with rounding errors of this size
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")  # a closed list: EPS, for one, runs programs

_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a rar archive"),
    (b"%!PS", "a PostScript file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)  # fmt: skip
_SEQUENTIAL_FRAMES = (0xC0, 0xC1)
_SPECIAL_MARKERS = (0xC2, 0xE1, 0xE2, 0xEE, 0xDA)  # progressive frame, EXIF or XMP, profile, Adobe's colours, scan
_STRAY_MARKER = re.compile(rb"\xff(?![\x00\xc0\xc1\xc4\xd0-\xd7\xda\xdb\xdd])")  # within a scan: damage
_BOXES = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}  # brands of ISO base media files


class ImageFault(InputError):
    """This image cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Decoded:
    """An image as uint8 (H, W, 3) RGB, upright, and what had to be done to get there."""

    rgb: np.ndarray
    conversions: tuple[str, ...]  # of: turned by EXIF, grey, palette, alpha, CMYK, 16-bit, animated, other colour space


def decode_rgb(data: bytes) -> np.ndarray:
    """The image in `data` as uint8 (H, W, 3) RGB, turned upright by its EXIF tag. Raises ImageFault."""
    return decode_image(data).rgb


def decode_image(data: bytes) -> Decoded:
    """The image in `data` and the conversions it took; of an animation the first frame. Raises ImageFault."""
    channels = _plain_jpeg_channels(data)
    if channels:
        rgb = _decode_plain_jpeg(data, channels)
        if rgb is not None:
            return Decoded(rgb, ("grey",) if channels == 1 else ())
    return _decode_with_pillow(data)


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


def _plain_jpeg_channels(data: bytes) -> int:
    """1 or 3 for a complete 8-bit grey or YCbCr JPEG of one scan without EXIF, XMP or Adobe marks; else 0.

    Walks the markers up to the frame header. Raises ImageFault where that declares more than MAX_PIXELS.
    """
    if data[:3] != b"\xff\xd8\xff" or data[-2:] != b"\xff\xd9":
        return 0
    at = 2
    while at + 10 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _SEQUENTIAL_FRAMES:
            refuse_bomb(int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7]))
            plain = data[at + 4] == 8 and data[at + 9] in (1, 3) and not _STRAY_MARKER.search(data, at, len(data) - 2)
            return data[at + 9] if plain else 0
        if marker in _SPECIAL_MARKERS or not 0xC0 <= marker <= 0xFE:
            return 0
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0


def _decode_plain_jpeg(data: bytes, channels: int) -> np.ndarray | None:
    """uint8 (H, W, 3) RGB of what `_plain_jpeg_channels` accepts; None where it is damaged.

    The same pixels as Pillow's, four times as fast for small images. One channel is decoded as one and repeated,
    which is a fifth quicker than letting the decoder repeat it.
    """
    flags = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels is not None and channels == 1 else pixels


def refuse_bomb(width: int, height: int) -> None:
    """Raises ImageFault for a declared size that must not be decoded."""
    if width * height > MAX_PIXELS:
        raise ImageFault(f"too large: {width} x {height} pixels, the limit is {MAX_PIXELS // 1_000_000} megapixels")


def _decode_with_pillow(data: bytes) -> Decoded:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageFault(f"too large: the limit is {MAX_PIXELS // 1_000_000} megapixels") from None
    except Exception:  # a damaged header leads decoders to errors of many kinds
        raise ImageFault(_name_content(data)) from None
    refuse_bomb(*image.size)
    try:
        return _to_rgb(image, data)
    except ImageFault:
        raise
    except Exception as error:  # damaged data too
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise ImageFault("truncated: the file ends before the image does") from None
        raise ImageFault(f"damaged: {error or type(error).__name__}") from None


def _to_rgb(image: Image.Image, data: bytes) -> Decoded:
    conversions = ["animated"] if image.format != "MPO" and getattr(image, "is_animated", False) else []
    image.seek(0)
    if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
        conversions.append("turned by EXIF")
    image.load()  # turns a TIFF by itself, and then says so
    turned = ImageOps.exif_transpose(image)
    if image.format == "PNG" and data[24] == 16 and image.mode in ("RGB", "RGBA", "LA"):
        conversions.append("16-bit")
    mode = image.mode
    if mode[0] in "IF":
        return Decoded(_from_deep_grey(np.asarray(turned)), (*conversions, "16-bit", "grey"))
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        conversions += ["palette"] if mode in ("P", "PA") else ["grey"] if mode[0] == "L" else []
        rgba = turned.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Decoded(np.asarray(Image.alpha_composite(white, rgba).convert("RGB")), (*conversions, "alpha"))
    names = {"L": "grey", "1": "grey", "P": "palette", "CMYK": "CMYK", "RGB": ""}
    name = names.get(mode, "other colour space")
    return Decoded(np.asarray(turned.convert("RGB")), (*conversions, name) if name else tuple(conversions))


def _from_deep_grey(values: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) from 16-bit integers (0-65535) or floats (0-1)."""
    low, high = float(values.min()), float(values.max())
    full_scale = 1.0 if values.dtype.kind == "f" else 65535.0
    if not 0 <= low <= high <= full_scale:
        raise ImageFault(f"grey values of {low:g} to {high:g}, expected 0 to {full_scale:g}")
    grey = np.rint(values.astype(np.float32) * (255 / full_scale)).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _name_content(data: bytes) -> str:
    """What a file that is not an image really is."""
    if not data:
        return "empty file"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image but an HTML page"
    if start.startswith((b"<svg", b"<?xml")):
        return "not an image but an XML or SVG file"
    if data[4:8] == b"ftyp":
        brand = _BOXES.get(data[8:12])
        return f"{brand} image: convert it to JPEG or PNG" if brand else "not an image but a video"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return f"not an image but {name}"
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")):
        return "damaged: the header of the image cannot be read"
    if not any(data):
        return "nothing but zero bytes"
    try:
        data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        return "no known image format" if error.start < min(len(data), 4096) - 4 else "not an image but a text file"
    return "not an image but a text file"
