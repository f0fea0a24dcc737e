"""Images decoded once: uint8, memory-mapped, named after their content, reused by later runs. No torch."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.audit.faces import WHOLE, cut_frame
from emotion_utils.audit.frames import frames_of, view_ids
from emotion_utils.cache_building import only_builder, replacing_folder
from emotion_utils.environment import cache_dir
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.progress import Progress
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.store.resize import KERNEL, resize_square

VERSION = 2  # of the files' layout
BLOCK_IMAGES = 64  # decoded by one worker and written at once
READ_BYTES = 1 << 24  # at a time
THREADS_FROM_PX = 96 * 96  # measured on two cores: below it one thread is as quick as two, or quicker


class StoreDamage(EmotionError):
    """A store that is not what was written."""


@dataclass(frozen=True, eq=False)
class Store:
    """Decoded images, uint8 (N, size_px, size_px, 3) RGB 0-255 on disk; `note` tells a person where it comes from."""

    images: np.ndarray
    encoded_ids: np.ndarray
    size_px: int
    note: str

    @property
    def ids(self) -> list[str]:
        """The id of each row."""
        return self.encoded_ids.astype(str).tolist()

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """int64 (n,): the row of each id. Raises EmotionError for an id that is not there."""
        wanted = np.array(list(ids), dtype=np.bytes_)
        places = np.searchsorted(self.encoded_ids, wanted, sorter=self._order)
        rows = self._order[np.minimum(places, len(self._order) - 1)]
        strange = np.flatnonzero(self.encoded_ids[rows] != wanted)
        if len(strange):
            raise EmotionError(f"image {wanted[strange[0]].decode()} is not in the store; start again with --fresh")
        return rows

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.encoded_ids, kind="stable")


def store_path(ids: Iterable[str], size_px: int, cache: Path | None = None) -> Path:
    """Where the store of these images is: a name made of their ids, the size, the kernel and the layout's version.

    Of images of which only a part is used, `ids` are faces.view_ids: another crop makes another store.
    """
    digest = hashlib.sha256(f"{VERSION}\n{KERNEL}\n{size_px}\n".encode())
    digest.update("\n".join(sorted(set(ids))).encode())
    return (cache or cache_dir()) / "stores" / digest.hexdigest()


def build_store(
    source: Any, manifest: pd.DataFrame, *, size_px: int, cache: Path | None = None, progress: Progress | None = None
) -> Store:
    """The store of the kept rows of `manifest`: opened if it is there and whole, else decoded from `source`.

    Raises InputError where the cache cannot hold it, EmotionError where an image changed since the audit.
    """
    kept = manifest[manifest["status"] == "kept"].drop_duplicates("id")
    path = store_path(view_ids(kept), size_px, cache)
    note = f"{len(kept):,} images decoded to {size_px} px"
    with only_builder(path, len(kept) * size_px * size_px * 3):
        try:
            return open_store(path)
        except StoreDamage as damage:
            note = f"{note} again: {damage}"
        except InputError:
            pass  # not there yet
        with replacing_folder(path) as temporary:
            _write(temporary, source, kept, size_px, progress)
    return replace(_map(path)[0], note=note)  # just written: its pixels need no check


def open_store(path: Path) -> Store:
    """The store at `path`, memory-mapped for reading. Raises InputError if there is none, StoreDamage if it is damaged.

    All that is in it is compared with its checksums, once in a process while the file stays as it is.
    """
    store, checksums = _map(path)
    if file_checksums(path / "images.npy", store.images.offset, BLOCK_IMAGES * store.images[0].nbytes) != checksums:
        raise StoreDamage(f"the store at {path} has damaged pixels")
    return store


def file_checksums(file: Path, start: int = 0, block_bytes: int = 1 << 62) -> list[int]:
    """CRC-32 of each block of a file from the byte `start` on; computed again where size or time of the file changed.

    A CRC also finds images that changed places, which a sum does not; memory is read no quicker by other sums.
    """
    facts = file.stat()
    return list(_file_checksums(file, (facts.st_ino, facts.st_size, facts.st_mtime_ns), start, block_bytes))


@lru_cache(maxsize=4096)
def _file_checksums(file: Path, stamp: tuple[int, int, int], start: int, block_bytes: int) -> tuple[int, ...]:
    """Read as a file: pages of a map would stay resident."""

    def read(at: int) -> int:
        checksum = 0
        for place in range(at, min(at + block_bytes, stamp[1]), READ_BYTES):
            length = min(READ_BYTES, at + block_bytes - place)
            checksum = zlib.crc32(os.pread(pixels.fileno(), length, place), checksum)
        return checksum

    with file.open("rb") as pixels:
        return tuple(map_ahead(read, range(start, stamp[1], block_bytes), count_workers()))


def _map(path: Path) -> tuple[Store, list[int]]:
    """The store, and the checksum of each block of its pixels, of which none is read yet."""
    if not path.exists():
        raise InputError(f"no decoded images at {path}")
    try:
        facts = json.loads((path / "store.json").read_text(encoding="utf-8"))
        images = np.load(path / "images.npy", mmap_mode="r")
        ids = np.load(path / "ids.npy")
        whole = (
            images.shape == (facts["images"], facts["size_px"], facts["size_px"], 3)
            and len(facts["checksums"]) == len(_blocks(len(images)))
            and zlib.crc32(ids.tobytes()) == facts["ids_crc32"]
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise StoreDamage(f"the store at {path} is not readable ({error})") from None
    if not whole:
        raise StoreDamage(f"the store at {path} is incomplete")
    note = f"{len(images):,} images of {facts['size_px']} px, decoded by an earlier run"
    return Store(images, ids, facts["size_px"], note), facts["checksums"]


def read_image(source: Any, path: str, image_id: str, size_px: int, frame: Sequence[int] = WHOLE) -> np.ndarray:
    """uint8 (size_px, size_px, 3) RGB of a kept row. Raises EmotionError where it is not what the audit saw."""
    data = source.read(path)
    if hashlib.sha256(data).hexdigest() != image_id:
        raise EmotionError(f"{path} changed since the audit; start again with --fresh")
    try:
        return resize_square(cut_frame(decode_rgb(data), frame), size_px)
    except ImageFault as fault:
        raise EmotionError(f"{path}: {fault}; start again with --fresh") from None


def _write(folder: Path, source: Any, kept: pd.DataFrame, size_px: int, progress: Progress | None) -> None:
    """images.npy, ids.npy and store.json; plain writes, because pages written through a map count as resident."""
    ids, paths = kept["id"].to_numpy(dtype=object), kept["path"].to_numpy(dtype=object)
    frames = frames_of(kept)
    shape = (size_px, size_px, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(ids), *shape)}
    checksums = []
    with (folder / "images.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        start = file.tell()

        def work(block: slice) -> tuple[int, int]:
            images = np.empty((block.stop - block.start, *shape), dtype=np.uint8)
            for image, path, image_id, frame in zip(images, paths[block], ids[block], frames[block], strict=True):
                image[:] = read_image(source, path, image_id, size_px, frame)
            os.pwrite(file.fileno(), images, start + block.start * images[0].nbytes)
            return block.stop, zlib.crc32(images)

        for done, checksum in map_ahead(work, _blocks(len(ids)), _pick_workers(kept)):
            checksums.append(checksum)
            if progress:
                progress(done, len(ids))
        os.fsync(file.fileno())
    encoded = ids.astype(np.bytes_)
    np.save(folder / "ids.npy", encoded)
    facts = {"version": VERSION, "kernel": KERNEL, "size_px": size_px, "images": len(ids)}
    facts |= {"ids_crc32": zlib.crc32(encoded.tobytes()), "checksums": checksums}
    (folder / "store.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _pick_workers(kept: pd.DataFrame) -> int:
    """Threads, but for tiny images: handing Python's lock to and fro then costs more than a second core brings."""
    pixels = (kept["width"].astype("int64") * kept["height"]).mean()
    return count_workers() if pixels >= THREADS_FROM_PX else 1


def _blocks(size: int) -> list[slice]:
    return [slice(start, min(start + BLOCK_IMAGES, size)) for start in range(0, size, BLOCK_IMAGES)]
