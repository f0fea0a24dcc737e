"""The members of a tree, told apart: images, and what lies beside them."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from emotion_utils.errors import InputError
from emotion_utils.sources import left_out
from emotion_utils.sources.split_words import split_of_path
from emotion_utils.sources.trees import FlatFolderTree, Tree, is_junk

IMAGE_SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".pnm",
    ".heic", ".heif", ".avif",
}  # fmt: skip
_IMAGE_START = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|BM....\0\0|II\*\0|MM\0\*|RIFF....WEBP|P[1-6]\s|....ftyp(?:avif|heic|heix|mif1)",
    re.DOTALL,
)
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio writes before the name of an uploaded file
MOST_LEVELS, LONGEST_PATH = 100, 4096  # more is no data set, but made to take long
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


@dataclass(frozen=True)
class Files:
    """Names of a tree in sorted order, without what operating systems leave behind."""

    tree: Tree
    images: list[str]
    others: list[str]


def files_beside(path: Path) -> Files:
    """What lies in the folder of a file, without what lies in folders there."""
    tree = FlatFolderTree(path.parent)
    return Files(tree, [], [name for name in tree.names if not is_junk(name)])


def is_image_name(name: str) -> bool:
    """Whether the suffix promises an image; its content is judged when it is decoded."""
    return posixpath.splitext(name)[1].lower() in IMAGE_SUFFIXES


def sort_files(tree: Tree) -> Files:
    """The members of `tree`; raises InputError for a path that is too long to be meant.

    Where the suffix says nothing (subject01.happy), the first bytes tell an image.
    """
    images, others = [], []
    for name in sorted(tree.names):
        if not is_junk(name):
            if name.count("/") > MOST_LEVELS or len(name) > LONGEST_PATH:
                raise InputError(
                    f"{name[:60]} ...: a path of {len(name):,} characters and {name.count('/'):,} folders, of which "
                    f"{LONGEST_PATH:,} and {MOST_LEVELS} are read; move it to a shorter one"
                )
            (images if is_image_name(name) or _starts_as_image(tree, name) else others).append(name)
    return Files(tree, images, others)


class FileFinder:
    """Finds the file that a table means: people write a base name, another root, no suffix, another case or form."""

    def __init__(self, files: Files) -> None:
        self._exact = {normalize("NFC", name): name for name in (*files.others, *files.images)}
        self._named: dict[str, list[str]] = {}
        self._numbered: dict[str, list[str]] = {}  # where zeros before a number are missing in the table, or there
        for name in files.images:
            base = _level(posixpath.basename(name))
            for key in {base, posixpath.splitext(base)[0]}:
                self._named.setdefault(key, []).append(name)
                self._numbered.setdefault(_ZEROS.sub("", key), []).append(name)

    def at(self, path: str) -> str | None:
        """The file of just this path, composed or decomposed as it may be."""
        return self._exact.get(normalize("NFC", path))

    def find(self, path: str, below: str = "", split: str = "") -> str | None:
        """The file that shares the longest end with `path`, of those in the folder `below` if there are any.

        Of several, those in folders of the `split` are meant. None where there is none;
        raises InputError where two are meant equally.
        """
        if exact := self.at(below + path) or self.at(path):
            return exact
        base = _level(posixpath.basename(path))
        found = (
            self._named.get(base)
            or self._numbered.get(_ZEROS.sub("", base))
            or self._named.get(_UPLOAD.sub("", base), [])
        )
        found = [name for name in found if name.startswith(below)] or found
        if len(found) > 1:
            ends = [shared_end(name, path) for name in found]
            found = [name for name, end in zip(found, ends, strict=True) if end == max(ends)]
        if len(found) > 1 and split:
            found = [name for name in found if split_of_path(name) == split] or found
        if len(found) > 1:
            raise InputError(f"{path!r} may be {found[0]} or {found[1]}: write the folder too")
        return found[0] if found else None


def _starts_as_image(tree: Tree, name: str) -> bool:
    """Whether its content is that of an image; False where it cannot be read, as then nothing says so."""
    if posixpath.splitext(name)[1].lower() in left_out.SUFFIXES:
        return False
    try:
        return _IMAGE_START.match(tree.peek(name)) is not None
    except InputError:
        return False


def _level(name: str) -> str:
    return normalize("NFC", name).casefold()


def shared_end(name: str, path: str) -> int:
    """How many folders above the base names of two paths are the same, from there on."""
    ours, theirs = (_level(text).split("/")[-2::-1] for text in (name, path))
    return next((n for n, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other),
                min(len(ours), len(theirs)))  # fmt: skip
