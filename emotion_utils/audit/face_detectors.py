"""Where are faces in a grey image? The first detector that works here answers; which one that is, is probed once.

OpenCV 5 brings no cascades any more and a system's package may lack their files: to import it proves nothing, so a
detector counts as working when it has loaded its files and scanned an image.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from emotion_utils.errors import EmotionError

MIN_FACE_PX = 24  # in the image that is searched: the smallest window of the cascades is 20 or 24
SCALE_STEP = 1.1  # from one size of window to the next
MIN_NEIGHBOURS = 4  # windows that must agree on a face
CONFIRM_NEIGHBOURS = 2  # likewise of the second cascade, which looks only where the first one found something
CONFIRM_MARGIN = 0.3  # of the face's side, added on each side where the second cascade looks
# In a copy of more than 320 px a cluttered scene raises an alarm in every second image; with these, and a third cascade
# that must agree too, in none of 24, while 86 % of the faces are found in place of 92 %.
SURE_NEIGHBOURS = 6
# scikit-image's grouping counts more windows per face than OpenCV's. Of 200 faces 5 finds 71 % as they are and 73 % in
# a scene, with a false alarm in 1 to 2 % of the images; 8 finds 46 and 48 % with hardly one; 4 raises some in 5 %.
LBP_NEIGHBOURS = 5
LBP_SURE_NEIGHBOURS = 8
LBP_STEP = 1.2  # of window size and place: 1.1 takes four times as long for the same faces


class Box(NamedTuple):
    """A face in an image, in pixels from the top left corner."""

    left: int
    top: int
    width: int
    height: int


class FaceDetector(Protocol):
    """Not for use by two threads at a time."""

    name: str

    def find(self, grey: np.ndarray, min_face_px: int, *, sure: bool = False) -> list[Box]:
        """The faces at least so large in uint8 (H, W), sorted; with `sure` fewer of them, and fewer false alarms."""


class DetectorMissing(Exception):
    """This detector does not work here; the message says why."""


class OpenCvDetector:
    """Haar cascades (Viola and Jones 2001): `default` proposes, `alt2` must agree.

    They are trained apart and err apart: nearly all false alarms are raised by only one of them, while both find the
    same faces. The second one looks at the proposals alone, so that it costs little; to be sure, `alt` must agree too.
    """

    name = "OpenCV Haar cascades"

    def __init__(self) -> None:
        self._propose = _load_haar("haarcascade_frontalface_default.xml")
        self._confirm = _load_haar("haarcascade_frontalface_alt2.xml")
        self._confirm_again = _load_haar("haarcascade_frontalface_alt.xml")

    def find(self, grey: np.ndarray, min_face_px: int, *, sure: bool = False) -> list[Box]:
        proposed = self._propose.detectMultiScale(
            grey, scaleFactor=SCALE_STEP, minNeighbors=MIN_NEIGHBOURS, minSize=(min_face_px, min_face_px)
        )
        boxes = sorted(Box(*map(int, values)) for values in proposed)
        if not sure:
            return [box for box in boxes if _is_confirmed(self._confirm, CONFIRM_NEIGHBOURS, grey, box)]
        both = (self._confirm, self._confirm_again)
        return [box for box in boxes if all(_is_confirmed(each, SURE_NEIGHBOURS, grey, box) for each in both)]


class SkimageDetector:
    """scikit-image's cascade of local binary patterns: slower, finds less and errs more often; better than none."""

    name = "scikit-image LBP cascade"

    def __init__(self) -> None:
        try:
            from skimage.data import lbp_frontal_face_cascade_filename
            from skimage.feature import Cascade

            self._cascade = Cascade(lbp_frontal_face_cascade_filename())
        except (ImportError, OSError, ValueError) as error:
            raise DetectorMissing(f"not usable ({error})") from None

    def find(self, grey: np.ndarray, min_face_px: int, *, sure: bool = False) -> list[Box]:
        faces = self._cascade.detect_multi_scale(
            img=grey,
            scale_factor=LBP_STEP,
            step_ratio=LBP_STEP,
            min_size=(min_face_px, min_face_px),
            max_size=(min(grey.shape), min(grey.shape)),
            min_neighbor_number=LBP_SURE_NEIGHBOURS if sure else LBP_NEIGHBOURS,
        )
        return sorted(Box(int(face["c"]), int(face["r"]), int(face["width"]), int(face["height"])) for face in faces)


PROBES: tuple[Callable[[], FaceDetector], ...] = (OpenCvDetector, SkimageDetector)  # the first that works is taken
_OF_THREAD = threading.local()  # a cascade keeps notes while it scans


def get_detector() -> FaceDetector:
    """This thread's detector. Raises EmotionError where none works."""
    if not hasattr(_OF_THREAD, "detector"):
        _OF_THREAD.detector = probe_detectors(PROBES)
    return _OF_THREAD.detector


def probe_detectors(probes: tuple[Callable[[], FaceDetector], ...]) -> FaceDetector:
    """The first of `probes` that loads and scans an image. Raises EmotionError with the reason of each."""
    reasons = []
    for probe in probes:
        try:
            detector = probe()
            detector.find(np.zeros((2 * MIN_FACE_PX, 2 * MIN_FACE_PX), np.uint8), MIN_FACE_PX)
        except (DetectorMissing, cv2.error) as error:
            reasons.append(f"{getattr(probe, 'name', probe)}: {' '.join(str(error).split())}")
        else:
            return detector
    raise EmotionError(
        f'no face detector works here ({"; ".join(reasons)}): install "opencv-python-headless<5", or set crop=never'
    )


def _is_confirmed(cascade: cv2.CascadeClassifier, neighbours: int, grey: np.ndarray, box: Box) -> bool:
    """Whether the cascade sees a face where the box is."""
    margin = round(CONFIRM_MARGIN * box.width)
    top, left = max(0, box.top - margin), max(0, box.left - margin)
    around = grey[top : box.top + box.height + margin, left : box.left + box.width + margin]
    least = max(MIN_FACE_PX - 4, round(0.6 * box.width))
    confirmed = cascade.detectMultiScale(
        np.ascontiguousarray(around), scaleFactor=SCALE_STEP, minNeighbors=neighbours, minSize=(least, least)
    )
    return len(confirmed) > 0


def _load_haar(name: str) -> cv2.CascadeClassifier:
    if not hasattr(cv2, "CascadeClassifier") or not hasattr(cv2, "data"):
        raise DetectorMissing(f"OpenCV {cv2.__version__} has no cascades")
    path = Path(cv2.data.haarcascades) / name
    cascade = cv2.CascadeClassifier()
    try:
        usable = path.is_file() and cascade.load(str(path)) and not cascade.empty()
    except cv2.error:  # of a damaged file
        usable = False
    if not usable:
        raise DetectorMissing(f"OpenCV {cv2.__version__} has no usable {name}")
    return cascade
