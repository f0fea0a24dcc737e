"""What a frame of a video is, and an open video. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

LARGEST_PX = 1920  # longer side of a frame that is held; of larger ones a smaller copy is, so that memory stays bounded


@dataclass(frozen=True)
class Frame:
    """One picture of a video."""

    number: int  # from 0, in the order in which they are shown
    time_s: float  # since the first one
    image: np.ndarray  # uint8 (H, W, 3) RGB, of at most LARGEST_PX
    scale: float = 1.0  # a pixel of the video, as it is shown, is so many of `image`


@dataclass(frozen=True)
class Jump:
    """A place at which the times that a file gives do not go on from those before."""

    at_s: float  # where it is, in times that go on
    jumped_s: float  # from the time before to the one after, as the file gives them
    shift_s: float  # what is added to those of the file from there on


class Frames(Protocol):
    """An open video."""

    total: int  # frames that there will be; 0: not known
    step_s: float  # from one frame to the next, usually; 0: not known
    notes: list[str]  # what a reader of the results should know; complete after the last frame ...
    jumps: list[Jump]  # ... as these are
    is_live: bool  # what comes next is not known

    def __iter__(self) -> Iterator[Frame]: ...

    def stop(self) -> None:
        """Ends what is live."""


def shrink(image: np.ndarray) -> tuple[np.ndarray, float]:
    """uint8 (H, W, 3) of at most LARGEST_PX, and how many of its pixels one of `image` is."""
    scale = min(1.0, LARGEST_PX / max(image.shape[:2]))
    if scale == 1:
        return image, scale
    size = [max(1, round(scale * side)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale
