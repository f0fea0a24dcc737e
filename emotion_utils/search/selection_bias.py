"""How much of the best validation accuracy of many trials is luck. No torch.

The best of n accuracies on the same images is too high an estimate even if each of them is fair. The correction is
the bootstrap of Tsamardinos, Greasidou and Borboudakis ("Bootstrapping the out-of-sample predictions for efficient and
accurate cross-validation", Machine Learning 107, 2018): the choice is repeated on people drawn with replacement, and
the winner is judged on those who were not drawn.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

DRAWS = 1000
METHOD = "bootstrap of the choice over people, the winner judged on those not drawn (Tsamardinos et al. 2018)"


def corrected_best(right: np.ndarray, people: np.ndarray, seed: int = 0) -> float:
    """The accuracy (0-1) to expect on new people from the trial that looks best here.

    right: bool (n, N), whether trial i named image j correctly; people: (N,), who is on it. With one trial nothing is
    chosen, and its accuracy is returned as it is. The first of equals wins, as in a search.
    """
    if len(right) == 1:
        return float(right.mean())
    person = pd.factorize(people)[0]
    count = person.max() + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)[:, person]
    winners = (drawn @ right.T).argmax(axis=1)
    left_out = drawn == 0
    sizes = left_out.sum(axis=1)
    hits = (left_out & right[winners]).sum(axis=1)
    return float((hits[sizes > 0] / sizes[sizes > 0]).mean()) if sizes.any() else float("nan")


def pack_bits(right: np.ndarray) -> str:
    """bool (N,) as hexadecimal digits, four to a digit."""
    return np.packbits(right).tobytes().hex()


def unpack_bits(digits: str, count: int) -> np.ndarray:
    """What `pack_bits` was given: bool (count,)."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8), count=count).astype(bool)
