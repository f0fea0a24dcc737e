"""`emotion bench processes`: both ways are measured, and what the docs say of a lack of memory is so."""

import pytest

from emotion_utils.bench.processes import WAYS, bench_backoff, bench_processes


@pytest.mark.slow
def test_each_way_is_measured_beside_the_wrapper():
    table = bench_processes(size_px=32, batch_size=4, steps=1, rounds=1, precisions=("float32",))
    assert table["way"].tolist() == list(WAYS)
    first, second = table["images_per_second"]
    for column in ("ratio", "ratio_low", "ratio_high"):  # of a single round
        assert table[column].tolist() == [first / second, 1.0]


@pytest.mark.slow
def test_a_lack_of_memory_in_the_backward_pass_ends_the_wrapper_and_not_our_sum():
    ours, wrapper = bench_backoff(passes=("backward",)).itertuples(index=False)
    assert (ours.way, ours.first, ours.second) == (WAYS[0], *["the undisturbed weights"] * 2)
    assert "Expected to have finished reduction in the prior iteration" in wrapper.second
    assert "Error" in wrapper.first
