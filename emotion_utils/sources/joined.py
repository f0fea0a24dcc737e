"""Several archives in one folder, seen as one tree: train.zip beside test.zip."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from emotion_utils.sources.archives import open_archive
from emotion_utils.sources.trees import FolderTree, Tree

_SUFFIXES = re.compile(r"\.(?:zip|tar|tgz|tbz2?|txz|gz|bz2|xz)$", re.IGNORECASE)


class JoinedTree:
    """A folder in which each archive looks like a folder of its name; a Tree."""

    kind = "zip"

    def __init__(self, folder: FolderTree, archives: Sequence[Path]) -> None:
        inside = {path.name for path in archives}
        self._places: dict[str, tuple[Tree, str]] = {
            name: (folder, name) for name in folder.names if name not in inside
        }
        notes = [f"read together: {', '.join(path.name for path in archives)}", *folder.notes]
        for path in archives:
            tree = open_archive(path)
            self._places |= {f"{_stem(path)}/{name}": (tree, name) for name in tree.names}
            notes += [f"{path.name}: {note}" for note in tree.notes]
        self.names = sorted(self._places)
        self.notes = tuple(notes)

    def read(self, name: str) -> bytes:
        tree, inside = self._places[name]
        return tree.read(inside)

    def open(self, name: str) -> BinaryIO:
        tree, inside = self._places[name]
        return tree.open(inside)

    def peek(self, name: str) -> bytes:
        tree, inside = self._places[name]
        return tree.peek(inside)


def has_archive_name(name: str) -> bool:
    """Whether a file of this name, at the top of a folder, may be an archive."""
    return "/" not in name and _SUFFIXES.search(name) is not None


def _stem(path: Path) -> str:
    name = path.name
    while _SUFFIXES.search(name):
        name = _SUFFIXES.sub("", name)
    return name
