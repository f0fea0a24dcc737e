"""Zip and tar archives, read in place: no member is ever unpacked to a path, and nothing hostile gets through."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import posixpath
import stat
import struct
import tarfile
import weakref
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of, printable
from emotion_utils.sources.decoded import DAMAGED_MEMBER, MAX_FILE_BYTES, ImageFault
from emotion_utils.sources.members import (
    CHUNK_BYTES,
    check_link,
    check_name,
    describe,
    naming,
    note_links,
    refuse_bomb,
    spool,
)  # fmt: skip
from emotion_utils.sources.tar_members import is_tar, read_members
from emotion_utils.sources.trees import PEEK_BYTES

_DECOMPRESSORS = {b"\x1f\x8b\x08": gzip.open, b"BZh": bz2.open, b"\xfd7z": lzma.open}
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_UNREAD_METHODS = {9: "Deflate64, which Windows Explorer takes for large archives", 93: "Zstandard", 95: "XZ"}
_MOST_FROM_A_BYTE = {  # what a packed byte can become at all, by method: more than that is no bomb but a lie
    zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032, zipfile.ZIP_BZIP2: 10**7, zipfile.ZIP_LZMA: 10**7,
}  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether the content of `path` (not its name) is a zip or a tar, compressed or not."""
    with path.open("rb") as file:
        start = file.read(4)
        return start in (b"PK\x03\x04", b"PK\x05\x06") or start[:3] in _DECOMPRESSORS or is_tar(file)


def open_archive(path: Path) -> ZipTree | TarTree:
    """The archive at `path`. A member that cannot be read keeps its name, and its reason is told where it is read.

    Raises InputError for an archive that is damaged as a whole or not safe, and where most members cannot be read.
    """
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    try:
        tree = ZipTree(path) if is_zip else TarTree(path)
    except InputError:
        raise
    except Exception as error:  # each library of archives and compression fails in ways of its own
        reason = describe(error)
        raise InputError(
            f"{path}: damaged, cut short or not an archive ({reason}); download or copy it again"
        ) from None
    if 2 * len(tree.faults) > len(tree.names):
        name, reason = next(iter(tree.faults.items()))
        raise InputError(f"{path}: {len(tree.faults)} of {len(tree.names)} files cannot be read; {name} is {reason}")
    return tree


class _ZipFile(io.FileIO):
    """The bytes of a zip file, whose headers say UTF-8 of just those names that are.

    Many tools write UTF-8 without saying so; where it is said of other bytes, the library refuses the whole archive.
    Names that are none are read as cp437, the form of old.
    """

    def read(self, size: int = -1) -> bytes:
        data = bytearray(super().read(size))
        if data.startswith(b"PK\x03\x04") and len(data) == 30:  # the header of a member; its name is read next
            _flag(data, 7, os.pread(self.fileno(), *struct.unpack_from("<H", data, 26), self.tell()))
        at = 0
        while data.startswith(b"PK\x01\x02", at) and at + 46 <= len(data):
            lengths = struct.unpack_from("<HHH", data, at + 28)
            _flag(data, at + 9, data[at + 46 : at + 46 + lengths[0]])
            at += 46 + sum(lengths)
        return bytes(data)


def _flag(header: bytearray, at: int, name: bytes | bytearray) -> None:
    header[at] = header[at] & ~0x08 | (0x08 if _is_utf8(name) else 0)


