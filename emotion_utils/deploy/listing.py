"""The files that may be images in the files, folders and archives that a person names. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from emotion_utils.deploy.input_images import InputImage
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.printable import count_of, printable
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.left_out import SPREADSHEET, kind_of, name_left_out
from emotion_utils.sources.trees import FolderTree, Tree, is_junk, read_file

_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


def list_images(paths: Iterable[str | Path]) -> tuple[list[InputImage], list[str]]:
    """The files `paths`, and those with the name of an image in folders and archives, sorted within each.

    Then lines for a person about what lies in these and is not read. A folder or archive that gives no image stands
    for itself, with its fault, and so does a path that is not there. Raises InputError where no path gives an image.
    """
    found = [_list_one(expand(path)) for path in paths]
    images = [image for listed, _ in found for image in listed]
    if images and all(image.fault for image in images):
        raise InputError(f"{images[0].path}: {images[0].fault}")
    return images, [note for _, notes in found for note in notes]


def _list_one(path: Path) -> tuple[list[InputImage], list[str]]:
    try:
        if path.is_dir():
            return _list_tree(path, FolderTree)
        if missing := why_missing(path):
            return [InputImage(printable(str(path)), fault=missing)], []
        if not path.is_file():
            raise InputError(f"{path}: is neither a file nor a folder; give images or folders of them")
        if kind_of(path.name) is SPREADSHEET:  # which may be a zip archive itself
            return [InputImage(printable(str(path)), fault=f"a {SPREADSHEET.one}: give images or folders of them")], []
        if is_archive(path):
            return _list_tree(path, open_archive)
        return [InputImage(printable(str(path)), partial(read_file, path))], []
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check path and permissions") from None


def why_missing(path: Path) -> str:
    """Why there is nothing at `path`; "" where there is something."""
    if path.exists():
        return ""
    if _ADDRESS.match(str(path)):
        return "is an address: download it first, and give the file"
    what = "is a link to what is not there" if path.is_symlink() else "there is no such file or folder"
    return f"{what}; check the path"


def _list_tree(path: Path, open_tree: Callable[[Path], Tree]) -> tuple[list[InputImage], list[str]]:
    shown = printable(str(path))
    try:
        tree = open_tree(path)
    except InputError as error:
        return [InputImage(shown, fault=str(error).removeprefix(f"{path}: "))], []
    files = [name for name in tree.names if not is_junk(name)]
    images = [name for name in files if is_image_name(name)]
    notes = [*tree.notes, name_left_out((name for name in files if not is_image_name(name)), only_images=True)]
    notes = [f"{shown}: {note}" for note in notes if note]
    if not images:
        among = f"no images among {count_of(len(files), 'file')}" if files else "no files are in it"
        fault = f"{among}; give images, or a folder that has some"
        return [InputImage(shown, fault=fault)], notes
    return [InputImage(f"{shown}/{name}", partial(tree.read, name)) for name in images], notes
