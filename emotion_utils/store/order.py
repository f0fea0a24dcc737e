"""Which images an epoch brings, in which order and in which batches: decided by seed, epoch and ids. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emotion_utils.counter_rng import draw_uniform, mix_keys
from emotion_utils.errors import InputError

ORDER, DRAW, SHARD = 1, 2, 3  # what a key is for: an image's place, the draw of a weighted epoch, a shard's place


class Share(NamedTuple):
    """What one process reads of one global batch.

    positions: int64 (B,) in the split. turns: int64 (B,), 0 where an image is drawn for the first time in this epoch,
    then 1, 2 ... total: images of the global batch.
    """

    positions: np.ndarray
    turns: np.ndarray
    total: int


def plan_epoch(
    keys: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool,
    weights: np.ndarray | None = None,
    shards: np.ndarray | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> list[Share]:
    """The shares of process `rank`, one for each step; all processes have as many steps and together read all once.

    keys: uint64 (N,), a number for each image, sorted by id. weights: float (N,), how likely each is drawn; as many are
    drawn as there are. shards: int (N,), the shard that holds each; a process then reads its own shards only, whole.
    """
    bounds = batch_bounds(len(keys), batch_size)
    positions = np.arange(len(keys)) if shards is None else _own_shards(shards, rank, world_size)
    turns = np.zeros(len(positions), dtype=np.int64)
    if weights is not None:
        drawn = _draw_weighted(mix_keys(keys[positions], seed, epoch, DRAW), weights[positions])
        positions, turns = positions[drawn], np.arange(len(drawn)) - np.searchsorted(drawn, drawn)
    if shuffle:
        places = mix_keys(mix_keys(keys[positions], turns), seed, epoch, ORDER)
        blocks = 0 * places if shards is None else mix_keys(shards[positions], seed, epoch, SHARD)
        order = np.lexsort((places, blocks))
        positions, turns = positions[order], turns[order]
    if shards is None:
        parts, totals = _deal_batches(bounds, rank, world_size)
    else:
        parts = np.array_split(np.arange(len(positions)), len(bounds))
        totals = _count_together(np.bincount(shards % world_size, minlength=world_size), len(bounds))
    return [Share(positions[part], turns[part], total) for part, total in zip(parts, totals, strict=True)]


def batch_bounds(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Start and end of each batch; a lone last image joins the batch before it: BatchNorm cannot learn from one."""
    ends = list(range(batch_size, size, batch_size))
    if ends and size - ends[-1] == 1:
        ends.pop()
    return list(zip([0, *ends], [*ends, size], strict=True))


def _deal_batches(bounds: list[tuple[int, int]], rank: int, world_size: int) -> tuple[list[np.ndarray], list[int]]:
    """Of each batch the places of one process: neighbours 2j and 2j + 1 stay together, because mixup pairs them.

    A last one without a neighbour goes with the pair before it: BatchNorm cannot learn from a lone image.
    """
    parts = []
    for start, end in bounds:
        places = np.arange(end - start)
        pairs = np.minimum(places // 2, max(0, len(places) // 2 - 1))
        parts.append(start + places[pairs % world_size == rank])
    return parts, [end - start for start, end in bounds]


def _own_shards(shards: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """The same in every epoch, so that a machine needs no more than its own shards."""
    if shards.max() + 1 < world_size:
        raise InputError(f"{shards.max() + 1} shards cannot feed {world_size} processes: start fewer of them")
    return np.flatnonzero(shards % world_size == rank)


def _count_together(counts: np.ndarray, steps: int) -> list[int]:
    """The size of each global batch, where each process shares its count out over all steps as array_split does."""
    return [int((counts // steps + (step < counts % steps)).sum()) for step in range(steps)]


def _draw_weighted(keys: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """int64 (N,), ascending: systematic resampling (evenly spaced points on the weights laid end to end).

    Each image comes floor(N w) or ceil(N w) times, w being its share of all weights.
    """
    order = np.lexsort((keys, weights))  # classes side by side, so that each gets its number to within one
    ends = np.cumsum(weights[order]) / np.sum(weights) * len(keys)
    points = np.arange(len(keys)) + draw_uniform(keys[order[:1]], 1)[0, 0]
    places = np.searchsorted(ends, points, side="right").clip(max=len(keys) - 1)
    return np.sort(order[places])
