"""Randomness that belongs to an image: numbers drawn from (seed, epoch, id) and from nothing else. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # these three are SplitMix64's
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def id_keys(ids: Iterable[str]) -> np.ndarray:
    """uint64 (N,): one well-mixed number for each id."""
    digests = b"".join(hashlib.blake2b(image_id.encode(), digest_size=8).digest() for image_id in ids)
    return np.frombuffer(digests, dtype="<u8")


def mix_keys(keys: np.ndarray, *numbers: int | np.ndarray) -> np.ndarray:
    """uint64 (N,): keys that depend on the numbers (seed, epoch ...; one for all, or one for each) and their order."""
    keys = np.asarray(keys, dtype=np.uint64)
    for number in numbers:
        keys = scramble(keys ^ scramble(np.atleast_1d(number).astype(np.uint64)))
    return keys


def draw_uniform(keys: np.ndarray, count: int, *, first: int = 0) -> np.ndarray:
    """float64 (N, count) in [0, 1): `count` independent numbers for each key, from number `first` on."""
    steps = np.arange(first + 1, first + count + 1, dtype=np.uint64) * GOLDEN
    return (scramble(keys[:, None] + steps) >> np.uint64(11)) * 2.0**-53


def scramble(x: np.ndarray) -> np.ndarray:
    """The output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014)."""
    x = x + GOLDEN
    x = (x ^ (x >> np.uint64(30))) * FIRST
    x = (x ^ (x >> np.uint64(27))) * SECOND
    return x ^ (x >> np.uint64(31))
