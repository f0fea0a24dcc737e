"""A folder of files, seen as sorted names and a way to read them; archives look the same (archives.py)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from emotion_utils.errors import InputError
from emotion_utils.printable import printable
from emotion_utils.sources.decoded import MAX_FILE_BYTES, ImageFault

# Hidden files and folders, and what operating systems leave behind.
_JUNK = re.compile(r"(?:^|/)(?:\.|(?:__macosx|thumbs\.db|desktop\.ini)(?:/|$))", re.IGNORECASE)
PEEK_BYTES = 32_768  # enough for the header of a table and its first rows, of pixels too


class Tree(Protocol):
    """Files under names with '/', relative to the tree's root. `read` may be called from several threads."""

    kind: str
    names: list[str]
    notes: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """All bytes of one file. Raises ImageFault where they cannot be had."""

    def open(self, name: str) -> BinaryIO:
        """One file for reading, seekable, whatever its size. Raises InputError that names it."""

    def peek(self, name: str) -> bytes:
        """The first PEEK_BYTES of one file. Raises InputError that names it."""


def read_needed(tree: Tree, name: str) -> bytes:
    """All bytes of a file on which the labels depend. Raises InputError that names it where they cannot be had."""
    try:
        return tree.read(name)
    except ImageFault as fault:
        raise InputError(f"{name}: {fault}; the labels are in it") from None


def is_junk(name: str) -> bool:
    """Hidden files and folders, and what operating systems leave behind."""
    return _JUNK.search(name) is not None


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file that may be an image. Raises ImageFault where it cannot be read or is too large for one."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ImageFault(f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ImageFault(f"too large: more than {MAX_FILE_BYTES // 1_000_000} MB")
    return data


class FolderTree:
    """The files below a folder; links are followed, for whoever made the folder may link what they like."""

    kind = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root
        self._dangling: list[str] = []
        self._special: list[str] = []
        self._empty: list[str] = []
        self._unusual: dict[str, str] = {}  # printable name -> real name, where they differ
        try:
            self.names = sorted(self._walk("", ()))
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from None
        self.notes = (
            _note_dangling(sorted(self._dangling), root) + _note_special(self._special) + _note_empty(self._empty)
        )

    def read(self, name: str) -> bytes:
        return read_file(self._place(name))

    def open(self, name: str) -> BinaryIO:
        return open(self._place(name), "rb")

    def peek(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read(PEEK_BYTES)

    def _place(self, name: str) -> str:
        return os.path.join(self._root, self._unusual.get(name, name))

    def _walk(self, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        """Names below `folder`; `above` are the folders on the way here, so that a link in a circle ends."""
        facts = os.stat(os.path.join(self._root, folder))
        here = (facts.st_dev, facts.st_ino)
        if here in above:
            return
        is_empty = True
        with os.scandir(os.path.join(self._root, folder)) as entries:
            for entry in entries:
                is_empty = False
                name = f"{folder}/{entry.name}" if folder else entry.name
                if is_junk(entry.name):
                    continue
                if entry.is_symlink() and not os.path.exists(entry.path):  # also where links lead in a circle
                    self._dangling.append(name)
                elif entry.is_dir():
                    yield from self._walk(name, (*above, here))
                elif entry.is_file():
                    shown = printable(name)
                    if shown != name:
                        self._unusual[shown] = name
                    yield shown
                else:
                    self._special.append(printable(name))
        if is_empty and folder and not is_junk(folder):
            self._empty.append(printable(folder))


def _note_empty(folders: list[str]) -> tuple[str, ...]:
    if not folders:
        return ()
    return (f"{len(folders)} {'folder is' if len(folders) == 1 else 'folders are'} empty, e.g. {min(folders)}",)


def _note_special(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    what = "pipe, socket or device" if len(names) == 1 else "pipes, sockets or devices"
    return (f"not read: {len(names)} {what}, e.g. {min(names)}",)


def _note_dangling(links: list[str], root: Path) -> tuple[str, ...]:
    """What to do about links without target, as data sets have them whose files are kept elsewhere."""
    if not links:
        return ()
    target = os.readlink(os.path.join(root, links[0]))
    fetch = "`git annex get .` fetches them" if "annex" in target else "`dvc pull` fetches them if DVC keeps the data"
    found = "1 link to a file that is" if len(links) == 1 else f"{len(links):,} links to files that are"
    return (f"{found} not there, e.g. {printable(links[0])}: {fetch}; else copy the files themselves",)
