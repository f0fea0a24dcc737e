"""The same images as WebDataset tar shards, for data that one machine does not hold: each process reads its own.

A shard is a plain tar of `<id>.cls` (the place of the class in class_names) and `<id>.png` (lossless), as any
WebDataset reader takes it. An index beside the shards says where each image is, so that this reader goes straight to
it. Images are in the order of their ids, which are hashes: every shard is a random sample of its split. No torch.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from emotion_utils.audit.frames import frames_of, view_ids
from emotion_utils.cache_building import only_builder, replacing_folder
from emotion_utils.config import SPLITS
from emotion_utils.environment import cache_dir
from emotion_utils.errors import InputError
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.progress import Progress
from emotion_utils.store.resize import KERNEL
from emotion_utils.store.store import StoreDamage, file_checksums, read_image

VERSION = 2  # with checksums
SHARD_IMAGES = 2048  # at most; about 7 MB at 48 px, 150 MB at 224 px
LEAST_SHARDS = 16  # even of a small split, so that as many processes can share it


class ShardImages:
    """The images of one split: `images[rows]` reads them, uint8 (n, S, S, 3) RGB 0-255, from any thread.

    What is here is compared with its checksums at opening, once in a process while the files stay as they are. A
    machine may hold no more than the shards that its own processes read; `is_whole` says whether all are here.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self._folder, self._split = folder, split
        try:
            facts = json.loads((folder / "shards.json").read_text(encoding="utf-8"))
            checksums = facts["checksums"][split]
            index_file = folder / f"{split}.npz"
            if file_checksums(index_file) != [facts["index_checksums"][split]]:
                raise StoreDamage(f"{index_file} is damaged")
            with np.load(index_file) as index:
                self.shards, self._offsets, self._lengths = index["shards"], index["offsets"], index["lengths"]
            self.shape = (len(self.shards), facts["size_px"], facts["size_px"], 3)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreDamage(f"the shards at {folder} are not readable ({error})") from None
        files = [self._file(number) for number in range(len(checksums))]
        self.is_whole = all(file.exists() for file in files)
        for file, checksum in zip(files, checksums, strict=True):
            if file.exists() and file_checksums(file) != [checksum]:
                raise StoreDamage(f"{file} is not what was written")

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        for shard in np.unique(self.shards[rows]):
            try:
                with self._file(shard).open("rb") as file:
                    for place in np.flatnonzero(self.shards[rows] == shard):
                        data = os.pread(file.fileno(), self._lengths[rows[place]], self._offsets[rows[place]])
                        images[place] = _decode_png(data, file.name)
            except FileNotFoundError:
                raise StoreDamage(f"{self._file(shard)} is not on this machine, but a process here reads it") from None
        return images

    def _file(self, number: int) -> Path:
        return self._folder / shard_name(self._split, number)


def shard_name(split: str, number: int) -> str:
    """The file of one shard."""
    return f"{split}-{number:06d}.tar"


def shards_path(manifest: pd.DataFrame, class_names: Sequence[str], size_px: int, cache: Path | None = None) -> Path:
    """Where the shards of this manifest are: named after ids, crops, splits, labels, class order, size and kernel."""
    digest = hashlib.sha256(f"{VERSION}\n{KERNEL}\n{size_px}\n{list(class_names)}\n".encode())
    rows = manifest[manifest["split"] != ""].sort_values("id")
    rows = rows.assign(id=view_ids(rows))[["id", "split", "label"]]
    digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return (cache or cache_dir()) / "shards" / digest.hexdigest()


def write_shards(
    source: Any,
    manifest: pd.DataFrame,
    class_names: Sequence[str],
    *,
    size_px: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder of the shards of every row that has a split, written if they are not there and whole."""
    path = shards_path(manifest, class_names, size_px, cache)
    rows = manifest[manifest["split"] != ""].sort_values("id")
    with only_builder(path, 0):
        if _is_whole(path):
            return path
        with replacing_folder(path) as folder:
            checksums, done = {}, 0
            for split in SPLITS:
                writer = _Writer(folder, split, source, class_names, size_px)
                checksums[split] = []
                for images, file in writer.write(rows[rows["split"] == split]):
                    checksums[split] += file_checksums(file)
                    done += images
                    if progress:
                        progress(done, len(rows))
            facts = {"version": VERSION, "kernel": KERNEL, "size_px": size_px, "class_names": list(class_names)}
            indices = {split: file_checksums(folder / f"{split}.npz")[0] for split in SPLITS}
            facts |= {"checksums": checksums, "index_checksums": indices}
            (folder / "shards.json").write_text(json.dumps(facts), encoding="utf-8")
    return path


def open_shards(path: Path, split: str) -> ShardImages:
    """The images of one split. Raises InputError if there are none at `path`, StoreDamage if they are not whole."""
    if not path.exists():
        raise InputError(f"no shards at {path}")
    return ShardImages(path, split)


def _is_whole(path: Path) -> bool:
    try:
        return path.exists() and all(ShardImages(path, split).is_whole for split in SPLITS)
    except StoreDamage:
        return False


def _decode_png(data: bytes, file: str) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise StoreDamage(f"{file} holds a damaged image: remove it and start again with --fresh")
    return image


class _Writer:
    """Writes the shards of one split and the index beside them."""

    def __init__(self, folder: Path, split: str, source: Any, class_names: Sequence[str], size_px: int) -> None:
        self._folder, self._split, self._source, self._size_px = folder, split, source, size_px
        self._classes = {class_name: place for place, class_name in enumerate(class_names)}

    def write(self, rows: pd.DataFrame) -> Iterator[tuple[int, Path]]:
        """Yields the number of images and the file of each shard written."""
        ids, labels = rows["id"].tolist(), [self._classes[label] for label in rows["label"]]
        count = max(-(-len(ids) // SHARD_IMAGES), min(LEAST_SHARDS, len(ids)))
        shards = np.arange(len(ids)) * count // max(len(ids), 1)
        images = map_ahead(self._encode, zip(rows["path"], ids, frames_of(rows), strict=True), count_workers())
        samples = zip(ids, labels, images, strict=True)
        places = []
        for shard, size in enumerate(np.bincount(shards, minlength=count)):
            file = self._folder / shard_name(self._split, shard)
            places += _write_shard(file, islice(samples, int(size)))
            yield int(size), file
        offsets, lengths = np.array(places, dtype=np.int64).reshape(-1, 2).T
        np.savez(self._folder / f"{self._split}.npz", shards=shards, offsets=offsets, lengths=lengths)

    def _encode(self, place: tuple[str, str, np.ndarray]) -> bytes:
        path, image_id, frame = place
        image = read_image(self._source, path, image_id, self._size_px, frame)
        is_grey = np.array_equal(image[:, :, 0], image[:, :, 1]) and np.array_equal(image[:, :, 0], image[:, :, 2])
        pixels = image[:, :, 0] if is_grey else image[:, :, ::-1]
        return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _write_shard(file: Path, samples: Iterator[tuple[str, int, bytes]]) -> list[tuple[int, int]]:
    """Writes a tar of (id, label, image); returns where in it each image begins, and its length."""
    places = []
    with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
        for image_id, label, image in samples:
            for suffix, data in (("cls", str(label).encode()), ("png", image)):
                info = tarfile.TarInfo(f"{image_id}.{suffix}")  # no time, no owner: the same images, the same bytes
                info.size = len(data)
                start = tar.offset + tarfile.BLOCKSIZE
                tar.addfile(info, io.BytesIO(data))
            places.append((start, len(image)))
    return places
