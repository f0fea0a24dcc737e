"""Frames of OpenCV are BGR, and an array does not say so: a warning where faces are too blue for red, green, blue."""

from __future__ import annotations

import warnings

from emotion_utils.deploy.input_images import Faces

BLUER = 10.0  # 0-255: by how much the mean of blue exceeds that of red in the middle of a face
# By so many the faces that are so blue outnumber the others, or the others them. Of 133 photographs of faces in colour
# 1 is so blue, and 120 are with red and blue exchanged.
MAJORITY = 3
WARNING = (
    "these faces are bluer than skin is: arrays are taken as RGB, and OpenCV's frames are BGR; hand over "
    "frame[:, :, ::-1]"
)


class ChannelOrder:
    """Warns once, where most of the first faces in arrays are so blue."""

    def __init__(self) -> None:
        self._bluer = 0  # faces that are so blue, less those that are not

    def look(self, faces: Faces) -> None:
        """At the faces of an array."""
        if not faces.is_coloured or abs(self._bluer) == MAJORITY:
            return
        quarter = faces.images.shape[1] // 4
        red, _, blue = faces.images[0, quarter:-quarter, quarter:-quarter].mean(axis=(0, 1))
        self._bluer += 1 if blue - red > BLUER else -1
        if self._bluer == MAJORITY:
            warnings.warn(WARNING, stacklevel=4)
