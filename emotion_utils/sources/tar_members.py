"""The members of an uncompressed tar, found by their headers. The standard library's reader trusts what these say: an
absurd size ends it with errors of many kinds, a broken sparse map lets it hang, and it takes a damaged header for the
end."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from emotion_utils.sources.decoded import DAMAGED_MEMBER

MAX_HEADER_BYTES = 1 << 20  # of names and other facts of one member
LARGEST_BYTES = 1 << 50  # no member is larger: such a size is a lie, even where nothing follows
_BLOCK = tarfile.BLOCKSIZE
_BLOCKS_READ = 2048  # at a time, while a header is looked for
_LONG_NAMES = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_WITHOUT_DATA = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE,
)  # fmt: skip
_PAX_RECORD = re.compile(rb"([1-9]\d{0,6}) ([^=]+)=")
_MAGIC = slice(257, 262)  # b"ustar" in all headers but those of the 1980s
_MORE_PLACES, _STILL_MORE_PLACES = 482, 504  # bytes that say whether a block of a sparse map follows


class TarMember(NamedTuple):
    """A member, and where its bytes are; with a `fault` they cannot be had."""

    name: str
    type: bytes  # as tarfile's constants
    target: str  # of a link
    offset: int
    size: int
    fault: str


def is_tar(file: BinaryIO) -> bool:
    """Whether `file` starts as a tar does."""
    return _parse(os.pread(file.fileno(), _BLOCK, 0)) is not None


def read_members(file: BinaryIO) -> Iterator[TarMember]:
    """The members in their order. Raises tarfile.ReadError where the tar is cut short or a header damaged."""
    end = os.fstat(file.fileno()).st_size
    at, always, own, fault = 0, {}, {}, ""  # what extra headers say of all members and of the next; what is wrong
    while any(block := os.pread(file.fileno(), _BLOCK, at)):
        header = _parse(block)
        if header is None:
            raise tarfile.ReadError(f"no header at byte {at:,}, where one belongs")
        start = at + _BLOCK
        if header.type in _PAX or header.type in _LONG_NAMES:
            facts = _read_facts(file, header, start)
            if facts is None:
                fault = f"{DAMAGED_MEMBER}: its extended header is not readable"
                at = _find_header(file, start, end)
                if at is None:
                    raise tarfile.ReadError(f"nothing follows the extended header at byte {start - _BLOCK:,}")
            else:
                (always if header.type == tarfile.XGLTYPE else own).update(facts)
                at = start + _padded(header.size)
            continue
        if header.type == tarfile.GNUTYPE_SPARSE:
            start = _skip_places(file, block, start)
        member = _describe(header, start, always | own, fault)
        if member.type in _WITHOUT_DATA:
            at = start
        elif 0 <= member.size <= end - start:
            at = start + _padded(member.size)
        else:
            member = member._replace(fault=f"{DAMAGED_MEMBER}: a size of {member.size:,} bytes")
            at = _find_header(file, start, end)
            if at is None and 0 <= member.size < LARGEST_BYTES:
                raise tarfile.ReadError("a member reaches beyond the end")
        yield member
        if at is None:
            return
        own, fault = {}, ""
    if len(block) < _BLOCK:
        raise tarfile.ReadError("the end mark is missing")


def _describe(header: tarfile.TarInfo, start: int, facts: dict[str, str], fault: str) -> TarMember:
    size = header.size
    if "size" in facts:
        size = int(facts["size"]) if re.fullmatch(r"-?[0-9]{1,30}", facts["size"]) else -1
    if header.type == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in facts):
        fault = fault or "sparse in the archive: pack it again without --sparse"
    name = facts.get("GNU.sparse.name") or facts.get("path") or header.name
    return TarMember(name, header.type, facts.get("linkpath") or header.linkname, start, size, fault)


def _parse(block: bytes) -> tarfile.TarInfo | None:
    """What a header says; None for what is none."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return None


def _read_facts(file: BinaryIO, header: tarfile.TarInfo, start: int) -> dict[str, str] | None:
    """What an extra header says of the member that follows; None where it cannot be read."""
    if not 0 <= header.size <= MAX_HEADER_BYTES:
        return None
    data = os.pread(file.fileno(), header.size, start)
    if header.type in _LONG_NAMES:
        return {_LONG_NAMES[header.type]: _decode(data.partition(b"\0")[0])}
    facts, at = {}, 0
    while at < len(data) and data[at]:
        record = _PAX_RECORD.match(data, at)
        if record is None:
            return None
        after = at + int(record[1])
        if not record.end() < after <= len(data):
            return None
        facts[_decode(record[2])] = _decode(data[record.end() : after - 1])
        at = after
    return facts


def _skip_places(file: BinaryIO, block: bytes, at: int) -> int:
    """Where the data of an old sparse member begins: behind all blocks of its map."""
    more = block[_MORE_PLACES]
    while more:
        block = os.pread(file.fileno(), _BLOCK, at)
        more = len(block) == _BLOCK and block[_STILL_MORE_PLACES]
        at += _BLOCK
    return at


def _find_header(file: BinaryIO, at: int, end: int) -> int | None:
    """The place of the next header from `at` on."""
    for first in range(at, end, _BLOCK * _BLOCKS_READ):
        data = os.pread(file.fileno(), _BLOCK * _BLOCKS_READ, first)
        for place in range(0, len(data), _BLOCK):
            block = data[place : place + _BLOCK]
            if block[_MAGIC] == b"ustar" and _parse(block):
                return first + place
    return None


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
