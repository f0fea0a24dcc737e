import itertools

import numpy as np
import pytest

from emotion_utils.audit.stratify import share_out

SHARES = np.array([0.8, 0.1, 0.1])


def keys_of(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, count).astype(np.uint64)


def tally(labels, sides, num_sides=3):
    return np.array([np.bincount(labels[sides == side], minlength=labels.max() + 1) for side in range(num_sides)])


def cost_of(filled, target):
    return ((filled - target) ** 2 / np.maximum(target, 1)).sum()


def best_cost(labels, units, shares):
    """The least cost of all arrangements, by trying every one."""
    target = shares[:, None] * np.bincount(labels)
    arrangements = itertools.product(range(len(shares)), repeat=int(units.max()) + 1)
    return min(cost_of(tally(labels, np.array(sides)[units]), target) for sides in arrangements)


@pytest.mark.parametrize("seed", range(5))
def test_few_large_units_are_shared_out_nearly_as_well_as_can_be(seed):
    rng = np.random.default_rng(seed)
    units = np.sort(np.concatenate([np.repeat(np.arange(8), 2), rng.integers(0, 8, 64)]))
    labels = rng.integers(0, 2, len(units))
    sides = share_out(labels, units, keys_of(len(units)), SHARES)
    found = cost_of(tally(labels, sides), SHARES[:, None] * np.bincount(labels))
    assert found <= 1.1 * best_cost(labels, units, SHARES) + 1e-9


def test_images_that_stand_alone_fill_every_side_to_within_one_image():
    labels = np.random.default_rng(0).choice(4, 997, p=[0.5, 0.3, 0.15, 0.05])
    sides = share_out(labels, np.arange(997), keys_of(997), SHARES)
    assert np.abs(tally(labels, sides) - SHARES[:, None] * np.bincount(labels)).max() < 1


def test_rounding_favours_no_side():
    labels = np.repeat(np.arange(8), 25)  # 2.5 images of each class are wanted in val and in test
    sizes = np.bincount(share_out(labels, np.arange(200), keys_of(200), SHARES))
    assert sizes.tolist() == [160, 20, 20]


def test_images_that_stand_alone_make_good_what_a_large_unit_overfills():
    labels = np.array([0] * 30 + [0, 1] * 50 + [1] * 30)
    units = np.concatenate([np.zeros(30, dtype=int), np.arange(1, 131)])
    sides = share_out(labels, units, keys_of(160), SHARES)
    assert len(set(sides[:30])) == 1
    assert np.abs(tally(labels, sides) - SHARES[:, None] * np.bincount(labels)).max() <= 1


def test_persons_with_the_same_images_are_dealt_out_evenly():
    units, labels = np.repeat(np.arange(10), 21), np.tile(np.arange(7), 30)
    sides = share_out(labels, units, keys_of(210), SHARES)
    np.testing.assert_array_equal(tally(labels, sides), np.outer([24, 3, 3], np.ones(7)))


def test_a_class_of_three_units_reaches_every_side():
    labels = np.array([0] * 60 + [1] * 9)
    units = np.concatenate([np.arange(60), 60 + np.arange(9) // 3])
    assert tally(labels, share_out(labels, units, keys_of(69), SHARES)).min() >= 1


def test_another_key_gives_another_sharing_out():
    labels = np.zeros(300, dtype=int)
    first, second = (share_out(labels, np.arange(300), keys_of(300, seed), SHARES) for seed in (1, 2))
    assert not np.array_equal(first, second)
