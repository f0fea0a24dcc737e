"""Images, each with its faces, cropped and resized for a network. Needs NumPy and OpenCV alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from emotion_utils.audit.face_detectors import Box
from emotion_utils.audit.faces import NO_FACE, SCENE_PX, CropMode, crop_faces, cut_square, find_turn
from emotion_utils.deploy.decoding import decode_image
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.sources.decoded import Decoded, ImageFault, refuse_unusable
from emotion_utils.store.resize import resize_square

Missed = Literal["keep", "quarantine"] | None


@dataclass(frozen=True)
class InputImage:
    """A file that may be an image: the path that a person knows it by, and how to read its bytes.

    Or a folder or an archive that gives none, and its `fault`, which says why.
    """

    path: str
    read: Callable[[], bytes] = bytes
    fault: str = ""

    def decode(self) -> Decoded:
        """Raises ImageFault where it cannot be read."""
        if self.fault:
            raise ImageFault(self.fault)
        return decode_image(self.read())


@dataclass(frozen=True)
class GivenImage:
    """An image in memory, and the name that a message gives it."""

    path: str
    decode: Callable[[], Decoded]


@dataclass(frozen=True)
class Faces:
    """The faces of an image: uint8 (n, size_px, size_px, 3) RGB with n boxes, or the reason why it was refused.

    A box is that of the face in pixels of the upright image; None where no face was looked for or found.
    """

    path: str
    images: np.ndarray
    boxes: tuple[Box | None, ...] = ()
    reason: str = ""
    search: str = ""  # one of SEARCHES; "" where the image could not be read
    sides_px: tuple[int, ...] = ()  # of what is used of the image, before it was resized
    is_coloured: bool = False
    values: str = ""  # how its values were read where their range is not that of the file's format
    turn: int = 0  # degrees clockwise that would show a face, where none was found


# What became of the search for faces: each was cut out; one fills the image, which was taken whole; none was seen; or
# nobody looked, as the image is no larger than a face, or the model was trained on whole images.
SEARCHES = FOUND, FILLS, MISSED, NOT_SEARCHED = ("found", "whole", "missed", "not searched")
TAKEN_WHOLE = "--missed keep (in Python missed='keep') takes it whole"
OUTCOMES = {"cropped": FOUND, "missed": MISSED}
COLOUR_SPREAD = 1.0  # 0-255, mean over a face of how far its channels lie apart: JPEG's noise stays below


def read_faces(
    images: Iterable[InputImage | GivenImage], mode: CropMode, size_px: int, missed: Missed = None,
    workers: int | None = None,
) -> Iterator[Faces]:  # fmt: skip
    """The faces of each image, in order; several threads read ahead, a few images at a time.

    `missed`: an image without a face is taken whole (keep) or refused (quarantine); None keeps those that may be a
    face which was not seen, and refuses those of SCENE_PX and more. `workers` None: a thread for each core.
    """
    read = partial(_read_one, mode=mode, size_px=size_px, missed=missed)
    return map_ahead(read, images, workers or count_workers())


def _read_one(source_image: InputImage | GivenImage, *, mode: CropMode, size_px: int, missed: Missed) -> Faces:
    path, nothing = source_image.path, np.empty((0, size_px, size_px, 3), dtype=np.uint8)
    try:
        decoded = source_image.decode()
        refuse_unusable(decoded.rgb)
    except ImageFault as fault:
        return Faces(path, nothing, reason=str(fault))
    image = decoded.rgb
    height, width = image.shape[:2]
    found = crop_faces(image, mode, every=True)
    search = OUTCOMES.get(found.outcome, FILLS if found.faces else NOT_SEARCHED)
    turn = find_turn(image) if search == MISSED else 0
    if search == MISSED and (missed == "quarantine" or (missed is None and max(height, width) >= SCENE_PX)):
        hint = f"it shows one turned by {turn} degrees clockwise: turn it" if turn else TAKEN_WHOLE
        return Faces(path, nothing, reason=f"{NO_FACE} of {width} x {height} pixels; {hint}", search=search, turn=turn)
    boxes = found.faces if search == FOUND else (found.box,)
    cuts = [cut_square(image, box) for box in boxes] if search == FOUND else [image]
    faces = np.stack([resize_square(cut, size_px) for cut in cuts])
    return Faces(
        path, faces, boxes, search=search, sides_px=tuple(min(cut.shape[:2]) for cut in cuts), turn=turn,
        is_coloured=is_coloured(faces),
        values=next((name for name in decoded.conversions if name.startswith("values of")), ""),
    )  # fmt: skip


def is_coloured(faces: np.ndarray) -> bool:
    """Of faces, uint8 (n, S, S, 3). By whole channels, as NumPy takes long over an axis of three."""
    red, green, blue = np.moveaxis(faces, 3, 0)
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    return bool((highest - lowest).mean() >= COLOUR_SPREAD)
