"""PNG files without the chunks that do not decide a pixel: damage or bombs in a comment harm no image."""

from __future__ import annotations

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of the ancillary chunks those that are used, with their length where it is fixed; checked, for a decoder stops there.
_USED = {b"tRNS": None, b"eXIf": None, b"acTL": 8, b"fcTL": 26}
_TIFF_STARTS = (b"II*\0", b"MM\0*")


def keep_needed_chunks(data: bytes) -> bytes:
    """`data` itself, or the PNG without what is not needed: text, profiles, times, private chunks.

    Of the ancillary chunks, those that are used (transparency, orientation, animation) stay, unless they are damaged;
    critical ones, whose names begin with a capital letter, stay as they are. `data` need not be a PNG.
    """
    if not data.startswith(SIGNATURE):
        return data
    kept, at, begin = [], len(SIGNATURE), 0
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        if end > len(data):
            break
        if not _is_needed(kind, data, at, end):
            kept.append(data[begin:at])
            begin = end
        at = end
        if kind == b"IEND":
            break
    return b"".join([*kept, data[begin:]]) if begin else data


def _is_needed(kind: bytes, data: bytes, at: int, end: int) -> bool:
    if kind[:1].isupper() or kind == b"fdAT":
        return True
    if kind not in _USED or zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
        return False
    if kind == b"eXIf":
        return data[at + 8 : at + 12] in _TIFF_STARTS
    return _USED[kind] in (None, end - at - 12)
