"""Bytes of an image file to 8-bit RGB, whatever the file holds; what cannot be used is refused with its reason."""

from __future__ import annotations

import io
import logging
import re
import threading
import warnings
from contextlib import nullcontext

import cv2
import numpy as np
import simplejpeg
from PIL import ExifTags, Image, ImageOps, features

from emotion_utils.errors import InputError
from emotion_utils.sources.content import name_content
from emotion_utils.sources.decoded import (
    MAX_PIXELS,
    TRUNCATED,
    Decoded,
    ImageFault,
    check_jpeg,
    refuse_bomb,
)
from emotion_utils.sources.deep_pixels import is_deep, to_8_bit, with_full_range
from emotion_utils.sources.jpeg import JpegStructure, read_structure
from emotion_utils.sources.libtiff import refusing_damage
from emotion_utils.sources.png import keep_needed_chunks

LARGE_PIXELS = 16_000_000  # larger ones are decoded one at a time, so that threads do not multiply their memory
STRIP_PIXELS = 4_000_000  # converted at a time: the largest image takes 7 bytes a pixel, not 20
SUBFILE_TYPE, DNG_VERSION = 254, 50706  # TIFF tags
# A closed list: EPS, for one, runs programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", *(("AVIF",) if features.check("avif") else ()))

END_MARK = b"\xff\xd9"  # of a JPEG; added where it is all that is missing

warnings.filterwarnings("ignore", module=r"PIL\.")  # about tags and text, which decide no pixel
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs as an error it raises, too
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # likewise
_ONE_LARGE_IMAGE = threading.Lock()
_TURNS = {  # by EXIF orientation, on (H, W, 3)
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.swapaxes(0, 1),
    6: lambda rgb: rgb[::-1].swapaxes(0, 1),
    7: lambda rgb: rgb[::-1, ::-1].swapaxes(0, 1),
    8: lambda rgb: rgb[:, ::-1].swapaxes(0, 1),
}


def decode_rgb(data: bytes) -> np.ndarray:
    """The image in `data` as uint8 (H, W, 3) RGB, turned upright by its EXIF tag. Raises ImageFault."""
    return decode_image(data).rgb


def decode_image(data: bytes) -> Decoded:
    """The image in `data` and the conversions it took; of an animation the first frame. Raises ImageFault."""
    jpeg = read_structure(data)
    if jpeg:
        check_jpeg(jpeg)
        data += END_MARK if jpeg.end == len(data) else b""
        with _memory_for(jpeg.width, jpeg.height):
            pixels = _decode_jpeg(data, jpeg)
        if pixels is not None and len(jpeg.components) < 4:
            return _upright(pixels, data, jpeg)
    try:
        data = keep_needed_chunks(data)
    except InputError as error:
        raise ImageFault(f"damaged: {error}") from None
    return _decode_with_pillow(data)


def _decode_jpeg(data: bytes, jpeg: JpegStructure) -> np.ndarray | None:
    """uint8 (H, W, 1, 3 or 4) of an 8-bit JPEG; None of a kind that this decoder does not know.

    The same pixels as Pillow's, but not silent where the data are damaged. Raises ImageFault there.
    """
    colours = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(len(jpeg.components))
    if colours is None or jpeg.precision != 8:
        return None
    try:
        return simplejpeg.decode_jpeg(data, colours)
    except ValueError as error:
        warning = str(error)
    if "premature end" in warning.lower():
        raise ImageFault(TRUNCATED)
    corrupt = warning.removeprefix("Corrupt JPEG data: ")
    if corrupt != warning and not jpeg.has_strays and not _is_padding(corrupt, data[: jpeg.end]):
        raise ImageFault(f"damaged: the data of the JPEG are corrupt ({corrupt})")
    try:
        return simplejpeg.decode_jpeg(data, colours, strict=False)
    except ValueError:
        return None


def _is_padding(warning: str, data: bytes) -> bool:
    """Whether what libjpeg found left over at the end of the image's `data` is one byte, or one many times."""
    left = re.match(r"(\d+) extraneous bytes before marker 0xd9", warning)
    return left is not None and len(set(data[-int(left[1]) :])) == 1


