"""What the epochs of a training amount to. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def best_epoch(val_accs: Sequence[float]) -> int | None:
    """The 1-based epoch of the highest finite val_acc, the first of equals; None where none is finite."""
    values = np.asarray(val_accs, dtype=np.float64)
    finite = np.isfinite(values)
    return int(np.where(finite, values, -np.inf).argmax()) + 1 if finite.any() else None
