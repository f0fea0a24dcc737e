"""Is a published table of results consistent with itself? Each check yields findings, each with a sentence.

Figures count as equal where rounding to the printed decimals explains the difference. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from emotion_utils.published.finding import Finding, say_list, say_range, say_rate
from emotion_utils.published.integer_counts import (
    SLACK,
    Margins,
    find_margins,
    half_unit,
    list_matrices,
    possible_hits,
    possible_predictions,
)
from emotion_utils.published.split import audit_split
from emotion_utils.published.tables import Figures, PrintedCurves, PrintedReport, PrintedResults, read_printed_results

RATE_NAMES = {"precision": "precision", "recall": "recall", "f1": "F1"}


def audit_file(path: str | Path) -> list[Finding]:
    """The findings about a JSON or CSV file of printed tables. Raises InputError where it cannot be read as one."""
    return audit_results(read_printed_results(path))


def audit_results(results: PrintedResults) -> list[Finding]:
    """The findings about all tables, in the order of the tables; what follows from several of them comes last."""
    findings = [finding for report in results.reports for finding in audit_report(report)]
    findings += [finding for curves in results.curves for finding in _check_best(curves)]
    return findings + _compare_supports(results.reports) + audit_split(results)


def audit_report(report: PrintedReport) -> list[Finding]:
    """The findings about one classification report."""
    findings = []
    for name, figures in report.classes.items():
        place = f"{report.name}, {name}"
        findings.append(_check_f1(place, figures, report.decimals))
        findings += _check_counts(place, figures, report)
    findings += [*_check_support(report), *_check_accuracy(report)]
    for name in report.averages:
        findings += _check_average(report, name)
    margins = find_margins(report)
    return [*findings, _check_matrices(report, margins), *_count_predictions(report, margins or [])]


# -- one classification report ---------------------------------------------------------------------


def _check_f1(place: str, figures: Figures, decimals: int) -> Finding:
    half = half_unit(decimals)
    low, middle, high = (
        _harmonic_mean(max(0.0, figures.precision + shift), max(0.0, figures.recall + shift))
        for shift in (-half, 0.0, half)
    )
    ok = low - half <= figures.f1 <= high + half
    printed, recomputed = say_rate(figures.f1, decimals), say_rate(middle, decimals)
    of = f"precision {say_rate(figures.precision, decimals)} and recall {say_rate(figures.recall, decimals)}"
    sentence = f"F1 {printed} follows from {of}." if ok else f"F1 is printed as {printed}, but {of} give {recomputed}."
    return Finding("f1", place, printed, recomputed, ok, sentence)


def _check_counts(place: str, figures: Figures, report: PrintedReport) -> Iterator[Finding]:
    """Is the recall a whole number of the class's images, and the precision of a whole number of predictions?"""
    decimals, support = report.decimals, figures.support
    hits = possible_hits(figures, decimals)
    printed, exact = say_rate(figures.recall, decimals), figures.recall * support
    nearest = min(support, round(exact))
    recomputed = say_rate(nearest / support if support else 0.0, decimals)
    sentence = (
        f"Recall {printed} is {say_range(hits)} of {support} images."
        if hits
        else f"Recall {printed} of {support} images would be {exact:.2f} of them; {nearest} give {recomputed}."
    )
    yield Finding("recall", place, printed, recomputed, bool(hits), sentence)
    if not hits:
        return
    total = sum(each.support for each in report.classes.values())
    ways = [(hit, possible_predictions(figures, hit, total, decimals)) for hit in hits[:100]]
    found = next(((hit, predicted) for hit, predicted in ways if predicted), None)
    printed = say_rate(figures.precision, decimals)
    if found:
        recomputed, whole = printed, f"{found[0]} correct out of {say_range(found[1])} predictions"
        yield Finding("precision", place, printed, printed, True, f"Precision {printed} is {whole}.")
        return
    near = max(hits[0], round(hits[0] / figures.precision)) if figures.precision else total
    recomputed = say_rate(hits[0] / near if near else 0.0, decimals)
    sentence = (
        f"No whole number of predictions gives precision {printed} with {hits[0]} correct; {near} give {recomputed}."
    )
    yield Finding("precision", place, printed, recomputed, False, sentence)


def _check_support(report: PrintedReport) -> Iterator[Finding]:
    total = sum(figures.support for figures in report.classes.values())
    printed = {"accuracy": report.images, **{name: row.support for name, row in report.averages.items()}}
    for name, count in printed.items():
        if count is not None:
            ok = count == total
            sentence = f"The classes have {total} images together" + ("." if ok else f", not {count} as printed.")
            yield Finding("support", f"{report.name}, {name}", str(count), str(total), ok, sentence)


