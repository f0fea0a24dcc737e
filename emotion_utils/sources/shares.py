"""Columns of numbers of which each is a class: votes, one-hot, shares; and numbers that merely stand beside them."""

from __future__ import annotations

from collections.abc import KeysView, Sequence

from emotion_utils.sources.class_names import is_emotion
from emotion_utils.sources.text_tables import TextTable
from emotion_utils.sources.votes import NO_FACE_CLASSES, UNKNOWN_CLASSES

MOST = 0.9  # of the rows add up as shares do
MOST_VOTES = 100  # or percent
_TRUTHS = {"true": 1.0, "false": 0.0}  # of a one-hot table, as pandas writes it
_SLACK = 0.011  # of the sum: shares are rounded


def choose_shares(table: TextTable, free: Sequence[int], is_labelled: bool) -> tuple[int, ...]:
    """Which of the columns `free` hold the votes for a class each; () for none.

    Those named after emotions do, with those for no face or no answer. Others only where just they fill the votes of
    each row up to one sum; where none is named after an emotion, where all of them add up to one sum. Beside labels
    (`is_labelled`), columns of emotions that can be no votes are another measure.
    """
    named = [at for at in free if is_emotion(table.columns[at])]
    if is_labelled and not all(_can_be_votes(table, at) for at in named):
        return ()
    named = [at for at in named if _has_numbers(table, at)]
    rest = [at for at in free if not is_emotion(table.columns[at]) and _can_be_votes(table, at)]
    if not named:
        votes = () if is_labelled else _without_totals(table, tuple(rest))
        return votes if _add_up(table, votes) else ()
    sure = [*named, *(at for at in rest if _is_no_class(table.columns[at]))]
    shares = sorted([*sure, *_fill_up(table, sure, [at for at in rest if at not in sure])])
    return tuple(shares) if len(shares) > 1 else ()


def values_of(table: TextTable, at: int) -> KeysView[str]:
    """The different values of a column in their order; looked up once."""
    if at not in table.values:
        table.values[at] = dict.fromkeys(values[at].strip() for _, values in table.rows)
    return table.values[at].keys()


def are_numbers(table: TextTable, at: int) -> bool:
    """Whether a column holds nothing but numbers, where it holds anything."""
    return not any(value.casefold() in _TRUTHS for value in values_of(table, at)) and _are_votes(table, at)


def _are_votes(table: TextTable, at: int) -> bool:
    return all(value == "" or to_number(value) is not None for value in values_of(table, at))


def to_number(text: str) -> float | None:
    """A finite number, with a point or a comma before its decimals, 1 and 0 for true and false; or None."""
    try:
        number = float(_TRUTHS.get(text.casefold(), text.replace(",", ".", 1)))
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None


def _can_be_votes(table: TextTable, at: int) -> bool:
    """Numbers from 0 up that can be votes: not coordinates, and not the number of the row."""
    numbers = [to_number(value) or 0 for value in values_of(table, at)]
    return _are_votes(table, at) and min(numbers, default=0) >= 0 and max(numbers, default=0) <= MOST_VOTES


def _has_numbers(table: TextTable, at: int) -> bool:
    """Whether a column is empty, or holds any number; what else it holds is told when the rows are read."""
    values = values_of(table, at) - {""}
    return not values or any(to_number(value) is not None for value in values)


def _is_no_class(name: str) -> bool:
    return "".join(filter(str.isalpha, name.casefold())) in (*NO_FACE_CLASSES, *UNKNOWN_CLASSES)


def _votes_of_rows(table: TextTable, columns: Sequence[int]) -> list[list[float]]:
    return [[to_number(values[at]) or 0.0 for at in columns] for _, values in table.rows]


def _fill_up(table: TextTable, sure: Sequence[int], rest: Sequence[int]) -> list[int]:
    """Those of `rest` that hold, in each row, what the `sure` columns lack of the sum of all; [] where none do."""
    sums = [sum(votes) for votes in _votes_of_rows(table, sure)]
    most = max(sums, default=0.0)
    votes = {at: [row[0] for row in _votes_of_rows(table, [at])] for at in rest}
    for whole in sorted({most, 1.0, 100.0}):
        if not 0 < most <= whole * (1 + _SLACK):
            continue
        lacking = [max(whole - number, 0) + _SLACK * whole for number in sums]
        fits = [at for at, numbers in votes.items() if any(numbers)
                and all(number <= room for number, room in zip(numbers, lacking, strict=True))]  # fmt: skip
        totals = [sum(numbers) for numbers in zip(sums, *(votes[at] for at in fits), strict=True)]
        if fits and sum(abs(total - whole) <= _SLACK * whole for total in totals) >= MOST * len(totals):
            return fits
    return []


def _add_up(table: TextTable, columns: Sequence[int]) -> bool:
    """Whether the numbers of each row add up to one sum, and more than one column varies: sizes do not."""
    rows = [votes for votes in _votes_of_rows(table, columns) if any(votes)]
    if len(rows) < 2 or sum(len(set(column)) > 1 for column in zip(*rows, strict=True)) < 2:
        return False
    sums = sorted(map(sum, rows))
    middle = sums[len(sums) // 2]
    return sum(abs(number - middle) <= _SLACK * middle for number in sums) >= MOST * len(sums)


def _without_totals(table: TextTable, shares: tuple[int, ...]) -> tuple[int, ...]:
    """`shares` without a column that counts the votes of a row: the sum of the others in most rows, or a constant."""
    rows = [votes for votes in _votes_of_rows(table, shares) if any(votes)]
    totals = set()
    for place, at in enumerate(shares):
        pairs = [(votes[place], sum(votes) - votes[place]) for votes in rows]
        are_sums = sum(abs(one - rest) <= 0.02 * one for one, rest in pairs) >= MOST * len(pairs)
        is_constant = len({one for one, _ in pairs}) == 1 and all(0 < rest <= one for one, rest in pairs)
        if len(shares) > 2 and len(pairs) > 2 and (are_sums or is_constant):
            totals.add(at)
    return tuple(at for at in shares if at not in totals) if len(totals) == 1 else shares
