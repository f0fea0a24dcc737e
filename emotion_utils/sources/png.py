"""PNG files without the chunks that do not decide a pixel: damage or bombs in a comment harm no image.

Pillow does not look at the checksums of pixels, and OpenCV prints what libpng says of them: they are checked here.
"""

from __future__ import annotations

import struct
import zlib

from emotion_utils.errors import InputError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Of the ancillary chunks those that are used, with their length where it is fixed; checked, for a decoder stops there.
_USED = {b"tRNS": None, b"eXIf": None, b"acTL": 8, b"fcTL": 26}
_BYTES_OF_16_BIT = {0: 2, 2: 6, 4: 4, 6: 8}  # of a pixel, by colour type
_PIECE_BYTES = 1 << 16  # unpacked at a time
_TIFF_STARTS = (b"II*\0", b"MM\0*")


def keep_needed_chunks(data: bytes) -> bytes:
    """`data` itself, or the PNG without what is not needed: text, profiles, times, private chunks.

    Of the ancillary chunks, those that are used (transparency, orientation, animation) stay, unless they are damaged;
    critical ones, whose names begin with a capital letter, stay as they are. `data` need not be a PNG. Raises
    InputError where a critical chunk is not what its checksum says.
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
    if kind in (b"fdAT", b"IEND"):
        return True
    is_critical = kind[:1].isupper()
    if not is_critical and kind not in _USED:
        return False
    is_whole = zlib.crc32(memoryview(data)[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])
    if is_critical and not is_whole:
        raise InputError(f"a chunk of the PNG ({kind.decode('ascii', 'replace')}) is not what its checksum says")
    if is_critical or not is_whole:
        return is_whole
    if kind == b"eXIf":
        return data[at + 8 : at + 12] in _TIFF_STARTS
    return _USED[kind] in (None, end - at - 12)


def with_clean_pixels(data: bytes) -> bytes:
    """A 16-bit PNG of the header, transparency and pixels of `data` alone: nothing is left that libpng warns of.

    Takes no memory beside its result, whatever the pixels unpack to. Raises InputError where they cannot be unpacked.
    """
    chunks: dict[bytes, list[memoryview]] = {}
    view, at = memoryview(data), len(SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        chunks.setdefault(data[at + 4 : at + 8], []).append(view[at + 8 : at + 8 + length])
        at += 12 + length
    width, height, _, colours, *_, is_interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    filters = 2 * height + 7 if is_interlaced else height  # a byte for each row; at most, of the seven passes
    pixels = _pack_again(chunks[b"IDAT"], width * height * _BYTES_OF_16_BIT[colours] + filters)
    kept = [(kind, b"".join(chunks[kind])) for kind in (b"IHDR", b"tRNS") if kind in chunks]
    return SIGNATURE + b"".join(
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
        for kind, body in [*kept, (b"IDAT", pixels), (b"IEND", b"")]
    )


def _pack_again(parts: list[memoryview], length: int) -> bytes:
    """The first `length` bytes that `parts` unpack to, packed. Raises InputError where they cannot be unpacked."""
    unpack, pack, packed = zlib.decompressobj(), zlib.compressobj(1), []
    try:
        for piece in (part[at : at + _PIECE_BYTES] for part in parts for at in range(0, len(part), _PIECE_BYTES)):
            while length and (unpacked := unpack.decompress(piece, min(length, _PIECE_BYTES))):
                packed.append(pack.compress(unpacked))
                length -= len(unpacked)
                piece = unpack.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"the pixels of the PNG cannot be unpacked ({error})") from None
    return b"".join([*packed, pack.flush()])
