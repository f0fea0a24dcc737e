"""From an image with a face somewhere in it to an image of the face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from emotion_utils.audit.face_detectors import MIN_FACE_PX, Box, FaceDetector, get_detector

CropMode = Literal["auto", "always", "never"]
Frame = tuple[int, int, int]  # left, top and side of the square that is used, in pixels; side 0: the whole image
WHOLE: Frame = (0, 0, 0)
NO_FACE = "no face: none was found in the image"

SEARCH_PX = 320  # longer side of the copy that is searched first; in it, 480 finds no more and takes twice as long
LARGEST_SEARCH_PX = 1280  # of the copies that follow, each twice as large: about a second, whatever the image
NEXT_SEARCH = 1.25  # an image not so many times as large as a copy shows no more than the copy
GLANCE_PX = 128  # likewise for a face that fills the image, which is looked for first
GLANCE_MARGIN = 0.2  # of the longer side, added around it: a window must hold the face's surroundings as well
GLANCE_SHARE = 0.5  # of the shorter side: smaller faces do not fill the image
FULL_AREA = 0.3  # share of the image's area from which on a face fills it; see `fills_image`
FRAME = 1.2  # side of the crop over side of the face box: cascades leave out chin and forehead
SCENE_PX = round(NEXT_SEARCH * SEARCH_PX)  # an image with so long a side that shows no face may be a scene without one
SMALL_PX = 96  # an image with no longer side was cut for a face before: whole scenes are not kept that small


@dataclass(frozen=True)
class CropResult:
    """What became of an image."""

    image: np.ndarray  # uint8 (H, W, 3); the very array that was given unless `outcome` is cropped
    outcome: Literal["whole", "cropped", "missed"]  # missed: looked for, but no face was found
    faces: tuple[Box, ...] = ()  # that the detector saw, the chosen one first; none where it was not asked
    frame: Frame = WHOLE

    @property
    def found(self) -> int:
        """How many faces the detector saw."""
        return len(self.faces)

    @property
    def box(self) -> Box | None:
        """The chosen face, in pixels of the image that was given."""
        return self.faces[0] if self.faces else None


def crop_faces(
    image: np.ndarray, mode: CropMode, detector: FaceDetector | None = None, *, every: bool = False
) -> CropResult:
    """`image`, uint8 (H, W, 3) RGB, cut to the first face of `find_faces`: a square with a margin.

    never: as it is. always: wherever a face is found. auto: only where the face fills too little of the image, so
    that images of faces stay as they are, to the bit; those of at most SMALL_PX are not searched at all. An image
    without a face stays whole. `every` looks for the small ones beside large ones too, and changes nothing else.
    `detector` None: this thread's own, so that several threads may crop at a time; raises EmotionError where one is
    needed and none works.
    """
    height, width = image.shape[:2]
    if mode == "never" or (mode == "auto" and max(height, width) <= SMALL_PX):
        return CropResult(image, "whole")
    faces = tuple(find_faces(image, detector, every=every))
    if not faces:
        return CropResult(image, "missed")
    if mode == "auto" and fills_image(faces[0], height, width):
        return CropResult(image, "whole", faces)
    frame = frame_face(faces[0], height, width)[:3]
    return CropResult(cut_frame(image, frame), "cropped", faces, frame)


def find_faces(image: np.ndarray, detector: FaceDetector | None = None, *, every: bool = False) -> list[Box]:
    """The faces that the detector sees in uint8 (H, W, 3) RGB, in pixels of `image`; those cut off reach beyond it.

    A face that fills the image is looked for first, in a small copy, and is the only one where there is one: that
    takes a sixth of the time of a full search, and finds faces that are cut off at the edge. Then copies of
    `search_sizes` are searched, until one shows faces or, for `every` face, to the last. Those of a smaller copy come
    first, ranked by `rank_faces`. In the first copy a face is seen from 24/320 of the longer side on.
    """
    detector = detector or get_detector()
    height, width = image.shape[:2]
    near = _search(image, detector, GLANCE_PX, GLANCE_SHARE, GLANCE_MARGIN)
    filling = [box for box in near if fills_image(box, height, width)]
    found: list[Box] = rank_faces(filling, height, width)
    for size_px in () if filling else search_sizes(height, width):
        seen = rank_faces(_search(image, detector, size_px), height, width)
        found += [box for box in seen if not any(_is_same(box, other) for other in found)]
        if found and not every:
            break
    return found


def find_turn(image: np.ndarray, detector: FaceDetector | None = None) -> int:
    """By how many degrees clockwise an image has to be turned to show a face, 0 where no quarter turn shows one."""
    for quarters in (1, 3, 2):
        turned = np.ascontiguousarray(np.rot90(image, -quarters))
        if _search(turned, detector or get_detector(), SEARCH_PX):
            return 90 * quarters
    return 0


def search_sizes(height: int, width: int) -> list[int]:
    """The longer sides of the copies in which faces are looked for, each twice the one before."""
    sizes = [SEARCH_PX]
    while 2 * sizes[-1] <= LARGEST_SEARCH_PX and max(height, width) >= NEXT_SEARCH * sizes[-1]:
        sizes.append(2 * sizes[-1])
    return sizes


def rank_faces(faces: Sequence[Box], height: int, width: int) -> list[Box]:
    """The one to take first: the largest; of equally large ones that nearest to the centre, then to the top left."""

    def rank(box: Box) -> tuple[int, int, int, int]:
        across, down = 2 * box.left + box.width - width, 2 * box.top + box.height - height
        return -box.width * box.height, across**2 + down**2, box.top, box.left

    return sorted(faces, key=rank)


def _is_same(box: Box, other: Box) -> bool:
    """Whether the middle of one of them lies in the other."""

    def holds(outer: Box, inner: Box) -> bool:
        across, down = inner.left + inner.width / 2 - outer.left, inner.top + inner.height / 2 - outer.top
        return 0 <= across < outer.width and 0 <= down < outer.height

    return holds(box, other) or holds(other, box)


def fills_image(box: Box, height: int, width: int) -> bool:
    """Whether the face covers FULL_AREA of the image.

    Of 782 images that were cut for their faces, faces covered 0.94 of the area in the median and never less than
    0.51; pasted into larger scenes, at most 0.11. The line lies between, at a face of half the image's side.
    """
    across = min(box.left + box.width, width) - max(box.left, 0)
    down = min(box.top + box.height, height) - max(box.top, 0)
    return max(0, across) * max(0, down) >= FULL_AREA * height * width


def frame_face(box: Box, height: int, width: int) -> Box:
    """The square around a face with the margin FRAME: it may reach beyond the image, but is no larger than it."""
    side = max(1, min(round(FRAME * max(box.width, box.height)), max(height, width)))
    return Box(box.left + (box.width - side) // 2, box.top + (box.height - side) // 2, side, side)


def cut_square(image: np.ndarray, box: Box) -> np.ndarray:
    """uint8 (side, side, 3): what `frame_face` frames."""
    return cut_frame(image, frame_face(box, *image.shape[:2])[:3])


def cut_frame(image: np.ndarray, frame: Sequence[int]) -> np.ndarray:
    """uint8 (side, side, 3), or `image` itself for WHOLE; beyond the image its edge is repeated."""
    height, width = image.shape[:2]
    left, top, side = (int(value) for value in frame)
    if not side:
        return image
    inside = image[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    beyond = (max(0, -top), max(0, top + side - height), max(0, -left), max(0, left + side - width))
    if any(beyond):
        return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(inside)


def search_copy(image: np.ndarray, longer_side_px: int) -> np.ndarray:
    """uint8 (h, w): uint8 (H, W, 3) RGB in grey, made smaller to at most `longer_side_px`."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, longer_side_px / max(grey.shape))
    if scale == 1:
        return grey
    size = tuple(max(1, round(scale * side)) for side in grey.shape[::-1])
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _search(
    image: np.ndarray, detector: FaceDetector, longer_side_px: int, min_share: float = 0.0, margin: float = 0.0
) -> list[Box]:
    """Faces of at least `min_share` of the shorter side, found in a grey copy of at most `longer_side_px`."""
    grey = search_copy(image, longer_side_px)
    scale = min(1.0, longer_side_px / max(image.shape[:2]))
    if min(grey.shape) < MIN_FACE_PX:
        return []
    least, beyond = max(MIN_FACE_PX, round(min_share * min(grey.shape))), round(margin * max(grey.shape))
    if beyond:
        grey = cv2.copyMakeBorder(grey, beyond, beyond, beyond, beyond, cv2.BORDER_REPLICATE)
    boxes = detector.find(grey, least, sure=True) if longer_side_px > SEARCH_PX else detector.find(grey, least)
    return [
        Box(*(round((value - shift) / scale) for value, shift in zip(box, (beyond, beyond, 0, 0), strict=True)))
        for box in boxes
    ]
