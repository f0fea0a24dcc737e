"""Selection bias of the best validation accuracy of many trials, and its correction. No torch.

The best of n accuracies on the same images is biased upwards, even if each of them is unbiased. The correction is
the bootstrap (BBC) of Tsamardinos, Greasidou and Borboudakis ("Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation", Machine Learning 107, 2018): the selection is repeated on people drawn with
replacement, and the selected trial is evaluated on the people left out.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

DRAWS = 1000
METHOD = "bootstrap of the selection over people, evaluated on those left out (Tsamardinos and others, 2018)"


def corrected_accuracy(correct: np.ndarray, people: np.ndarray, seed: int = 0) -> float:
    """The accuracy (0-1) of the best trial without its selection bias: what to expect of it on new people.

    correct: bool (n, N), whether trial i classified image j correctly; people: (N,), the person on each image. A single
    trial is not selected: its accuracy is returned unchanged. The first of equal trials is selected, as in a search.
    """
    if len(correct) == 1:
        return float(correct.mean())
    person = pd.factorize(people)[0]
    count = person.max() + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)[:, person]
    selected = (drawn @ correct.T).argmax(axis=1)
    left_out = drawn == 0
    sizes = left_out.sum(axis=1)
    hits = (left_out & correct[selected]).sum(axis=1)
    return float((hits[sizes > 0] / sizes[sizes > 0]).mean()) if sizes.any() else float("nan")


def pack_bits(bits: np.ndarray) -> str:
    """bool (N,) as hexadecimal digits, four to a digit."""
    return np.packbits(bits).tobytes().hex()


def unpack_bits(digits: str, count: int) -> np.ndarray:
    """What `pack_bits` was given: bool (count,)."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8), count=count).astype(bool)
