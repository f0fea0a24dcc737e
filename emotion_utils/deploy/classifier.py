"""A trained model put to use in Python: images in, faces with their emotion out."""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from emotion_utils.audit.face_detectors import Box
from emotion_utils.deploy.channel_order import ChannelOrder
from emotion_utils.deploy.given import OneImage, is_one, name_images
from emotion_utils.deploy.input_images import Faces, GivenImage, InputImage, Missed, read_faces
from emotion_utils.deploy.network import Network
from emotion_utils.errors import InputError
from emotion_utils.given_paths import expand
from emotion_utils.models.folders import CARD_FILE, why_no_model

SMALL_MODEL = Path(__file__).parent / "small" / "tiny_emotion.onnx"  # the one that comes along
IMAGES_AT_ONCE = 64  # held in memory

Answered = list[tuple[Faces, np.ndarray]]


@dataclass(frozen=True)
class Face:
    """What a model says of a face; or, where `error` says why, that an image shows none that can be judged."""

    image: int
    """Which of the inputs it is from, counted from 0."""
    label: str | None
    """The most probable class; None with an error."""
    probabilities: dict[str, float] = field(repr=False)
    """Of each class, 0-1, in the model's order; empty with an error."""
    box: Box | None
    """Of the face: left, top, width and height in pixels of the upright image; it may reach beyond the image. None
    where no face was looked for or found, and the whole image was judged."""
    search: str
    """found: the face was cut out; whole: it fills the image; missed: none was seen; not searched: the image is no
    larger than a face, or the model was trained on whole images. Empty where the image could not be read."""
    error: str = ""
    """Why the image was not judged."""


