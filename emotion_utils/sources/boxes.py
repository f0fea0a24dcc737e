"""Faces that a data set marks by boxes in larger images: each read as an image of its own."""

from __future__ import annotations

from collections.abc import Mapping

from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.trees import Tree

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


class BoxReader:
    """Reads `path` as the part of an image that `boxes` give for it: path -> name of the image, box."""

    def __init__(self, tree: Tree, boxes: Mapping[str, tuple[str, Box]]) -> None:
        self._tree, self._boxes = tree, boxes

    def read(self, path: str) -> bytes:
        """The face as a PPM file. Raises ImageFault where the image cannot be read or the box lies outside of it."""
        name, (left, top, right, bottom) = self._boxes[path]
        rgb = decode_rgb(self._tree.read(name))
        face = rgb[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        if not face.size:
            raise ImageFault(f"box outside: {left}, {top} to {right}, {bottom} in {rgb.shape[1]} x {rgb.shape[0]}")
        return b"P6 %d %d 255\n" % face.shape[1::-1] + face.tobytes()
