"""Zip and tar archives, read in place: no member is ever unpacked to a path, and nothing hostile gets through."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import re
import stat
import struct
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from emotion_utils.cache_building import naming_full_disk
from emotion_utils.config import cache_dir
from emotion_utils.errors import InputError
from emotion_utils.printable import printable
from emotion_utils.sources.decode import MAX_FILE_BYTES, ImageFault
from emotion_utils.sources.trees import PEEK_BYTES

MAX_RATIO = 100  # images shrink by less than 2, tables of pixels by about 4; bombs by 1000 and more
RATIO_FREE_BYTES = 16_000_000  # up to here a high ratio harms nobody (a plain bitmap of one colour has one)
CHUNK_BYTES = 1 << 20
_DECOMPRESSORS = {b"\x1f\x8b\x08": gzip.open, b"BZh": bz2.open, b"\xfd7z": lzma.open}
_SHORTEST = re.compile(r"[^/.:][^/:]*(?:/[^/.:][^/:]*)*")  # no part is empty or starts with a dot, and no drive leads
_DRIVE = re.compile(r"^[A-Za-z]:")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_UNREAD_METHODS = {9: "Deflate64, which Windows Explorer takes for large archives", 93: "Zstandard", 95: "XZ"}
_DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, NotImplementedError, OSError, EOFError)


def is_archive(path: Path) -> bool:
    """Whether the content of `path` (not its name) is a zip or a tar, compressed or not."""
    with path.open("rb") as file:
        start = file.read(4)
    return start in (b"PK\x03\x04", b"PK\x05\x06") or start[:3] in _DECOMPRESSORS or tarfile.is_tarfile(path)


def open_archive(path: Path) -> ZipTree | TarTree:
    """The archive at `path`. Raises InputError for one that is damaged, encrypted or not safe."""
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    try:
        return ZipTree(path) if is_zip else TarTree(path)
    except _DAMAGES as error:
        raise InputError(f"{path}: damaged, cut short or not an archive ({error}); download or copy it again") from None


class ZipTree:
    """The members of a zip file, each read by its place in the file; a Tree."""

    kind = "zip"

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._fd = self._zip.fp.fileno()
        self._members: dict[str, zipfile.ZipInfo] = {}
        links = []
        for info in self._zip.infolist():
            name = _check_name(path, printable(info.filename.replace("\\", "/")))
            _refuse_bomb(f"{path}, {name}", info.file_size, info.compress_size)
            if info.flag_bits & 1:
                raise InputError(f"{path}: is encrypted; unpack it and give the folder")
            _refuse_method(path, name, info.compress_type)
            if stat.S_ISLNK(info.external_attr >> 16):
                target = self._zip.read(info).decode("utf-8", "replace")
                links.append(_check_link(path, name, target, posixpath.dirname(name)))
            elif not info.is_dir():
                self._members[name] = info
        _refuse_bomb(path, sum(info.file_size for info in self._members.values()), path.stat().st_size)
        self.names = sorted(self._members)
        self.notes = _note_links(links)

    def read(self, name: str) -> bytes:
        info = self._members[name]
        if info.file_size > MAX_FILE_BYTES:
            raise ImageFault(f"too large: {info.file_size // 1_000_000} MB")
        try:
            data = self._inflate(info)
        except (*_DAMAGES, struct.error) as error:
            raise ImageFault(f"damaged in the archive: {error}") from None
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise ImageFault("damaged in the archive: its content is not what the index says")
        return data

    def open(self, name: str) -> BinaryIO:
        try:
            with self._zip.open(self._members[name]) as file:
                return _spool(iter(lambda: file.read(CHUNK_BYTES), b""))
        except _DAMAGES as error:
            raise InputError(f"{name}: damaged in the archive ({error}); download or copy it again") from None

    def peek(self, name: str) -> bytes:
        with self._zip.open(self._members[name]) as file:
            return file.read(PEEK_BYTES)

    def _inflate(self, info: zipfile.ZipInfo) -> bytes:
        """At most one byte more than declared: enough to see that an index lies. Stored and deflated members are
        read past the library, which takes a lock and four times as long."""
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return self._zip.read(info)
        header = os.pread(self._fd, 30, info.header_offset)
        signature, name_length, extra_length = struct.unpack("<4s22xHH", header)
        if signature != b"PK\x03\x04":
            raise zipfile.BadZipFile("no member where the index says")
        data = os.pread(self._fd, info.compress_size, info.header_offset + 30 + name_length + extra_length)
        if info.compress_type == zipfile.ZIP_STORED:
            return data
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, info.file_size + 1)


class TarTree:
    """The members of a tar file, indexed once and read by their place; a Tree.

    A compressed tar can only be read from front to back: it is first decompressed, once, into a nameless file in the
    cache, which vanishes with this object.
    """

    kind = "tar"

    def __init__(self, path: Path) -> None:
        self._file = _decompress(path)
        weakref.finalize(self, self._file.close)
        self._members: dict[str, tuple[int, int]] = {}  # name -> offset and size, bytes
        links = []
        for member in _list_tar(self._file):
            name = _check_name(path, printable(member.name))
            if member.issym():
                links.append(_check_link(path, name, member.linkname, posixpath.dirname(name)))
            elif member.islnk():  # a second name of a file that came before
                target = _check_link(path, name, member.linkname, "")
                self._members[name] = self._members.get(target, (0, 0))
            elif member.isreg() and not member.issparse():
                self._members[name] = (member.offset_data, member.size)
        self.names = sorted(self._members)
        self.notes = _note_links(links)

    def read(self, name: str) -> bytes:
        offset, size = self._members[name]
        if size > MAX_FILE_BYTES:
            raise ImageFault(f"too large: {size // 1_000_000} MB")
        return os.pread(self._file.fileno(), size, offset)

    def open(self, name: str) -> BinaryIO:
        offset, size = self._members[name]
        starts = range(offset, offset + size, CHUNK_BYTES)
        return _spool(os.pread(self._file.fileno(), min(CHUNK_BYTES, offset + size - at), at) for at in starts)

    def peek(self, name: str) -> bytes:
        offset, size = self._members[name]
        return os.pread(self._file.fileno(), min(size, PEEK_BYTES), offset)


def _decompress(path: Path) -> BinaryIO:
    file = path.open("rb")
    decompressor = _DECOMPRESSORS.get(file.read(3))
    if decompressor is None:
        return file
    file.close()
    with decompressor(path, "rb") as stream:
        return _spool(iter(lambda: stream.read(CHUNK_BYTES), b""), path)


def _list_tar(file: BinaryIO) -> list[tarfile.TarInfo]:
    """The members of an uncompressed tar; tarfile.ReadError where it ends early."""
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:
        members = archive.getmembers()
        if len(os.pread(file.fileno(), tarfile.BLOCKSIZE, archive.offset)) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("the end mark is missing")
    return members


def _spool(chunks: Iterable[bytes], compressed: Path | None = None) -> BinaryIO:
    """The chunks in a nameless file; stops a stream that grows beyond what the file `compressed` can honestly hold."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115 - the caller keeps it open
    try:
        with naming_full_disk(cache_dir()):
            for chunk in chunks:
                file.write(chunk)
                if compressed is not None:
                    _refuse_bomb(compressed, file.tell(), compressed.stat().st_size)
            file.flush()
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _check_name(path: Path, name: str) -> str:
    """`name` in its shortest form. Raises InputError where unpacking it would write outside of a folder."""
    if _SHORTEST.fullmatch(name):
        return name
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise InputError(f"{path}: member {name!r} leads outside of the archive; it is not safe to use")
    return posixpath.normpath(name)


def _check_link(path: Path, name: str, target: str, start: str) -> str:
    """What the link `name` points to, as a member's name. Raises InputError where that is outside."""
    end = posixpath.normpath(posixpath.join(start, target.replace("\\", "/")))
    if end.startswith(("/", "../")) or end == ".." or _DRIVE.match(end):
        raise InputError(f"{path}: member {name!r} is a link that leads outside ({target!r}); it is not safe to use")
    return end


def _refuse_method(path: Path, name: str, method: int) -> None:
    if method not in _METHODS:
        called = f" ({_UNREAD_METHODS[method]})" if method in _UNREAD_METHODS else ""
        raise InputError(
            f"{path}: {name} is packed with method {method}{called}, which Python does not read; unpack it and give "
            "the folder, or pack it again with `zip -r` or 7-Zip's method Deflate"
        )


def _refuse_bomb(what: object, size: int, packed: int) -> None:
    if size > RATIO_FREE_BYTES and size > MAX_RATIO * packed:
        raise InputError(f"{what}: {packed:,} bytes that unpack to {size:,} or more; it is not safe to use")


def _note_links(links: list[str]) -> tuple[str, ...]:
    return (f"left out {len(links)} links, e.g. to {links[0]}",) if links else ()
