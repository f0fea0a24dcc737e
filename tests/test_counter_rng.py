import numpy as np

from emotion_utils.counter_rng import draw_uniform, id_keys, mix_keys

IDS = [f"image {number}" for number in range(20_000)]


def test_a_key_belongs_to_the_id_whatever_stands_beside_it():
    together = mix_keys(id_keys(IDS[:5]), 3, 1)
    alone = [mix_keys(id_keys([name]), 3, 1)[0] for name in IDS[:5]]
    assert together.tolist() == alone


def test_draws_are_those_published_for_splitmix64():
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]  # the first three of seed 1234567
    draws = draw_uniform(np.array([1234567], dtype=np.uint64), 2)[0]
    assert draws.tolist() == [(number >> 11) / 2**53 for number in published[1:]]


def test_draws_in_parts_are_those_in_one():
    keys = id_keys(IDS[:3])
    parts = [draw_uniform(keys, count, first=first) for first, count in ((0, 5), (5, 1), (6, 14))]
    np.testing.assert_array_equal(np.hstack(parts), draw_uniform(keys, 20))


def test_seed_and_epoch_are_told_apart():
    keys = id_keys(IDS[:100])
    assert not np.array_equal(mix_keys(keys, 1, 2), mix_keys(keys, 2, 1))
    assert not np.array_equal(mix_keys(keys, 0, 0), mix_keys(keys, 0))


def test_draws_are_uniform_and_independent_of_each_other_and_of_the_epoch():
    draws = np.hstack([draw_uniform(mix_keys(id_keys(IDS), 0, epoch), 8) for epoch in (1, 2)])
    assert draws.min() >= 0
    assert draws.max() < 1
    np.testing.assert_allclose(draws.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), 1 / 12, atol=0.002)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(16), atol=0.03)
