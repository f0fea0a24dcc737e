"""Folders of numbered images, read as videos."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from emotion_utils.deploy.decoding import decode_image
from emotion_utils.deploy.video.frame import Frame, Jump, shrink
from emotion_utils.errors import InputError
from emotion_utils.printable import count_of
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.files import is_image_name
from emotion_utils.sources.trees import read_file

NUMBER = re.compile(r"(\d+)\D*$")  # the last one in a file's name
MOST_FRAMES = 2**62  # from the first number to the last: a table holds 64 bits


class ImageFrames:
    """Images named by their numbers, so many a second; a number that is missing is a moment without an image."""

    def __init__(self, folder: Path, fps: float | None) -> None:
        found = [entry for entry in folder.iterdir() if is_image_name(entry.name) and not entry.is_dir()]
        names = sorted(entry.name for entry in found if entry.is_file())
        others = sorted(entry.name for entry in found if not entry.is_file())
        if not names:
            raise InputError(f"{folder}: holds no images; give a folder of numbered images, or a video file")
        if fps is None:
            raise InputError(f"{folder}: images have no times; say how many of them a second there are: --fps 25")
        self.folder, self.fps, self.total = folder, fps, len(names)
        self.notes: list[str] = []
        if others:
            names_of = count_of(len(others), "name")
            self.notes.append(f"{names_of} of no file left out (pipe, device, link to nothing), such as {others[0]}")
        self.jumps: list[Jump] = []
        self.is_live = False
        self._named = sorted((_find_number(folder, name), name) for name in names)
        numbers = [number for number, _ in self._named]
        twice = next((number for number, after in pairwise(numbers) if number == after), None)
        if twice is not None:
            raise InputError(f"{folder}: two images have the number {twice}; which of them comes first?")
        if numbers[-1] - numbers[0] >= MOST_FRAMES:
            raise InputError(
                f"{folder}: the numbers {numbers[0]} and {numbers[-1]} are too far apart; number them anew"
            )
        self.step_s = float(np.median(np.diff(numbers))) / fps if len(numbers) > 1 else 0.0

    def seek(self, time_s: float) -> Iterator[Frame]:
        """Frames from some time before `time_s` on."""
        return self._read(time_s - 0.5 / self.fps)

    def stop(self) -> None:
        """Nothing is live."""

    def __iter__(self) -> Iterator[Frame]:
        return self._read()

    def _read(self, from_s: float = 0.0) -> Iterator[Frame]:
        first, size, left_out = self._named[0][0], None, []
        for number, name in self._named:
            if (number - first) / self.fps < from_s:
                continue
            try:
                image = decode_image(read_file(self.folder / name)).rgb
            except ImageFault as fault:
                left_out.append(f"{name}: {fault}")
                continue
            size = size or image.shape
            if image.shape != size:
                left_out.append(f"{name}: is of another size than the first one")
                continue
            image, scale = shrink(image)
            yield Frame(number - first, (number - first) / self.fps, image, scale)
        if size is None and from_s <= 0:
            raise InputError(f"{self.folder}: none of its {count_of(self.total, 'image')} can be used: {left_out[0]}")
        if left_out and from_s <= 0:
            self.notes.append(f"{count_of(len(left_out), 'image')} left out, such as {left_out[0]}")


def _find_number(folder: Path, name: str) -> int:
    found = NUMBER.search(Path(name).stem)
    if found is None:
        raise InputError(f"{folder / name}: has no number in its name; number the images in the order of time")
    return int(found[1])