class Classifier:
    """Names the emotion that annotators would see in faces. Made by `load_classifier`.

    `classes_` holds the classes in the order of the probabilities. Two threads may not use one classifier at a time.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.classes_ = np.asarray(network.class_names)
        self._order = ChannelOrder()

    def __call__(self, images: OneImage | Iterable[OneImage], *, missed: Missed = None) -> list[Face]:
        """The faces in one image or several, in order: of each image its largest face first.

        An image is a path, a PIL image (turned upright by its EXIF tag) or a uint8 array, RGB (H, W, 3) or grey
        (H, W). A frame of OpenCV is BGR: hand over `frame[:, :, ::-1]`.

        An image that cannot be used, and a large one that shows no face, has one entry that holds an `error`.
        `missed`: "keep" judges images without a face as a whole, "quarantine" refuses them; None keeps those that are
        hardly larger than a face. Raises InputError for no images at all, and for what is no image.
        """
        return [face for faces in self.stream(images, missed=missed) for face in faces]

    def stream(self, images: OneImage | Iterable[OneImage], *, missed: Missed = None) -> Iterator[list[Face]]:
        """The same, a list for each image, while the images come: of any number of them a few are in memory."""
        if missed is not None and not (isinstance(missed, str) and missed in ("keep", "quarantine")):
            raise InputError(f"missed={missed!r}: choose 'keep', 'quarantine' or None")
        one, number = is_one(images), 0
        are_arrays: deque[bool] = deque()  # of images that are read ahead

        def given() -> Iterator[OneImage]:
            for image in [images] if one else images:
                are_arrays.append(isinstance(image, np.ndarray))
                yield image

        groups = self.answer(name_images(given()), missed, is_one=one)
        for faces, probs in (answer for group in groups for answer in group):
            if are_arrays.popleft():
                self._order.look(faces)
            yield self._name(number, faces, probs)
            number += 1
        if not number:
            raise InputError("no images were given")

    def predict_proba(self, images: OneImage | Iterable[OneImage]) -> np.ndarray:
        """Probabilities float64 (n, k) of the largest face of each image, columns as in `classes_`.

        An image in which no face is found is judged as a whole. Raises InputError for an image that cannot be used.
        """
        rows = []
        for faces in self.stream(images, missed="keep"):
            if faces[0].error:
                raise InputError(f"image {faces[0].image}: {faces[0].error}")
            rows.append(list(faces[0].probabilities.values()))
        probs = np.array(rows)
        return probs / probs.sum(axis=1, keepdims=True)  # of a file they are float32, whose sum is 1 to 1e-7

    def video(self, source: str | Path, *, every: int = 1, fps: float | None = None) -> Iterator[dict[str, Any]]:
        """Rows of the faces in a video file, a folder of numbered images (`fps` a second) or a camera, as they come.

        A row has the columns of the faces.csv of `emotion video`: frame, time_s, track, left, top, width, height,
        found, predicted, confidence, then a probability for each class, raw and smoothed over time; one of a frame
        without a face has frame, time_s and found alone. Raises InputError for what is no video.
        """
        from emotion_utils.deploy.video.analyse import iterate_rows

        return iterate_rows(self.network, str(source), every=every, fps=fps)

    def answer(
        self, images: Iterable[InputImage | GivenImage], missed: Missed = None, *, is_one: bool = False
    ) -> Iterator[Answered]:
        """The faces of IMAGES_AT_ONCE images at a time, each with its probabilities, float64 (faces, k).

        `is_one`: there is but one image, for which no threads are started.
        """
        size_px = self.network.input_spec.size_px
        found = read_faces(images, self.network.crop, size_px, missed, workers=1 if is_one else None)
        while group := list(islice(found, IMAGES_AT_ONCE)):
            probs = self.network.predict(np.concatenate([faces.images for faces in group]))
            ends = np.cumsum([len(faces.images) for faces in group])
            yield list(zip(group, np.split(probs, ends[:-1]), strict=True))

    def _name(self, number: int, faces: Faces, probs: np.ndarray) -> list[Face]:
        if faces.reason:
            return [Face(number, None, {}, None, faces.search, faces.reason)]
        names = self.network.class_names
        return [
            Face(number, names[row.argmax()], dict(zip(names, row.tolist(), strict=True)), box, faces.search)
            for box, row in zip(faces.boxes, probs, strict=True)
        ]


def load_classifier(model: str | Path | None = None) -> Classifier:
    """The classifier of a model folder, of a file that `emotion export` wrote, or the small one that comes along.

    A model folder needs PyTorch, an exported file and the small one onnxruntime. Raises InputError that says what is
    wrong with the model.
    """
    return Classifier(open_network(None if model is None else expand(model)))


def open_network(model: Path | None) -> Network:
    """What `load_classifier` loads."""
    if model is None:
        _require_small()
        model = SMALL_MODEL
    if _is_there(model / CARD_FILE):
        try:
            from emotion_utils.deploy.torch_network import TorchNetwork
        except ModuleNotFoundError as error:
            if str(error.name).startswith("emotion_utils"):
                raise
            raise InputError(
                f"{model}: the folder of a model needs {error.name}, and an exported file onnxruntime alone: install "
                "PyTorch, or run `emotion export` where it is"
            ) from None

        return TorchNetwork(model)
    if model.name in (CARD_FILE, "model.safetensors"):
        raise InputError(f"{model}: is a file of a model; give its folder, {model.parent}")
    if model.suffix.lower() == ".onnx":
        from emotion_utils.deploy.onnx_file import OnnxNetwork

        return OnnxNetwork(model)
    raise InputError(why_no_model(model))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that no file system takes
        raise InputError(f"{str(path.parent)[:80]} ...: cannot be read ({error.strerror})") from None


def _require_small() -> None:
    """Raises InputError where no model is named, and the small one cannot be asked."""
    if not SMALL_MODEL.exists():
        raise InputError("no small model comes with this version: name a model folder or an exported .onnx file")
    if importlib.util.find_spec("onnxruntime") is None:
        raise InputError(
            'no model is named, and the small one that comes along needs onnxruntime: pip install "emotion-utils[edge]"'
        )
