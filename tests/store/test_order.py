import numpy as np
import pytest

from emotion_utils.counter_rng import id_keys
from emotion_utils.errors import InputError
from emotion_utils.store.order import batch_bounds, plan_epoch

KEYS = id_keys(f"id {number}" for number in range(101))
SHARDS = np.arange(101) * 7 // 101


def plan(rank=0, world_size=1, epoch=1, batch_size=8, **more):
    more = {"seed": 0, "shuffle": True} | more
    return plan_epoch(KEYS, batch_size=batch_size, epoch=epoch, rank=rank, world_size=world_size, **more)


def positions_of(shares):
    return np.concatenate([share.positions for share in shares])


@pytest.mark.parametrize("shards", [None, SHARDS], ids=["store", "shards"])
@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("batch_size", [8, 100, 7])
def test_all_processes_together_read_every_image_once_in_equally_many_steps(shards, world_size, batch_size):
    plans = [plan(rank, world_size, batch_size=batch_size, shards=shards) for rank in range(world_size)]
    assert sorted(np.concatenate([positions_of(shares) for shares in plans])) == list(range(101))
    assert {len(shares) for shares in plans} == {len(batch_bounds(101, batch_size))}
    for together in zip(*plans, strict=True):
        assert {share.total for share in together} == {sum(len(share.positions) for share in together)}


def test_the_global_batches_do_not_depend_on_the_number_of_processes():
    alone = plan()
    for step, parts in enumerate(zip(plan(0, 2), plan(1, 2), strict=True)):
        assert sorted(np.concatenate([part.positions for part in parts])) == sorted(alone[step].positions)


def test_neighbours_stay_together():
    alone = plan()[0].positions.reshape(-1, 2)
    np.testing.assert_array_equal(plan(0, 2)[0].positions.reshape(-1, 2), alone[::2])
    np.testing.assert_array_equal(plan(1, 2)[0].positions.reshape(-1, 2), alone[1::2])


@pytest.mark.parametrize("size", [2, 3, 5, 7, 9, 11])
@pytest.mark.parametrize("world_size", [2, 3])
def test_no_process_learns_from_a_lone_image(size, world_size):
    keys = np.arange(size, dtype=np.uint64)
    how = {"batch_size": 100, "seed": 0, "epoch": 1, "shuffle": True}
    shares = [plan_epoch(keys, rank=rank, world_size=world_size, **how)[0].positions for rank in range(world_size)]
    assert all(len(share) != 1 for share in shares)
    assert sorted(np.concatenate(shares)) == list(range(size))


def test_a_process_reads_the_same_shards_every_epoch_one_after_the_other_in_another_order():
    orders = []
    for epoch in (1, 2, 3):
        visited = SHARDS[positions_of(plan(1, 2, epoch, shards=SHARDS))]
        changes = np.flatnonzero(np.diff(visited)) + 1
        orders.append(tuple(visited[[0, *changes]]))
        assert sorted(orders[-1]) == [1, 3, 5]
    assert len(set(orders)) > 1
    first, second = (positions_of(plan(1, 2, epoch, shards=SHARDS)) for epoch in (1, 2))
    assert not np.array_equal(first[SHARDS[first] == 1], second[SHARDS[second] == 1])


def test_fewer_shards_than_processes_are_refused():
    with pytest.raises(InputError, match="7 shards cannot feed 8 processes"):
        plan(0, 8, shards=SHARDS)


@pytest.mark.parametrize("shards", [None, SHARDS], ids=["store", "shards"])
def test_a_weighted_epoch_draws_by_weight_from_what_a_process_reads(shards):
    weights = np.where(np.arange(101) < 50, 1.0, 3.0)
    shares = plan(weights=weights, shards=shards)
    positions, turns = positions_of(shares), np.concatenate([share.turns for share in shares])
    assert len(positions) == 101
    assert (positions >= 50).mean() == pytest.approx(153 / 203, abs=0.01)
    for position in np.unique(positions):
        assert sorted(turns[positions == position]) == list(range((positions == position).sum()))
