"""Batches straight from the store: uint8, channels first, in an order that seed, epoch and ids decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch

from emotion_utils.audit.frames import view_ids
from emotion_utils.config import SPLITS
from emotion_utils.counter_rng import id_keys
from emotion_utils.devices import CPU
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.parallel import count_workers, map_ahead
from emotion_utils.progress import Progress
from emotion_utils.run import Run
from emotion_utils.sources.source import Source, source_of
from emotion_utils.store.order import Share, plan_epoch
from emotion_utils.store.shards import ShardImages, open_shards, shards_path, write_shards
from emotion_utils.store.store import Store, StoreDamage, build_store, open_store, store_path
from emotion_utils.store.targets import make_targets

if TYPE_CHECKING:
    from emotion_utils.store.resident import ResidentImages


class Batch(NamedTuple):
    """images uint8 (B, 3, H, W) RGB 0-255, labels int64 (B,) on the CPU, and the ids in the same order.

    The images are where the dataset's are. `total` is the size of the global batch, of which this may be the share of
    one process. `targets` are those of Dataset.
    """

    images: torch.Tensor
    labels: torch.Tensor
    ids: list[str]
    total: int | None = None
    targets: torch.Tensor | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split, sorted by id: images[rows[i]] is uint8 (H, W, 3), labels int64 (N,) are positions in class_names.

    In the memory of a GPU (see store.resident), images[rows] is uint8 (B, 3, H, W). `targets`, float (N, k), are the
    probabilities to learn, where these are not the labels alone.
    """

    images: np.ndarray | ShardImages | ResidentImages
    rows: np.ndarray
    labels: torch.Tensor
    ids: list[str]
    class_names: tuple[str, ...]
    targets: torch.Tensor | None = None

    def __post_init__(self) -> None:
        """Raises InputError for a dataset that nothing can be read from, before a training finds out."""
        if not len(self.rows) == len(self.labels) == len(self.ids) > 0:
            raise InputError(
                f"a dataset of {len(self.rows)} rows, {len(self.labels)} labels and {len(self.ids)} ids: "
                "as many of each, and one image at least, are needed"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, count: int) -> Dataset:
        """The first `count` images in the order of their ids, which are checksums: as good as drawn.

        Raises InputError where that is none.
        """
        if count < 1:
            raise InputError(f"take({count}): one image at least is needed; there are {len(self)}")
        targets = None if self.targets is None else self.targets[:count]
        return replace(self, rows=self.rows[:count], labels=self.labels[:count], ids=self.ids[:count], targets=targets)

    def batch(self, positions: np.ndarray) -> Batch:
        """The images at `positions`, int (B,), in this order."""
        images = self.images[self.rows[positions]]
        if isinstance(images, np.ndarray):
            images = torch.from_numpy(images).permute(0, 3, 1, 2)  # a view: what comes next makes a copy anyway
        places = torch.from_numpy(positions)
        targets = None if self.targets is None else self.targets[places]
        return Batch(images, self.labels[places], [self.ids[p] for p in positions], targets=targets)

    def read(self, share: Share) -> Batch:
        """The images of one step of an epoch."""
        batch = self.batch(share.positions)
        names = [f"{name}#{turn + 1}" if turn else name for name, turn in zip(batch.ids, share.turns, strict=True)]
        return batch._replace(ids=names, total=share.total)

    @property
    def size_px(self) -> int:
        """The side of the images."""
        return self.images.shape[2]

    @cached_property
    def keys(self) -> np.ndarray:
        """uint64 (N,): a number for each id, from which its randomness is drawn."""
        return id_keys(self.ids)

    @property
    def shards(self) -> np.ndarray | None:
        """int (N,): the shard of each image, or None where one file holds them all."""
        return self.images.shards[self.rows] if isinstance(self.images, ShardImages) else None


def prepare_images(run: Run, source: Source, manifest: pd.DataFrame, *, progress: Progress | None = None) -> str:
    """Decodes what the run's manifest keeps, into a store or into shards as its `store` asks; returns a line on it.

    Those that only teach are among them. The run's audit must have been written: it holds the order of the classes.
    """
    size_px, manifest = run.config.image_size_px, _with_auxiliary(run, manifest)
    if run.config.store == "shards":
        path = write_shards(source, manifest, run.taught_classes(), size_px=size_px, progress=progress)
        return f"{(manifest['split'] != '').sum():,} images of {size_px} px in shards at {path}"
    return build_store(source, manifest, size_px=size_px, progress=progress).note


