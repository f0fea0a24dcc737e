"""What answers: a network with its input and its classes, whatever computes it. Needs NumPy alone."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from emotion_utils.audit.faces import CropMode
from emotion_utils.models.input_spec import InputSpec


class Network(Protocol):
    """A trained network, ready to answer."""

    class_names: tuple[str, ...]
    input_spec: InputSpec
    crop: CropMode  # how faces were cut out for its training
    views: int  # of each face, over which probabilities are averaged
    facts: list[Any]  # plain values that name it: other weights or another input make others

    def predict(self, faces: np.ndarray) -> np.ndarray:
        """Probabilities float64 (n, k), rows summing to 1, of uint8 RGB faces (n, S, S, 3); n may be 0.

        Those of a face do not depend on the others.
        """
        ...


def in_full_batches(faces: np.ndarray, size: int) -> list[np.ndarray]:
    """`faces` (n, S, S, 3) in batches of `size`, the last one padded with black ones.

    A matrix product of another size sums in another order, so that a face's probabilities would depend on how many
    faces stand beside it.
    """
    filled = np.pad(faces, ((0, -len(faces) % size), (0, 0), (0, 0), (0, 0)))
    return [filled[start : start + size] for start in range(0, len(filled), size)]
