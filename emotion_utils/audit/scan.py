"""Reads every image of a source once, in parallel, and keeps a few facts of each: never the pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotion_utils.artefacts import NUMBER_PROPERTIES, TEXT_PROPERTIES
from emotion_utils.audit.faces import NO_FACE, WHOLE, CropMode, Frame, crop_faces, cut_frame
from emotion_utils.audit.near_duplicates import CLOSE_PX, THUMB_PX, hash_thumbs, shrink_grey
from emotion_utils.audit.properties import measure_image
from emotion_utils.audit.turned_copies import MARKS, hash_marks
from emotion_utils.parallel import map_ahead
from emotion_utils.progress import Progress
from emotion_utils.sources.decode import decode_image
from emotion_utils.sources.decoded import ImageFault, refuse_unusable
from emotion_utils.sources.source import Source, file_id

CHUNK_IMAGES = 32  # read by one worker at a time: enough to hash together, few enough for a smooth progress bar


@dataclass
class Scan:
    """Facts of each image, in the order of the source's table."""

    ids: list[str]  # sources.file_id
    pixels: list[bytes]  # 16 bytes of the sha256 of size and pixels; b"" where there are none
    sizes: list[tuple[int, int]]  # width, height in pixels; 0, 0 where unknown
    reasons: list[str]  # why it cannot be used, or ""
    conversions: list[tuple[str, ...]]
    crops: list[tuple[str, int]]  # outcome (see faces.CropResult) and number of faces found; "", 0 where unusable
    frames: list[Frame]  # what is used of it
    texts: list[tuple[str, ...]]  # artefacts.TEXT_PROPERTIES, "" where unusable
    numbers: np.ndarray  # float32 (n, 5): artefacts.NUMBER_PROPERTIES, NaN where unusable
    hashes: np.ndarray  # uint64 (n, 2, 4): perceptual hash of that, straight and mirrored; meaningless where unusable
    turned: np.ndarray  # uint64 (n, 9, 2, 4): likewise of its middle at each of turned_copies.MARKS

    @classmethod
    def empty(cls, size: int) -> Scan:
        """No facts yet, and room for the numbers and hashes of `size` images."""
        numbers = np.full((size, len(NUMBER_PROPERTIES)), np.nan, np.float32)
        return cls(
            [],
            [],
            [],
            [],
            [],
            [],
            [],
            [],
            numbers,
            np.zeros((size, 2, 4), np.uint64),
            np.zeros((size, len(MARKS), 2, 4), np.uint64),
        )

    def columns(self) -> tuple[list, ...]:
        """The lists, in the order in which they stand above."""
        return self.ids, self.pixels, self.sizes, self.reasons, self.conversions, self.crops, self.frames, self.texts


def scan_images(
    source: Source,
    *,
    workers: int,
    crop: CropMode = "never",
    keep_missed: bool = True,
    progress: Progress | None = None,
) -> Scan:
    """The facts of all images of `source`; memory grows by these facts alone.

    `keep_missed` False: an image in which `crop` looks for a face and finds none cannot be used.
    """
    paths = source.table["path"].tolist()
    chunks = [paths[start : start + CHUNK_IMAGES] for start in range(0, len(paths), CHUNK_IMAGES)]
    scan = Scan.empty(len(paths))
    for part in map_ahead(lambda chunk: _scan_chunk(source, chunk, crop, keep_missed), chunks, workers):
        done = len(scan.ids)
        scan.hashes[done : done + len(part.ids)] = part.hashes
        scan.turned[done : done + len(part.ids)] = part.turned
        scan.numbers[done : done + len(part.ids)] = part.numbers
        for column, more in zip(scan.columns(), part.columns(), strict=True):
            column.extend(more)
        if progress is not None:
            progress(len(scan.ids), len(paths))
    return scan


def read_thumbs(source: Source, paths: Sequence[str], frames: np.ndarray, size_px: int) -> np.ndarray:
    """Grey thumbnails uint8 (n, size_px, size_px) of what is used of readable images; frames int (n, 3)."""
    return np.stack([
        shrink_grey(cut_frame(decode_image(source.read(path)).rgb, frame), size_px)
        for path, frame in zip(paths, frames, strict=True)
    ])  # fmt: skip


def _scan_chunk(source: Source, paths: Sequence[str], crop: CropMode, keep_missed: bool) -> Scan:
    scan = Scan.empty(len(paths))
    thumbs = np.zeros((len(paths), THUMB_PX, THUMB_PX), np.uint8)
    for place, path in enumerate(paths):
        image_id, size, reason, conversions, pixels = file_id(path, None), (0, 0), "", (), b""
        outcome, frame, texts = ("", 0), WHOLE, ("",) * len(TEXT_PROPERTIES)
        try:
            if path in source.faults:
                raise ImageFault(source.faults[path])
            data = source.read(path)
            image_id = file_id(path, data)
            image = decode_image(data)
            size, conversions = image.rgb.shape[1::-1], image.conversions
            refuse_unusable(image.rgb)
            view = crop_faces(image.rgb, crop)
            outcome, frame = (view.outcome, view.found), view.frame
            if view.outcome == "missed" and not keep_missed:
                raise ImageFault(NO_FACE)
            pixels = digest_pixels(image.rgb)
            thumbs[place] = shrink_grey(view.image, THUMB_PX)
            scan.turned[place] = hash_marks(shrink_grey(view.image, CLOSE_PX))
            texts, scan.numbers[place] = measure_image(data, image.rgb, view)
        except ImageFault as fault:
            reason = str(fault)
        facts = (image_id, pixels, size, reason, conversions, outcome, frame, texts)
        for column, value in zip(scan.columns(), facts, strict=True):
            column.append(value)
    scan.hashes[:] = hash_thumbs(thumbs)
    return scan


def digest_pixels(rgb: np.ndarray) -> bytes:
    """16 bytes of the SHA-256 of height, width and the bytes of uint8 (H, W, 3) RGB."""
    digest = hashlib.sha256(b"%d %d " % rgb.shape[:2])
    digest.update(np.ascontiguousarray(rgb))
    return digest.digest()[:16]
