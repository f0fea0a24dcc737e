"""What a training learns to answer for each image: its label, what people voted, or half of each."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch

from emotion_utils.sources.layouts import VOTES
from emotion_utils.sources.votes import read_votes

Targets = Literal["label", "votes", "both"]


def make_targets(rows: pd.DataFrame, class_names: tuple[str, ...], choice: Targets) -> torch.Tensor | None:
    """float32 (N, k): probabilities of `class_names` for each of `rows`, which have the columns label and votes.

    Votes are those for these classes alone; an image that has none keeps its label. None where labels are all there is.
    """
    if choice == "label":
        return None
    labels = pd.get_dummies(pd.Categorical(rows["label"], class_names)).to_numpy(np.float32)
    counts = pd.DataFrame([read_votes(text) for text in rows[VOTES]]).reindex(columns=list(class_names))
    counts = counts.fillna(0).to_numpy(np.float32)
    total = counts.sum(axis=1, keepdims=True)
    votes = np.where(total > 0, counts / np.maximum(total, 1e-9), labels)
    return torch.from_numpy(votes if choice == "votes" else (labels + votes) / 2)
