"""Which epoch is the best."""

from math import inf, nan

import pytest

from emotion_utils.history import best_epoch


@pytest.mark.parametrize(
    ("val_accs", "best"),
    [([0.5, 0.7, 0.6, 0.7], 2), ([nan, 0.2, inf, 0.1], 2), ([0.0], 1), ([nan, nan], None), ([], None)],
)
def test_best_epoch_is_the_first_of_the_highest_finite_accuracies(val_accs, best):
    assert best_epoch(val_accs) == best
