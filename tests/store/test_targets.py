import numpy as np
import pandas as pd
import torch

from emotion_utils.store.targets import make_targets

CLASSES = ("angry", "happy", "sad")
ROWS = pd.DataFrame(
    [
        ("sad", '{"sad": 6, "angry": 2, "neutral": 2}'),
        ("happy", ""),  # nobody voted
        ("angry", '{"neutral": 10}'),  # no vote for a class that is learned
        ("angry", '{"happy": 4}'),
    ],
    columns=["label", "votes"],
)


def test_votes_are_those_for_the_classes_that_are_learned():
    expected = [[0.25, 0, 0.75], [0, 1, 0], [1, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(make_targets(ROWS, CLASSES, "votes"), expected)


def test_both_is_the_mean_of_label_and_votes():
    expected = [[0.125, 0, 0.875], [0, 1, 0], [1, 0, 0], [0.5, 0.5, 0]]
    found = make_targets(ROWS, CLASSES, "both")
    np.testing.assert_allclose(found, expected)
    assert found.dtype == torch.float32


def test_labels_alone_need_no_targets():
    assert make_targets(ROWS.drop(columns="votes"), CLASSES, "label") is None
