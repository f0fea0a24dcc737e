"""Decoded frames as they are to be looked at: lines joined, turned, with square pixels, no larger than LARGEST_PX."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from emotion_utils.deploy.video.containers import import_av
from emotion_utils.deploy.video.frame import LARGEST_PX

if TYPE_CHECKING:
    import av

NEARLY_SQUARE = 0.01  # pixels whose sides differ by no more are taken for square


class Upright:
    """What joins, turns and stretches the frames of one stream."""

    def __init__(self, pixel_shape: Fraction | None) -> None:
        self.is_interlaced = False
        self._stretch = float(pixel_shape or 1) or 1.0
        self._graph: Any = None
        self._shape: tuple[Any, ...] = ()  # of the frames that it joins

    def deinterlace(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """`frame`, or from the first interlaced one on what `yadif` makes of each; None stands for the end."""
        if frame is not None and (frame.interlaced_frame or self.is_interlaced):
            self.is_interlaced = True
            shape = frame.width, frame.height, frame.format.name
            if shape != self._shape:
                if self._graph:
                    yield from self._through_graph(None)
                self._graph, self._shape = self._make_graph(frame), shape
        if self._graph:
            yield from self._through_graph(frame)
        elif frame is not None:
            yield frame

    def to_rgb(self, frame: av.VideoFrame) -> tuple[np.ndarray, float]:
        """uint8 (H, W, 3), and how many of its pixels one shown pixel is."""
        width, height = frame.width, frame.height
        if abs(self._stretch - 1) > NEARLY_SQUARE:
            width, height = (round(width * self._stretch), height) if self._stretch > 1 else (
                width, round(height / self._stretch)
            )  # fmt: skip
        scale = min(1.0, LARGEST_PX / max(width, height))
        size = {"width": max(1, round(scale * width)), "height": max(1, round(scale * height))}
        image = frame.reformat(**size, format="rgb24", interpolation="AREA" if scale < 1 else "BILINEAR").to_ndarray()
        quarters = round(frame.rotation / 90) % 4  # counter-clockwise, as the file asks for
        return np.ascontiguousarray(np.rot90(image, quarters)), scale

    def _make_graph(self, frame: av.VideoFrame) -> Any:
        graph = import_av().filter.Graph()
        buffer = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        graph.link_nodes(buffer, graph.add("yadif", "deint=interlaced"), graph.add("buffersink")).configure()
        return graph

    def _through_graph(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        av = import_av()
        self._graph.push(frame)
        while True:
            try:
                yield self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
