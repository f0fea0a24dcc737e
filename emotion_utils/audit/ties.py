"""What ties images together: copies, near copies, the same person. No torch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# The closest first, and the columns that say so; a manifest need not have them all.
TIES = {"exact copy": ("id", "image"), "near copy": ("cluster",), "same person": ("group",)}
NO_TIE = ("", -1)  # values that tie nothing


def tie_of(ours: pd.DataFrame, theirs: pd.DataFrame) -> np.ndarray:
    """object (N,): the closest of TIES that ties each row of `ours` to any of `theirs`, "" where none does."""
    ties = np.full(len(ours), "", dtype=object)
    for tie, columns in reversed(TIES.items()):
        for column in [name for name in columns if name in ours]:
            ties[(~ours[column].isin(NO_TIE) & ours[column].isin(theirs[column])).to_numpy()] = tie
    return ties


def join_ties(rows: pd.DataFrame) -> np.ndarray:
    """int (N,): rows that are tied, directly or through others, get the same number."""
    size = len(rows)
    pairs = [(np.arange(0), np.arange(0))]
    nodes = size
    for column in [name for columns in TIES.values() for name in columns if name in rows]:
        codes = pd.factorize(rows[column])[0]
        tied = np.flatnonzero(~rows[column].isin(NO_TIE) & (np.bincount(codes)[codes] > 1))
        pairs.append((tied, codes[tied] + nodes))
        nodes += int(codes.max(initial=-1)) + 1
    left, right = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    if not len(left):
        return np.arange(size)
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(nodes, nodes))
    return np.unique(connected_components(graph, directed=False)[1][:size], return_inverse=True)[1]
