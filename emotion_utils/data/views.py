"""From the bytes of any picture to the pixels that a model of a run sees: the way of the store, for a single file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emotion_utils.data.decode import decode_rgb, refuse_unusable
from emotion_utils.data.faces import WHOLE, CropMode, Frame, crop_faces, cut_frame, frame_face
from emotion_utils.data.store import resize_square


@dataclass(frozen=True)
class View:
    """What a model sees of a picture, and where that was in it."""

    image: np.ndarray  # uint8 (size_px, size_px, 3) RGB
    frame: Frame  # left, top and side of the square in the picture, in pixels; side 0: all of it
    is_missed: bool  # a face was looked for, but none was found


def see_picture(data: bytes, *, crop: CropMode, size_px: int) -> View:
    """What the store of a run with this `crop` and size holds of the picture in `data`, bit for bit.

    Raises ImageFault for what the audit would set aside: no picture, damaged, too small, of one colour.
    """
    return see_faces(data, crop=crop, size_px=size_px)[0]


def see_faces(data: bytes, *, crop: CropMode, size_px: int) -> list[View]:
    """Likewise a view for each face that is cut out of the picture, that of `see_picture` first; at least one."""
    picture = decode_rgb(data)
    refuse_unusable(picture)
    found = crop_faces(picture, crop)
    frames = [WHOLE]
    if found.outcome == "cropped":
        frames = [frame_face(face, *picture.shape[:2])[:3] for face in found.faces]
    missed = found.outcome == "missed"
    return [View(resize_square(cut_frame(picture, frame), size_px), frame, missed) for frame in frames]
