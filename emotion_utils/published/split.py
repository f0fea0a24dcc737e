"""What printed accuracies reveal about the sets behind them: possible sizes, and what follows for the split.

An accuracy is a whole number of images over the size of the set: three decimals rule out most sizes. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from emotion_utils.published.finding import Finding, say_list, say_rate
from emotion_utils.published.integer_counts import MAX_DECIMALS, SLACK, attainable_sizes, half_unit
from emotion_utils.published.tables import PrintedCurves, PrintedReport, PrintedResults

MAX_NAMED_SIZES = 8  # sizes of a validation set that a sentence lists


def audit_split(results: PrintedResults) -> list[Finding]:
    """Sizes of the validation set that make all printed accuracies possible, and what they say about the split."""
    curves = [each for each in results.curves if each.val]
    if not curves:
        return []
    decimals = max(each.decimals for each in curves)
    sizes = attainable_sizes([rate for each in curves for rate in each.val], decimals)
    bound = 10 ** min(decimals, MAX_DECIMALS)
    many = f"{bound:,} images or more"
    if not sizes:
        sentence = (
            f"No validation set of fewer than {bound:,} images makes all printed validation accuracies possible: it "
            "is larger, models were validated on different ones, or the figures are means over batches."
        )
        return [Finding("validation size", "all models", "", many, None, sentence)]
    below = "is the only size" if len(sizes) == 1 else f"is the smallest of {len(sizes)} sizes"
    beyond = "always possible" if decimals <= MAX_DECIMALS else "not tried"
    sentence = (
        f"A validation set of {sizes[0]} images {below} below {bound:,} with which every printed validation accuracy "
        f"is a whole number of images ({_say_sizes(sizes)}; {many} are {beyond})."
    )
    findings = [Finding("validation size", "all models", "", _say_sizes(sizes), None, sentence)]
    totals = {sum(figures.support for figures in report.classes.values()) for report in results.reports}
    if len(totals) == 1:
        findings += _compare_test_size(results, sizes, totals.pop(), bound)
    return findings + _follow_shares(results, sizes[0])


def _compare_test_size(results: PrintedResults, sizes: list[int], tested: int, bound: int) -> list[Finding]:
    """Can the validation set be as large as the test set, and were the tested weights those of a printed epoch?"""
    if tested not in sizes and tested < bound:
        sentence = f"The validation set is not the test set: with its {tested} images some accuracies are impossible."
        return [Finding("test set", "all models", str(tested), _say_sizes(sizes), None, sentence)]
    others = [size for size in sizes if size != tested]
    sentence = f"The test set has {tested} images, which is one of the possible sizes of the validation set"
    if tested == sizes[0] and others:
        sentence += f", and the only one below {others[0]}: the two are of one size, or the validation set is larger"
    findings = [Finding("test set", "all models", str(tested), _say_sizes(sizes), None, sentence + ".")]
    return findings + [_find_tested_epoch(report, each) for report in results.reports for each in results.curves
                       if report.name == each.name and report.accuracy is not None and each.val]  # fmt: skip


def _find_tested_epoch(report: PrintedReport, curves: PrintedCurves) -> Finding:
    """The epochs whose validation accuracy the test accuracy would be, if both were the same images."""
    half = half_unit(curves.decimals) + half_unit(report.decimals)
    epochs = [number for number, rate in enumerate(curves.val, 1) if abs(rate - report.accuracy) <= half]
    best = max(curves.val)
    printed = say_rate(report.accuracy, report.decimals)
    match = f"the validation accuracy of epoch {say_list(epochs)}" if epochs else "the validation accuracy of no epoch"
    is_best = any(abs(curves.val[number - 1] - best) <= SLACK for number in epochs)
    sentence = f"Test accuracy {printed} is {match}"
    if not is_best:
        sentence += (
            f"; the best is {say_rate(best, curves.decimals)}. Were test and validation set the same images, the "
            "tested weights would not be those of the best epoch"
        )
    recomputed = say_list([f"epoch {number}" for number in epochs]) or "no epoch"
    return Finding("test set", report.name, printed, recomputed, None, sentence + ".")


def _follow_shares(results: PrintedResults, size: int) -> list[Finding]:
    """How much data there were, if the stated shares hold for the smallest possible validation set."""
    share = results.split.get("val")
    if not share:
        return []
    stated = ", ".join(f"{name} {value:.0%}" for name, value in results.split.items())
    total = round(size / share)
    sentence = f"With {share:.0%} of the data for validation, {size} images there mean about {total:,} in all."
    findings = [Finding("split", "all models", stated, str(total), None, sentence)]
    rest = 1 - sum(results.split.values())
    tested = {sum(figures.support for figures in report.classes.values()) for report in results.reports}
    if tested and "test" not in results.split and rest < SLACK:
        sentence = (
            f"The stated shares ({stated}) leave no image for a test set, yet {max(tested)} are reported: they were "
            "validated on as well, or come on top of the data described."
        )
        findings.append(Finding("split", "all models", stated, str(max(tested)), None, sentence))
    return findings


def _say_sizes(sizes: Sequence[int]) -> str:
    more = f" and {len(sizes) - MAX_NAMED_SIZES} more" if len(sizes) > MAX_NAMED_SIZES else ""
    return ", ".join(map(str, sizes[:MAX_NAMED_SIZES])) + more
