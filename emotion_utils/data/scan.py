"""Reads every image of a source once, in parallel, and keeps a few facts of each: never the pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from emotion_utils.data.building import map_ahead
from emotion_utils.data.decode import ImageFault, decode_image, refuse_unusable
from emotion_utils.data.near_duplicates import THUMB_PX, hash_thumbs, shrink_grey
from emotion_utils.data.sources import Source, file_id

CHUNK_IMAGES = 32  # read by one worker at a time: enough to hash together, few enough for a smooth progress bar


@dataclass
class Scan:
    """Facts of each image, in the order of the source's table."""

    ids: list[str]  # sources.file_id
    pixels: list[bytes]  # 16 bytes of the sha256 of size and pixels; b"" where there are none
    sizes: list[tuple[int, int]]  # width, height in pixels; 0, 0 where unknown
    reasons: list[str]  # why it cannot be used, or ""
    conversions: list[tuple[str, ...]]
    hashes: np.ndarray  # uint64 (n, 2, 4): perceptual hash, straight and mirrored; meaningless where unusable

    def columns(self) -> tuple[list, ...]:
        """The lists, in the order in which they stand above."""
        return self.ids, self.pixels, self.sizes, self.reasons, self.conversions


def scan_images(source: Source, *, workers: int, progress: Callable[[int, int], None] | None = None) -> Scan:
    """The facts of all images of `source`; memory grows by these facts alone."""
    paths = source.table["path"].tolist()
    chunks = [paths[start : start + CHUNK_IMAGES] for start in range(0, len(paths), CHUNK_IMAGES)]
    scan = Scan([], [], [], [], [], np.zeros((len(paths), 2, 4), np.uint64))
    for part in map_ahead(lambda chunk: _scan_chunk(source, chunk), chunks, workers):
        done = len(scan.ids)
        scan.hashes[done : done + len(part.ids)] = part.hashes
        for column, more in zip(scan.columns(), part.columns(), strict=True):
            column.extend(more)
        if progress is not None:
            progress(len(scan.ids), len(paths))
    return scan


def read_thumbs(source: Source, paths: Sequence[str], size_px: int) -> np.ndarray:
    """Grey thumbnails uint8 (n, size_px, size_px) of readable images."""
    return np.stack([shrink_grey(decode_image(source.read(path)).rgb, size_px) for path in paths])


def _scan_chunk(source: Source, paths: Sequence[str]) -> Scan:
    scan = Scan([], [], [], [], [], np.zeros((len(paths), 2, 4), np.uint64))
    thumbs = np.zeros((len(paths), THUMB_PX, THUMB_PX), np.uint8)
    for place, path in enumerate(paths):
        identity, size, reason, conversions, pixels = file_id(path, None), (0, 0), "", (), b""
        try:
            if path in source.faults:
                raise ImageFault(source.faults[path])
            data = source.read(path)
            identity = file_id(path, data)
            image = decode_image(data)
            size, conversions = image.rgb.shape[1::-1], image.conversions
            refuse_unusable(image.rgb)
            pixels = _digest_pixels(image.rgb)
            thumbs[place] = shrink_grey(image.rgb, THUMB_PX)
        except ImageFault as fault:
            reason = str(fault)
        for column, value in zip(scan.columns(), (identity, pixels, size, reason, conversions), strict=True):
            column.append(value)
    scan.hashes[:] = hash_thumbs(thumbs)
    return scan


def _digest_pixels(rgb: np.ndarray) -> bytes:
    digest = hashlib.sha256(b"%d %d " % rgb.shape[:2])
    digest.update(np.ascontiguousarray(rgb))
    return digest.digest()[:16]
