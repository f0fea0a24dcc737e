"""Manifests as an audit writes them, with ties between their rows."""

import hashlib

import numpy as np
import pandas as pd
from hypothesis import strategies as st


def manifest_of(labels, **columns):
    """A manifest of kept rows; ids are as audited ones, hexadecimal and without pattern."""
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(labels))]
    table = pd.DataFrame({"id": ids, "path": [f"{number}.png" for number in range(len(labels))], "label": labels})
    table = table.assign(group="", split="", status="kept", reason="")
    return table.assign(**columns)


def names(numbers, prefix):
    """A column of ties; 0 ties nothing."""
    return [f"{prefix}{number}" if number else "" for number in numbers]


@st.composite
def tied_manifests(draw):
    """Manifests of 3 classes whose rows are tied by person, cluster, image and id in every combination."""
    size = draw(st.integers(30, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = manifest_of([["angry", "happy", "sad"][label] for label in rng.integers(0, 3, size)])
    for column in ("group", "cluster", "image"):
        kinds = draw(st.integers(1, size))
        alone = draw(st.floats(0, 1))
        numbers = np.where(rng.random(size) < alone, 0, rng.integers(0, kinds + 1, size))
        table[column] = numbers - 1 if column == "image" else names(numbers, column)
    for copy in rng.integers(0, size, draw(st.integers(0, 5))):
        table.loc[copy, "id"] = table["id"].iloc[0]
    table.loc[rng.random(size) < draw(st.floats(0, 0.3)), "status"] = "quarantined"
    return table
