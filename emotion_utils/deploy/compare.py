"""Do two networks answer the same?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLOSE = 1e-4  # between the probabilities of one network, computed by two programs
TIE = 2 * CLOSE  # between a face's two largest probabilities: below it, rounding decides which is named


@dataclass(frozen=True)
class Agreement:
    """How far two tables of probabilities, float64 (n, k), of the same images agree."""

    images: int
    largest: float  # difference of two probabilities
    same: int  # images with the same answer
    ties: int  # images of another answer whose two largest probabilities are nearly equal

    @property
    def is_exact(self) -> bool:
        """Whether rounding explains all that differs."""
        return self.largest <= CLOSE and self.same + self.ties == self.images


def compare(expected: np.ndarray, found: np.ndarray) -> Agreement:
    """Of probabilities (n, k), n at least 1; what is not finite agrees with nothing."""
    difference = np.abs(expected - found)
    largest = float(np.where(np.isfinite(difference), difference, np.inf).max())
    same = expected.argmax(axis=1) == found.argmax(axis=1)
    highest = np.sort(expected, axis=1)
    ties = ~same & (highest[:, -1] - highest[:, -2] <= TIE)
    return Agreement(len(expected), largest, int(same.sum()), int(ties.sum()))
