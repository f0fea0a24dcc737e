"""A folder of files, seen as sorted names and a way to read them; archives look the same (archives.py)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from emotion_utils.errors import InputError
from emotion_utils.printable import count_of, printable
from emotion_utils.sources.decoded import MAX_FILE_BYTES, ImageFault

# Hidden files and folders, and what operating systems leave behind.
_JUNK = re.compile(r"(?:^|/)(?:\.|(?:__macosx|thumbs\.db|desktop\.ini)(?:/|$))", re.IGNORECASE)
MOST_AGAIN = 10_000  # folders that are reached a second time, as by the folds of a cross-validation made of links
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


class _OnDisk:
    """How the files of a folder are read."""

    kind = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes:
        return read_file(self._place(name))

    def open(self, name: str) -> BinaryIO:
        try:
            return open(self._place(name), "rb")
        except OSError as error:
            raise InputError(f"{self._place(name)}: cannot be read ({error.strerror})") from None

    def peek(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read(PEEK_BYTES)

    def _place(self, name: str) -> str:
        return os.path.join(self._root, name)


class FlatFolderTree(_OnDisk):
    """The files that lie in a folder itself, not in folders there."""

    notes = ()

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        names = [item.name for item in os.scandir(root) if item.is_file()]
        self.names = sorted(name for name in names if printable(name) == name)


class FolderTree(_OnDisk):
    """The files below a folder; links are followed, for whoever made the folder may link what they like."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._dangling: list[str] = []
        self._special: list[str] = []
        self._empty: list[str] = []
        self._circles: list[str] = []
        try:
            found = list(self._walk())
        except OSError as error:
            raise InputError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from None
        plain = {name for name in found if printable(name) == name}
        self._unusual: dict[str, str] = {}  # printable name -> real name, where they differ
        alike = []
        for name in sorted(set(found) - plain):
            if printable(name) in plain or printable(name) in self._unusual:
                alike.append(printable(name))
            else:
                self._unusual[printable(name)] = name
        self.names = sorted([*plain, *self._unusual])
        self.notes = (
            *_note_dangling(sorted(self._dangling), root), *_note_special(self._special), *_note_empty(self._empty),
            *_note_circles(self._circles), *_note_alike(alike),
        )  # fmt: skip

    def _place(self, name: str) -> str:
        return super()._place(self._unusual.get(name, name))

    def _walk(self) -> Iterator[str]:
        """Real names of all files. A link to a folder that it lies in, or that the root lies in, is not followed.

        Raises InputError where links lead to the same folders again and again: few of them make billions of paths.
        """
        seen, again = set(), 0
        waiting = [("", frozenset(map(_identity, self._root.resolve().parents)))]  # and the folders on the way there
        while waiting:
            folder, above = waiting.pop()
            here = _identity(os.path.join(self._root, folder))
            if here in above:
                self._circles.append(printable(folder))
                continue
            again += here in seen
            if again > MOST_AGAIN:
                raise InputError(
                    f"{self._root}: links lead to the same folders more than {MOST_AGAIN:,} times, e.g. {folder}; give "
                    "a folder without them"
                )
            seen.add(here)
            is_empty, within = True, above | {here}
            with os.scandir(os.path.join(self._root, folder)) as entries:
                for entry in entries:
                    is_empty = False
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    if is_junk(entry.name):
                        continue
                    if entry.is_symlink() and not os.path.exists(entry.path):  # also where links lead in a circle
                        self._dangling.append(name)
                    elif entry.is_dir():
                        waiting.append((name, within))
                    elif entry.is_file():
                        yield name
                    else:
                        self._special.append(printable(name))
            if is_empty and folder and not is_junk(folder):
                self._empty.append(printable(folder))


def _identity(folder: str | Path) -> tuple[int, int]:
    facts = os.stat(folder)
    return facts.st_dev, facts.st_ino


def _note_circles(links: list[str]) -> tuple[str, ...]:
    if not links:
        return ()
    return (f"not followed: {count_of(len(links), 'link')} to folders above, e.g. {min(links)}",)


def _note_alike(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    what = "file whose name is" if len(names) == 1 else "files whose names are"
    return (f"not read: {len(names)} {what} shown as that of another, e.g. {min(names)}; rename it",)


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
