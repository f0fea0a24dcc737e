"""The files that may be images in the files, folders and archives that a person names. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from emotion_utils.deploy.input_images import InputImage
from emotion_utils.errors import InputError
from emotion_utils.printable import printable
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.trees import FolderTree, Tree, is_junk, read_file

_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


def list_images(paths: Iterable[str | Path]) -> list[InputImage]:
    """The files `paths`, and those with the name of an image in folders and archives, sorted within each.

    Raises InputError for a path that is not there and for a folder or archive without any image.
    """
    return [image for path in paths for image in _list_one(Path(path).expanduser())]


def _list_one(path: Path) -> list[InputImage]:
    try:
        if path.is_dir():
            return _list_tree(path, FolderTree(path))
        if _ADDRESS.match(str(path)):
            raise InputError(f"{path}: is an address: download it first, and give the file")
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder; check the path")
        if not path.is_file():
            raise InputError(f"{path}: is neither a file nor a folder; give images or folders of them")
        if is_archive(path):
            return _list_tree(path, open_archive(path))
        return [InputImage(printable(str(path)), partial(read_file, path))]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check path and permissions") from None


def _list_tree(path: Path, tree: Tree) -> list[InputImage]:
    names = [name for name in tree.names if is_image_name(name) and not is_junk(name)]
    if not names:
        raise InputError(f"{path}: no images among {len(tree.names)} files; give images, or a folder that has some")
    return [InputImage(f"{printable(str(path))}/{name}", partial(tree.read, name)) for name in names]
