"""What a caller hands over as images: paths, PIL images, arrays; one or many. Needs NumPy and OpenCV alone."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from emotion_utils.deploy.input_images import GivenImage, InputImage
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.printable import printable
from emotion_utils.sources.decoded import Decoded, ImageFault, refuse_bomb
from emotion_utils.sources.trees import read_file

if TYPE_CHECKING:
    from PIL.Image import Image

OneImage: TypeAlias = "str | os.PathLike[str] | np.ndarray | Image"
TAKEN = "give a path, a PIL image, or a uint8 RGB array (H, W, 3) or (H, W)"


def is_one(images: OneImage | Iterable[OneImage]) -> bool:
    """Whether `images` is a single image. Raises InputError where it is neither that nor several."""
    if isinstance(images, np.ndarray):
        return images.ndim == 0 or (images.ndim < 4 and images.dtype.kind not in "UO")  # those hold paths, or images
    if isinstance(images, str | os.PathLike) or _is_pillow(images):
        return True
    if isinstance(images, io.IOBase):
        raise InputError(f"an open file is no image: {TAKEN}; PIL.Image.open reads files")
    if isinstance(images, bytes | dict) or not isinstance(images, Iterable):
        raise InputError(f"a {type(images).__name__} is no image: {TAKEN}, or several of them")
    return False


def name_images(images: Iterable[OneImage]) -> Iterator[InputImage | GivenImage]:
    """Each image with a name for messages: its path, or its place. Raises InputError for what is no image."""
    for number, image in enumerate(images):
        if isinstance(image, str | os.PathLike):
            path = expand(image)
            yield InputImage(printable(str(path)), partial(read_file, path))
        elif isinstance(image, np.ndarray):
            check_array(image, f"image {number}")
            yield GivenImage(f"image {number}", partial(_from_array, image))
        elif _is_pillow(image):
            yield GivenImage(f"image {number}", partial(_from_pillow, image))
        else:
            raise InputError(f"image {number} is a {type(image).__name__}: {TAKEN}")


def check_array(image: np.ndarray, name: str) -> None:
    """Raises InputError for an array that is no image of 8 bits: nothing is guessed of a range of floats."""
    if image.dtype != np.uint8:
        hint = " (of values in 0-1: (255 * image).round().astype('uint8'))" if image.dtype.kind == "f" else ""
        raise InputError(f"{name} is an array of {image.dtype}: give uint8, RGB in 0-255{hint}")
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)):
        hint = ": leave out its transparency, image[:, :, :3]" if image.shape[2:] == (4,) else ""
        raise InputError(f"{name} is an array of shape {image.shape}, not (H, W, 3) or (H, W){hint}")


def _from_array(image: np.ndarray) -> Decoded:
    refuse_bomb(*image.shape[1::-1])
    if 0 in image.shape:
        raise ImageFault(f"empty: an array of shape {image.shape} has no pixels")
    if image.shape[2:] == (3,):
        return Decoded(np.ascontiguousarray(image), ())
    return Decoded(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB), ("grey",))


def _from_pillow(image: Image) -> Decoded:
    from emotion_utils.sources.decode import decode_pillow

    return decode_pillow(image)


def _is_pillow(image: Any) -> bool:
    """Whether it is a PIL image; a program without Pillow has none."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)
