"""What the markers of a JPEG file say, before a pixel of it is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

EOI, SOS, PROGRESSIVE = 0xD9, 0xDA, 0xC2
_NO_FRAMES = (0xC4, 0xC8, 0xCC)  # tables among the numbers of frames
_EXIF = 0xE1  # or XMP
_BETWEEN_SCANS = {0xC4, 0xCC, SOS, 0xDB, 0xDC, 0xDD, 0xFE, EOI, *range(0xE0, 0xF0)}
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_SCAN_END = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
COEFFICIENTS = 64


@dataclass
class JpegStructure:
    """Of a JPEG whose markers can be followed to its first scan at least."""

    frame: int = 0  # its marker
    precision: int = 0
    width: int = 0
    height: int = 0
    components: tuple[int, ...] = ()
    has_exif: bool = False
    has_strays: bool = False  # bytes that belong to nothing, before the first scan
    scans: int = 0
    end: int = 0  # where the image's data end: at the end mark, or with the file
    is_broken: bool = False  # a scan runs into bytes that neither go on with it nor end it
    missing_bits: dict[int, list[int]] = field(default_factory=dict)  # of each component's coefficients

    @property
    def lacks_scans(self) -> bool:
        """Whether a progressive file ends before each coefficient has had its last bit."""
        return self.frame == PROGRESSIVE and any(any(bits) for bits in self.missing_bits.values())


def read_structure(data: bytes) -> JpegStructure | None:
    """The structure of `data`; None where it is no JPEG, or its header cannot be followed."""
    if data[:2] != b"\xff\xd8":
        return None
    found, at = JpegStructure(end=len(data)), 2
    while start := _MARKER.search(data, at):
        marker, length = start[1][0], int.from_bytes(data[start.end() : start.end() + 2])
        body = data[start.end() + 2 : start.end() + length]
        if not 0xC0 <= marker <= 0xFE or len(body) != length - 2:
            break
        found.has_strays |= start.start() > at and not found.scans
        found.has_exif |= marker == _EXIF
        at = start.end() + length
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            if found.frame or not _read_frame(found, marker, body):
                break
        elif marker == SOS:
            if not found.frame or not _read_scan(found, body):
                break
            ended = _SCAN_END.search(data, at)
            if not ended or ended[1][0] == EOI:
                found.end = ended.start() if ended else len(data)
                return found
            if ended[1][0] not in _BETWEEN_SCANS:
                break
            at = ended.end() - 2
    found.is_broken = True
    return found if found.scans else None


def _read_frame(found: JpegStructure, marker: int, body: bytes) -> bool:
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        return False
    found.frame, found.precision = marker, body[0]
    found.height, found.width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
    found.components = tuple(body[6::3])
    found.missing_bits = {component: [1] * COEFFICIENTS for component in found.components}
    return True


def _read_scan(found: JpegStructure, body: bytes) -> bool:
    """Notes the bits of coefficients that one scan leaves missing."""
    count = body[0] if body else 0
    if len(body) != 4 + 2 * count:
        return False
    first, last, bits = body[-3], body[-2], body[-1] & 15
    for component in body[1 : 1 + 2 * count : 2]:
        if component not in found.missing_bits or not first <= last < COEFFICIENTS:
            return False
        found.missing_bits[component][first : last + 1] = [bits] * (last + 1 - first)
    found.scans += 1
    return True
