"""Which whole numbers of images are compatible with printed rates: hits, confusion matrices, set sizes. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil, floor

import numpy as np

from emotion_utils.published.tables import Figures, PrintedReport

SLACK = 1e-9  # for floating point; far below the last printed decimal
MAX_STEPS = 20_000  # of a search: a second or so; tables with four decimals of some hundred images take a few
MAX_MATRICES = 2_000
MAX_DECIMALS = 4  # sizes of a set are tried up to 10,000


@dataclass(frozen=True)
class Margins:
    """Numbers of images, one per class: correct ones (the diagonal) and predictions (the column sums)."""

    hits: tuple[int, ...]
    predicted: tuple[int, ...]


def half_unit(decimals: int) -> float:
    """The largest change that rounding to `decimals` makes."""
    return 0.5 * 10.0**-decimals + SLACK


def integers_between(low: float, high: float) -> range:
    """The integers within [low, high] that are not negative."""
    return range(max(0, ceil(low - SLACK)), floor(high + SLACK) + 1)


def f1_of(hits: int, predicted: int, support: int) -> float:
    """The F1 of a class; 0 where it has neither images nor predictions."""
    return 2 * hits / (predicted + support) if predicted + support else 0.0


def possible_hits(figures: Figures, decimals: int) -> range:
    """Numbers of correct images that give the printed recall."""
    half = half_unit(decimals)
    high = min(1.0, figures.recall + half) * figures.support
    return integers_between((figures.recall - half) * figures.support, high)


def possible_predictions(figures: Figures, hits: int, images: int, decimals: int) -> range:
    """Numbers of predictions of a class that give its printed precision with `hits`, among `images` in all."""
    half = half_unit(decimals)
    if hits == 0:  # precision 0, of however many predictions
        return range(images - figures.support + 1) if figures.precision <= half else range(0)
    low = max(hits, hits / (figures.precision + half))
    high = hits / (figures.precision - half) if figures.precision > half else images
    return integers_between(low, min(high, images - figures.support + hits))


def possible_counts(figures: Figures, images: int, decimals: int) -> list[tuple[int, int]]:
    """Pairs (hits, predictions) that give the printed precision, recall and F1 of one class together."""
    return [
        (hits, predicted)
        for hits in possible_hits(figures, decimals)
        for predicted in possible_predictions(figures, hits, images, decimals)
        if abs(f1_of(hits, predicted, figures.support) - figures.f1) <= half_unit(decimals)
    ]


def find_margins(report: PrintedReport) -> list[Margins] | None:
    """All margins that give every printed figure of `report`, rounded; None where there are too many to try."""
    supports = [figures.support for figures in report.classes.values()]
    total = sum(supports)
    if any(_count_pairs(figures, total, report.decimals) > MAX_STEPS for figures in report.classes.values()):
        return None
    choices = [possible_counts(figures, total, report.decimals) for figures in report.classes.values()]
    found: list[Margins] = []
    for step, pairs in enumerate(_choose(choices, total)):
        if step == MAX_STEPS:
            return None
        if pairs is None:
            continue
        margins = Margins(*(tuple(column) for column in zip(*pairs, strict=True)))
        if _gives_summary(report, margins, supports) and _can_be_filled(margins, supports):
            found.append(margins)
    return found


def compatible_matrices(report: PrintedReport) -> tuple[np.ndarray, bool] | None:
    """The matrices that `list_matrices` gives; None where there is too much to try."""
    margins = find_margins(report)
    return None if margins is None else list_matrices(report, margins)


def list_matrices(report: PrintedReport, margins: Sequence[Margins]) -> tuple[np.ndarray, bool]:
    """int64 (m, k, k): the confusion matrices, label by prediction, that give every printed figure of `report`.

    `margins` are those of `find_margins`. The second value is False where there are more than MAX_MATRICES.
    """
    supports = [figures.support for figures in report.classes.values()]
    listed = list(islice((matrix for each in margins for matrix in _fill(each, supports)), MAX_MATRICES + 1))
    matrices = np.array(listed[:MAX_MATRICES], dtype=np.int64).reshape(-1, len(supports), len(supports))
    return matrices, len(listed) <= MAX_MATRICES


def attainable_sizes(rates: Sequence[float], decimals: int) -> list[int]:
    """Sizes n below 10**decimals for which each rate is a rounded m / n; from there on every n is one.

    More than MAX_DECIMALS are not followed up to that end. A tie may have been rounded either way.
    """
    ascending = sorted(set(rates))
    return [n for n in range(1, 10 ** min(decimals, MAX_DECIMALS)) if _is_attainable(ascending, n, half_unit(decimals))]


# -- searching -------------------------------------------------------------------------------------


def _is_attainable(ascending: Sequence[float], n: int, half: float) -> bool:
    """Different rates need different numbers of images: one number is not printed in two ways."""
    least = 0
    for rate in ascending:
        counts = integers_between(max(least, (rate - half) * n), min(n, (rate + half) * n))
        if not counts:
            return False
        least = counts[0] + 1
    return True


def _count_pairs(figures: Figures, images: int, decimals: int) -> int:
    """At most so many pairs are tried for one class: more hits leave more room for predictions."""
    hits = possible_hits(figures, decimals)
    return sum(len(possible_predictions(figures, end, images, decimals)) for end in hits[-1:]) * len(hits)


def _choose(choices: list[list[tuple[int, int]]], total: int) -> Iterator[list[tuple[int, int]] | None]:
    """One pair per class so that the predictions sum to `total`; None for a step that led nowhere."""
    least = [min((predicted for _, predicted in pairs), default=total + 1) for pairs in choices]
    most = [max((predicted for _, predicted in pairs), default=-total - 1) for pairs in choices]

    def extend(taken: list[tuple[int, int]], left: int) -> Iterator[list[tuple[int, int]] | None]:
        number = len(taken)
        if number == len(choices):
            yield taken
            return
        for pair in choices[number]:
            rest = left - pair[1]
            if sum(least[number + 1 :]) <= rest <= sum(most[number + 1 :]):
                yield from extend([*taken, pair], rest)
            else:
                yield None

    return extend([], total)


def _gives_summary(report: PrintedReport, margins: Margins, supports: list[int]) -> bool:
    half, total = half_unit(report.decimals), sum(supports)
    if report.accuracy is not None and abs(sum(margins.hits) / max(total, 1) - report.accuracy) > half:
        return False
    hits, predicted, support = (np.array(column) for column in (margins.hits, margins.predicted, supports))
    rates = [
        hits / np.maximum(predicted, 1),
        hits / np.maximum(support, 1),
        2 * hits / np.maximum(predicted + support, 1),
    ]
    for name, printed in report.averages.items():
        weights = support / max(total, 1) if name == "weighted avg" else np.full(len(supports), 1 / len(supports))
        figures = (printed.precision, printed.recall, printed.f1)
        if any(abs(float(rate @ weights) - figure) > half for rate, figure in zip(rates, figures, strict=True)):
            return False
    return True


def _can_be_filled(margins: Margins, supports: Sequence[int]) -> bool:
    """Is there a matrix? Errors of a row may go to every column but its own."""
    rows, columns = _errors(margins, supports)
    errors = sum(rows)
    return errors == sum(columns) and all(
        row >= 0 and column >= 0 and row + column <= errors for row, column in zip(rows, columns, strict=True)
    )


def _errors(margins: Margins, supports: Sequence[int]) -> tuple[list[int], list[int]]:
    rows = [support - hits for support, hits in zip(supports, margins.hits, strict=True)]
    columns = [predicted - hits for predicted, hits in zip(margins.predicted, margins.hits, strict=True)]
    return rows, columns


def _fill(margins: Margins, supports: Sequence[int]) -> Iterator[list[list[int]]]:
    """Every matrix with these margins, row by row; a row that leaves the rest without a solution is given up."""
    rows, columns = _errors(margins, supports)
    k = len(rows)

    def fill(number: int, left: list[int]) -> Iterator[list[list[int]]]:
        if number == k:
            yield []
            return
        for row in _spread(rows[number], [0 if column == number else left[column] for column in range(k)]):
            rest = [room - used for room, used in zip(left, row, strict=True)]
            open_errors = sum(rows[number + 1 :])
            if all(rows[later] + rest[later] <= open_errors for later in range(number + 1, k)):
                filled = [*row[:number], margins.hits[number], *row[number + 1 :]]
                yield from ([filled, *below] for below in fill(number + 1, rest))

    return fill(0, columns)


def _spread(errors: int, room: list[int]) -> Iterator[list[int]]:
    """Every way to distribute `errors` over cells that hold at most `room`."""
    if len(room) == 1:
        if errors <= room[0]:
            yield [errors]
        return
    rest = sum(room[1:])
    for first in range(max(0, errors - rest), min(errors, room[0]) + 1):
        yield from ([first, *others] for others in _spread(errors - first, room[1:]))