def _check_accuracy(report: PrintedReport) -> Iterator[Finding]:
    """Accuracy is the mean of the recalls, weighted by support."""
    if report.accuracy is None:
        return
    total = sum(figures.support for figures in report.classes.values())
    ranges = [possible_hits(figures, report.decimals) for figures in report.classes.values()]
    printed = say_rate(report.accuracy, report.decimals)
    if not total or not all(ranges):
        sentence = f"Accuracy {printed} cannot be checked: no whole number of images gives one of the recalls."
        yield Finding("accuracy", report.name, printed, "", None, sentence)
        return
    low, high = sum(hits[0] for hits in ranges), sum(hits[-1] for hits in ranges)
    half = half_unit(report.decimals)
    right = [
        count for count in (*range(low, min(high, low + 10_000)), high) if abs(count / total - report.accuracy) <= half
    ]
    recomputed = say_rate((right or [low])[0] / total, report.decimals)
    sentence = (
        f"Accuracy {printed} is {say_range(right)} of {total} images, in agreement with the recalls."
        if right
        else f"Accuracy is printed as {printed}, but the recalls add up to {low} of {total} images, {recomputed}."
    )
    yield Finding("accuracy", report.name, printed, recomputed, bool(right), sentence)


def _check_average(report: PrintedReport, name: str) -> Iterator[Finding]:
    supports = np.array([figures.support for figures in report.classes.values()], dtype=float)
    if name == "macro avg" or not supports.sum():
        supports = np.ones(len(supports))
    for rate, rate_name in RATE_NAMES.items():
        value = float(np.average([getattr(figures, rate) for figures in report.classes.values()], weights=supports))
        figure = getattr(report.averages[name], rate)
        ok = abs(value - figure) <= 2 * half_unit(report.decimals)  # the classes' own rounding, and that of their mean
        printed, recomputed = say_rate(figure, report.decimals), say_rate(value, report.decimals)
        kind = "mean" if name == "macro avg" else "mean weighted by support"
        what = f"The {kind} of the classes' {rate_name}"
        sentence = f"{what} is {printed}." if ok else f"{what} is {recomputed}, not {printed} as printed."
        yield Finding("average", f"{report.name}, {name}, {rate_name}", printed, recomputed, ok, sentence)


def _check_matrices(report: PrintedReport, margins: list[Margins] | None) -> Finding:
    """Is there a confusion matrix of whole numbers that gives all printed figures at once?"""
    if margins is None:
        sentence = "The printed decimals leave too many confusion matrices to try them all."
        return Finding("matrix", report.name, "", "", None, sentence)
    matrices, complete = list_matrices(report, margins)
    count = f"{len(matrices):,}" if complete else f"more than {len(matrices):,}"
    if not len(matrices):
        sentence = "No confusion matrix of whole numbers gives all printed figures at once."
        return Finding("matrix", report.name, "", count, False, sentence)
    if complete and len(matrices) == 1:
        sentence = "Exactly one confusion matrix gives all printed figures"
    else:
        sentence = f"There are {count} confusion matrices that give all printed figures"
    sentence += f": {_say_errors(matrices, list(report.classes))}." if complete else "."
    return Finding("matrix", report.name, "", count, True, sentence)


def _count_predictions(report: PrintedReport, margins: list[Margins]) -> Iterator[Finding]:
    """How often each class is predicted: the column sums of the confusion matrices that give all printed figures."""
    if not margins:
        return
    counts = [sorted(set(column)) for column in zip(*(each.predicted for each in margins), strict=True)]
    said = say_list([f"{say_range(column)} as {name}" for name, column in zip(report.classes, counts, strict=True)])
    is_one = all(each.predicted == margins[0].predicted for each in margins)
    subject = "Every confusion matrix that gives" if is_one else "The confusion matrices that give"
    sentence = f"{subject} all printed figures predict{'s' * is_one} {said}."
    yield Finding("predictions", report.name, "", ", ".join(map(say_range, counts)), None, sentence)


# -- all tables together ---------------------------------------------------------------------------


def _check_best(curves: PrintedCurves) -> Iterator[Finding]:
    if curves.best_val is None or not curves.val:
        return
    printed, best = say_rate(curves.best_val, curves.decimals), say_rate(max(curves.val), curves.decimals)
    ok = abs(max(curves.val) - curves.best_val) <= SLACK
    sentence = f"The best validation accuracy is {best}" + ("." if ok else f", not {printed} as printed.")
    yield Finding("best", curves.name, printed, best, ok, sentence)


def _compare_supports(reports: Sequence[PrintedReport]) -> list[Finding]:
    """Are all models tested on the same number of images per class?"""
    if len(reports) < 2:
        return []
    counts = [{name: figures.support for name, figures in report.classes.items()} for report in reports]
    texts = [", ".join(f"{name} {count}" for name, count in each.items()) for each in counts]
    ok = all(each == counts[0] for each in counts)
    sentence = "All models are tested on the same number of images per class."
    if not ok:
        sentence = "The models are tested on different numbers of images, so that their tables cannot be compared."
    return [Finding("support", "all reports", " | ".join(dict.fromkeys(texts)), texts[0], ok, sentence)]


def _harmonic_mean(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _say_errors(matrices: np.ndarray, names: list[str]) -> str:
    """How many images of each class are predicted as another: the range over all matrices, without empty cells."""
    low, high = matrices.min(axis=0), matrices.max(axis=0)
    cells = [
        f"{say_range(sorted({int(low[row, column]), int(high[row, column])}))} {names[row]} as {names[column]}"
        for row in range(len(names))
        for column in range(len(names))
        if row != column and high[row, column]
    ]
    return ", ".join(cells) or "no error at all"
