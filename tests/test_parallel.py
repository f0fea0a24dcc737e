import pytest

from emotion_utils.parallel import map_ahead


def test_results_come_in_order_and_few_items_are_taken_ahead():
    taken = []

    def items():
        for number in range(200):
            taken.append(number)
            yield number

    ahead = []
    for result in map_ahead(lambda number: number * number, items(), workers=3):
        ahead.append(len(taken) - result**0.5)
    assert len(ahead) == 200
    assert max(ahead) <= 2 * 3 + 1


def test_an_error_in_a_thread_reaches_the_caller_and_ends_the_work():
    done = []

    def work(number):
        done.append(number)
        return 1 / (number - 3)

    with pytest.raises(ZeroDivisionError):
        list(map_ahead(work, range(1000), workers=3))
    assert len(done) < 100