def _is_utf8(name: bytes | bytearray) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class ZipTree:
    """The members of a zip file, each read by its place in the file; a Tree."""

    kind = "zip"

    def __init__(self, path: Path) -> None:
        self._path, self._zip = path, zipfile.ZipFile(_ZipFile(path, "rb"))
        self._fd = self._zip.fp.fileno()
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.faults: dict[str, str] = {}  # why these cannot be read
        infos, size, links = self._zip.infolist(), path.stat().st_size, []
        offsets = sorted({info.header_offset for info in infos if self._has_header(info, size)})
        self._ends = dict(pairwise([*offsets, size]))  # by offset: how far a member can reach
        seen: set[int] = set()
        for info in infos:
            name = check_name(path, printable(info.filename.replace("\\", "/")))
            if info.is_dir():
                continue
            fault = _find_fault(info, self._ends.get(info.header_offset), size)
            if not fault and info.header_offset in seen:
                fault = f"{DAMAGED_MEMBER}: it lies where another one is"
            seen.add(info.header_offset)
            if not fault:
                refuse_bomb(f"{path}, {name}", info.file_size, info.compress_size)
            if not fault and stat.S_ISLNK(info.external_attr >> 16):
                try:
                    target = self._read(info).decode("utf-8", "replace")
                    links.append(check_link(path, name, target, posixpath.dirname(name)))
                except ImageFault as error:
                    self.faults[name] = str(error)
            else:
                self._add(name, info, fault)
        refuse_bomb(path, sum(info.file_size for info in self._members.values()), size)
        self.names = sorted({**self._members, **self.faults})
        self.notes = note_links(links) + _note_names(infos)

    def read(self, name: str) -> bytes:
        if name in self.faults:
            raise ImageFault(self.faults[name])
        return self._read(self._members[name])

    def open(self, name: str) -> BinaryIO:
        with naming(self._path, name, self.faults), self._zip.open(self._members[name]) as file:
            return spool(iter(lambda: file.read(CHUNK_BYTES), b""))

    def peek(self, name: str) -> bytes:
        with naming(self._path, name, self.faults):
            return self._inflate(self._members[name], PEEK_BYTES)[:PEEK_BYTES]

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        if info.file_size > MAX_FILE_BYTES:
            raise ImageFault(f"too large: {info.file_size // 1_000_000} MB")
        try:
            data = self._inflate(info, info.file_size + 1)
        except Exception as error:  # as many kinds as there are ways to be damaged
            raise ImageFault(f"{DAMAGED_MEMBER}: {describe(error)}") from None
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise ImageFault(f"{DAMAGED_MEMBER}: its content is not what the index says")
        return data

    def _add(self, name: str, info: zipfile.ZipInfo, fault: str) -> None:
        """Takes a member in; of two that have one name, none where they differ: nobody can say which is meant."""
        other = self._members.get(name)
        if other and not fault and (other.CRC, other.file_size) != (info.CRC, info.file_size):
            fault = f"{DAMAGED_MEMBER}: two different members have this name"
        if fault:
            self._members.pop(name, None)
            self.faults[name] = fault
        elif name not in self.faults:
            self._members[name] = info

    def _has_header(self, info: zipfile.ZipInfo, archive_bytes: int) -> bool:
        """Whether a member is where the index says."""
        offset = info.header_offset
        return 0 <= offset < archive_bytes and os.pread(self._fd, 4, offset) == b"PK\x03\x04"

    def _inflate(self, info: zipfile.ZipInfo, limit: int) -> bytes:
        """At most `limit` bytes, not checked. Stored and deflated members are read past the library, which takes a
        lock and four times as long."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with self._zip.open(info) as file:
                return file.read(limit)
        header = os.pread(self._fd, 30, info.header_offset)
        name_length, extra_length = struct.unpack("<26xHH", header)
        start = info.header_offset + 30 + name_length + extra_length
        if start + info.compress_size > self._ends[info.header_offset]:
            raise zipfile.BadZipFile("it reaches into another one")
        data = os.pread(self._fd, min(info.compress_size, 2 * limit + 1000), start)
        if info.compress_type == zipfile.ZIP_STORED:
            return data[:limit]
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)


class TarTree:
    """The members of a tar file, indexed once and read by their place; a Tree.

    A compressed tar can only be read from front to back: it is first decompressed, once, into a nameless file in the
    cache, which vanishes with this object.
    """

    kind = "tar"

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, _decompress(path)
        weakref.finalize(self, self._file.close)
        self._members: dict[str, tuple[int, int]] = {}  # name -> offset and size, bytes
        self.faults: dict[str, str] = {}  # why these cannot be read
        links = []
        for member in read_members(self._file):
            name = check_name(path, printable(member.name))
            if member.type == tarfile.SYMTYPE:
                links.append(check_link(path, name, member.target, posixpath.dirname(name)))
            elif member.type == tarfile.LNKTYPE:  # a second name of a file that came before
                target = check_link(path, name, member.target, "")
                missing = (
                    "" if target in self._members else f"{DAMAGED_MEMBER}: a link to {target}, which cannot be read"
                )
                self._add(name, self._members.get(target), missing)
            elif member.type in _FILES or member.fault:
                self._add(name, (member.offset, member.size), member.fault)
        self.names = sorted({**self._members, **self.faults})
        self.notes = note_links(links)

    def read(self, name: str) -> bytes:
        if name in self.faults:
            raise ImageFault(self.faults[name])
        offset, size = self._members[name]
        if size > MAX_FILE_BYTES:
            raise ImageFault(f"too large: {size // 1_000_000} MB")
        data = os.pread(self._file.fileno(), size, offset)
        if len(data) < size:
            raise ImageFault(f"{DAMAGED_MEMBER}: the archive was cut short while it was read")
        return data

    def open(self, name: str) -> BinaryIO:
        with naming(self._path, name, self.faults):
            offset, size = self._members[name]
            starts = range(offset, offset + size, CHUNK_BYTES)
            return spool(os.pread(self._file.fileno(), min(CHUNK_BYTES, offset + size - at), at) for at in starts)

    def peek(self, name: str) -> bytes:
        with naming(self._path, name, self.faults):
            offset, size = self._members[name]
            return os.pread(self._file.fileno(), min(size, PEEK_BYTES), offset)

    def _add(self, name: str, place: tuple[int, int] | None, fault: str) -> None:
        """Takes a member in; of several that have one name the last one counts, as `tar --append` means it."""
        self._members.pop(name, None)
        self.faults.pop(name, None)
        if fault:
            self.faults[name] = fault
        else:
            self._members[name] = place


def _note_names(infos: list[zipfile.ZipInfo]) -> tuple[str, ...]:
    """A line on names that are not UTF-8: of which encoding they are (cp932, GBK ...) the archive does not say."""
    names = [printable(info.filename) for info in infos if not info.flag_bits & 0x800 and not info.filename.isascii()]
    if not names:
        return ()
    return (
        f"{count_of(len(names), 'name')} in the archive {'is' if len(names) == 1 else 'are'} not UTF-8 and may look "
        f"wrong, e.g. {names[0]}: rename the folders, or unpack it where it was made and zip it again with UTF-8 names",
    )


def _find_fault(info: zipfile.ZipInfo, end: int | None, archive_bytes: int) -> str:
    """Why the index alone shows that a member cannot be read; '' where nothing speaks against it.

    `end` is how far it can reach, None where no member begins at its place.
    """
    packed, size, method = info.compress_size, info.file_size, info.compress_type
    if info.flag_bits & 1:
        return "encrypted in the archive: unpack it and give the folder"
    if method not in _MOST_FROM_A_BYTE:
        called = f" ({_UNREAD_METHODS[method]})" if method in _UNREAD_METHODS else ""
        return (
            f"packed with method {method}{called}: Python does not read it; unpack it and give the folder, or pack it "
            "again with `zip -r` or 7-Zip's method Deflate"
        )
    if not 0 <= info.header_offset <= archive_bytes - 30 - packed:
        return f"{DAMAGED_MEMBER}: it is said to lie beyond the end"
    if end is None:
        return f"{DAMAGED_MEMBER}: no member where the index says"
    if info.header_offset + 30 + packed > end:
        return f"{DAMAGED_MEMBER}: it reaches into another one"
    if size > packed * _MOST_FROM_A_BYTE[method]:
        return f"{DAMAGED_MEMBER}: {packed:,} bytes cannot hold {size:,}"
    return ""


def _decompress(path: Path) -> BinaryIO:
    file = path.open("rb")
    decompressor = _DECOMPRESSORS.get(file.read(3))
    if decompressor is None:
        return file
    file.close()
    with decompressor(path, "rb") as stream:
        return spool(iter(lambda: stream.read(CHUNK_BYTES), b""), path)