def restore_images(run: Run, *, progress: Progress | None = None) -> None:
    """Decodes the images of a prepared run once more where the cache has lost or damaged them; else does nothing.

    Raises InputError where the run is not prepared, or its data are no longer there.
    """
    manifest = run.read("manifest")
    try:
        for split in SPLITS if run.config.store == "shards" else SPLITS[:1]:  # a store holds all splits
            _open_images(run, _with_auxiliary(run, manifest), split)
    except (InputError, StoreDamage):
        prepare_images(run, source_of(run.config), manifest, progress=progress)


def open_split(run: Run, split: str) -> Dataset:
    """The images of one split of a prepared run; train has those that only teach as well.

    Only reads; who opens `test` notes it (`run.note_test_opening`).

    Raises InputError that says what to run first or what restores the images, EmotionError where the split is empty.
    """
    manifest = _with_auxiliary(run, run.read("manifest"))
    class_names = run.taught_classes() if split == "train" else run.class_names()
    rows = manifest[manifest["split"] == split].sort_values("id")
    if rows.empty:
        raise EmotionError(f"{run.path('manifest')}: no image in {split}; start again with --fresh")
    ids = rows["id"].tolist()
    try:
        images = _open_images(run, manifest, split)
    except (InputError, StoreDamage) as error:
        raise InputError(
            f"{error}; restore_images(run) of emotion_utils.store.batches decodes them again, and so does notebook "
            "01_data_preparation"
        ) from None
    places = {class_name: place for place, class_name in enumerate(class_names)}
    if strange := sorted(set(rows["label"]) - set(places)):
        raise InputError(
            f"{run.path('manifest')}: {strange[0]!r} is none of the classes of the run ({', '.join(class_names)}); "
            "start again with --fresh"
        )
    labels = torch.tensor([places[label] for label in rows["label"]])
    targets = make_targets(rows, class_names, run.config.targets) if split == "train" else None
    if isinstance(images, Store):
        return Dataset(images.images, images.rows(ids), labels, ids, class_names, targets)
    return Dataset(images, np.arange(len(ids)), labels, ids, class_names, targets)


def iterate_batches(
    dataset: Dataset,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool,
    weights: np.ndarray | None = None,
    rank: int = 0,
    world_size: int = 1,
    drop_last: bool = False,
    max_steps: int | None = None,
    device: torch.device = CPU,
) -> Iterator[Batch]:
    """One epoch of batches, or what process `rank` reads of each: all processes together read every image once.

    Without `weights` every image comes once, in the order of ids or, with `shuffle`, of keys made of (seed, epoch, id).
    With `weights`, float (N,) as from `sampler_weights`, as many images are drawn as there are, each as often as its
    weight asks, up or down to a whole number; a second draw carries the id `<id>#2`, so that it is augmented otherwise.
    A lone last image joins the batch before it. From shards, each process reads its own, whole and one after the other.
    For a GPU as `device` that does not hold the images, they are read ahead, into memory from where it fetches them.
    """
    shares = plan_epoch(
        dataset.keys, batch_size=batch_size, seed=seed, epoch=epoch, shuffle=shuffle, weights=weights,
        shards=dataset.shards, rank=rank, world_size=world_size,
    )  # fmt: skip
    wanted = (share for share in shares[:max_steps] if not drop_last or share.total >= batch_size)
    is_far = device.type == "cuda" and isinstance(dataset.images, np.ndarray)
    if dataset.shards is None and not is_far:
        yield from map(dataset.read, wanted)
        return

    def read(share: Share) -> Batch:
        batch = dataset.read(share)
        return batch._replace(images=batch.images.contiguous().pin_memory()) if device.type == "cuda" else batch

    yield from map_ahead(read, wanted, count_workers())


def _with_auxiliary(run: Run, manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of the manifest and of the images that only teach."""
    return pd.concat([manifest, run.read("auxiliary")]) if run.config.auxiliary_classes else manifest


def _open_images(run: Run, manifest: pd.DataFrame, split: str) -> Store | ShardImages:
    """What the cache holds of them. Raises InputError where that is nothing, StoreDamage where it is damaged."""
    size_px = run.config.image_size_px
    if run.config.store == "shards":
        return open_shards(shards_path(manifest, run.taught_classes(), size_px), split)
    return open_store(store_path(view_ids(manifest[manifest["status"] == "kept"]), size_px))
