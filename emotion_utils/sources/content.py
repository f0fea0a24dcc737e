"""What a file is that is no image, or none that can be read here: told from its first bytes."""

from __future__ import annotations

_MAGIC = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a rar archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"%!PS", "a PostScript file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"8BPS", "a Photoshop document: save it as JPEG or PNG"),
    (b"ID3", "a sound"),
    (b"\x93NUMPY", "a NumPy array: save its images as PNG"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
)  # fmt: skip
_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P5", b"P6")
_VIDEO = "a video: save single frames of it as JPEG or PNG; `emotion video` reads it whole"
_VIDEO_STARTS = (
    b"\x1a\x45\xdf\xa3",  # Matroska and WebM
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV
    b"OggS",
)
# Brands of ISO base media files (`ftyp`): the major one, then those that the file is compatible with.
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf"}


def name_content(data: bytes) -> str:
    """Why these bytes, which no decoder took, are no usable image, and where there is one, the way to one."""
    if not data:
        return "empty file"
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image but an HTML page"
    if start.startswith((b"<svg", b"<?xml")):
        return "not an image but an XML or SVG file"
    if start.startswith(b"version https://git-lfs"):
        return "not an image but a pointer of Git LFS: fetch the file with `git lfs pull`"
    if data[4:8] == b"ftyp":
        return _name_boxes(data)
    if data[4:8] in (b"moov", b"mdat", b"wide", b"free") or data.startswith(_VIDEO_STARTS) or _is_transport(data):
        return f"not an image but {_VIDEO}"
    if data[:4] == b"RIFF" and data[8:12] in (b"AVI ", b"WAVE"):
        return f"not an image but {_VIDEO if data[8:12] == b'AVI ' else 'a sound'}"
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return f"not an image but {name}"
    if data[:12] == b"\0\0\0\x0cJXL \r\n\x87\n" or data[:2] == b"\xff\x0a":
        return "JPEG XL image: convert it to JPEG or PNG"
    if data[:8] == b"\0\0\0\x0cjP  " or data[:4] == b"\xff\x4f\xff\x51":
        return "JPEG 2000 image: convert it to JPEG or PNG"
    if data.startswith(_IMAGE_STARTS):
        return "damaged: the header of the image cannot be read"
    if not any(data):
        return "nothing but zero bytes"
    return "not an image but a text file" if _is_text(data) else "no known image format"


def _name_boxes(data: bytes) -> str:
    """What an ISO base media file is: still images and videos share the container."""
    length = min(max(int.from_bytes(data[:4]), 16), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, length, 4))]
    if brands[0] in _AVIF_BRANDS or (brands[0] in _HEIF_BRANDS and _AVIF_BRANDS & set(brands)):
        return "damaged: the AVIF image cannot be read; if others cannot either: pip install --upgrade pillow"
    if brands[0] in _HEIC_BRANDS | _HEIF_BRANDS:
        return "HEIC image: convert it to JPEG or PNG (phones: Settings > Camera > Formats > Most Compatible)"
    return f"not an image but {_VIDEO}"


def _is_transport(data: bytes) -> bool:
    """Whether packets of an MPEG transport stream follow each other."""
    return len(data) > 377 and data[0] == data[188] == data[376] == 0x47


def _is_text(data: bytes) -> bool:
    try:
        data[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= min(len(data), 4096) - 4  # a letter that the 4096 bytes cut
    return True
