"""Images in files, folders and archives, each with its faces, cropped and resized for a network. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from emotion_utils.audit.face_detectors import Box
from emotion_utils.audit.faces import CropMode, crop_faces, cut_square
from emotion_utils.errors import InputError
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.printable import printable
from emotion_utils.sources.archives import is_archive, open_archive
from emotion_utils.sources.decode import ImageFault, decode_rgb, refuse_unusable
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.trees import FolderTree, Tree, is_junk, read_file
from emotion_utils.store.store import resize_square


@dataclass(frozen=True)
class InputImage:
    """A file that may be an image: the path that a person knows it by, and how to read its bytes."""

    path: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Faces:
    """The faces of an image: uint8 (n, size_px, size_px, 3) RGB with n boxes, or the reason why it was refused.

    A box is that of the face in pixels of the upright image; None where the image was taken whole.
    """

    path: str
    images: np.ndarray
    boxes: tuple[Box | None, ...] = ()
    reason: str = ""


def list_images(paths: Iterable[str | Path]) -> list[InputImage]:
    """The files `paths`, and those with the name of an image in folders and archives, sorted within each.

    Raises InputError for a path that is not there and for a folder or archive without any image.
    """
    return [image for path in paths for image in _list_one(Path(path).expanduser())]


def read_faces(images: Iterable[InputImage], mode: CropMode, size_px: int) -> Iterator[Faces]:
    """The faces of each image, in order; several threads read ahead, a few images at a time."""
    return map_ahead(partial(_read_one, mode=mode, size_px=size_px), images, count_workers())


def cut_faces(image: np.ndarray, mode: CropMode) -> list[tuple[Box | None, np.ndarray]]:
    """Box and crop of each face in uint8 (H, W, 3), first the one that training would have used.

    Where training would have used the whole image, that is the only one.
    """
    found = crop_faces(image, mode, every=True)
    if found.outcome != "cropped":
        return [(found.box, found.image)]
    return [(box, cut_square(image, box)) for box in found.faces]


def _read_one(source_image: InputImage, *, mode: CropMode, size_px: int) -> Faces:
    nothing = np.empty((0, size_px, size_px, 3), dtype=np.uint8)
    try:
        image = decode_rgb(source_image.read())
        refuse_unusable(image)
    except ImageFault as fault:
        return Faces(source_image.path, nothing, reason=str(fault))
    found = cut_faces(image, mode)
    images = np.stack([resize_square(face, size_px) for _, face in found])
    return Faces(source_image.path, images, tuple(box for box, _ in found))


def _list_one(path: Path) -> list[InputImage]:
    try:
        if path.is_dir():
            return _list_tree(path, FolderTree(path))
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