def _upright(pixels: np.ndarray, data: bytes, jpeg: JpegStructure) -> Decoded:
    """The image that a JPEG's pixels (H, W, 1 or 3) and its EXIF tag make."""
    conversions: list[str] = []
    if jpeg.has_exif and (turn := _TURNS.get(_read_jpeg_orientation(data))):
        pixels = np.ascontiguousarray(turn(pixels))
        conversions.append("turned by EXIF")
    if pixels.shape[2] == 1:
        return Decoded(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), (*conversions, "grey"))
    return Decoded(pixels, tuple(conversions))


def _memory_for(width: int, height: int) -> threading.Lock | nullcontext:
    """Held while an image of this size is decoded."""
    return _ONE_LARGE_IMAGE if width * height > LARGE_PIXELS else nullcontext()


def decode_pillow(image: Image.Image) -> Decoded:
    """A PIL image as `decode_image` gives that of its file; of an animation the frame that it shows. Raises ImageFault.

    `image` stays as it is.
    """
    refuse_bomb(*image.size)
    try:
        return _to_rgb(ImageOps.exif_transpose(image), b"")
    except Exception as error:  # a file that is read only now may be damaged
        raise ImageFault(f"damaged: {' '.join(str(error).split()) or type(error).__name__}") from None


def _decode_with_pillow(data: bytes) -> Decoded:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageFault(f"too large: the limit is {MAX_PIXELS // 1_000_000} megapixels") from None
    except Exception:  # a damaged header leads decoders to errors of many kinds
        raise ImageFault(name_content(data)) from None
    refuse_bomb(*image.size)
    try:
        with _memory_for(*image.size), refusing_damage():
            return _to_rgb(image, data)
    except ImageFault:
        raise
    except Exception as error:  # damaged data too
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise ImageFault(TRUNCATED) from None
        raise ImageFault(f"damaged: {' '.join(str(error).split()) or type(error).__name__}") from None


def _to_rgb(image: Image.Image, data: bytes) -> Decoded:
    if image.format == "TIFF" and _is_camera_raw(image, data):
        raise ImageFault("a camera's raw file, of which only the thumbnail can be read: export it as JPEG or PNG")
    conversions = ["animated"] if image.format != "MPO" and getattr(image, "is_animated", False) else []
    image.seek(0)
    if _read_orientation(image) in _TURNS:
        conversions.append("turned by EXIF")
    image.load()  # turns a TIFF by itself, and then says so
    turn = _TURNS.get(_read_orientation(image), lambda rgb: rgb)
    mode = image.mode
    if mode[0] in "IF":
        grey, full = to_8_bit(np.asarray(image))
        conversions += ["16-bit", "grey"] + ([f"values of 0 to {full}"] if full != 65535 and mode[0] == "I" else [])
        return Decoded(np.ascontiguousarray(turn(np.repeat(grey[:, :, None], 3, axis=2))), tuple(conversions))
    has_alpha = mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if mode in ("RGB", "RGBA", "LA") and is_deep(image, data):
        conversions.append("16-bit")
        image, full = with_full_range(image, data)
        conversions += [f"values of 0 to {full}"] if full else []
    if has_alpha:
        conversions += ["palette"] if mode in ("P", "PA") else ["grey"] if mode[0] == "L" else []
        conversions.append("alpha")
    else:
        names = {"L": "grey", "1": "grey", "P": "palette", "CMYK": "CMYK", "RGB": ""}
        conversions += [name] if (name := names.get(mode, "other colour space")) else []
    return Decoded(np.ascontiguousarray(turn(_convert(image, has_alpha=has_alpha))), tuple(conversions))


def _is_camera_raw(image: Image.Image, data: bytes) -> bool:
    """Whether the first image of a TIFF is the thumbnail of what a camera saw (DNG, NEF, ARW, CR2)."""
    return DNG_VERSION in image.tag_v2 or image.tag_v2.get(SUBFILE_TYPE) == 1 or data[8:10] == b"CR"


def _read_orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or the tags cannot be read: they decide no pixel."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # tags are damaged in many ways
        return 1


def _read_jpeg_orientation(data: bytes) -> int:
    try:
        return _read_orientation(Image.open(io.BytesIO(data), formats=("JPEG",)))
    except Exception:  # what is at fault decided no pixel either
        return 1


def _convert(image: Image.Image, *, has_alpha: bool) -> np.ndarray:
    """uint8 (H, W, 3) of a loaded image, transparent pixels on white; some rows at a time."""
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image if rows >= image.height else image.crop((0, top, image.width, min(top + rows, image.height)))
        if has_alpha:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        rgb[top : top + rows] = np.asarray(strip.convert("RGB"))
    return rgb
