"""Differences between models: their intervals, and the smallest one that the test set can show. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.comparison import difference_intervals
from emotion_utils.evaluation.statistics import ALPHA, LEVEL, POWER, detectable_difference, fewest_images
from emotion_utils.report.claims import POWER as POWER_CLAIM
from emotion_utils.report.claims import RULE, Model, Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import MINUS, MISSING, Estimate, frame_of

SHOWN = {
    "accuracy": f"Accuracy, A{MINUS}B", "f1": f"Macro F1, A{MINUS}B", "share": "Only one correct",
    "detectable": "Minimum detectable difference",
}  # fmt: skip


def write_power(results: Results) -> Prose:
    """The smallest difference that this test set can show."""
    prose = Prose(results, "metrics")
    if results.pairs.empty:
        return prose
    say_floor(prose)
    if fewest_images() > results.test_size:
        return prose
    prose.say(
        "{table} gives for each pair the interval of the difference and the minimum detectable difference at a power "
        "of {power:pct0}.", table=Ref("tbl-differences"), power=POWER, comparison="power",
    )  # fmt: skip
    prose.say(
        "Accuracy decides, because its test was chosen before any result, is exact and is corrected for the number of "
        "pairs; the intervals of {macro} are not corrected and are too narrow on few images, so that one without zero "
        "shows no lead.", macro="macro F1", comparison=RULE,
    )  # fmt: skip
    return prose


def say_floor(prose: Prose) -> None:
    """The difference that so many test images need before it can be significant; nothing for a single model."""
    pairs, count, fewest = len(prose.results.pairs), prose.results.test_size, fewest_images()
    if not pairs:
        return
    if fewest > count:
        prose.say(
            "{count:count} test images are too few to show any difference: it takes {fewest:count} on which only one "
            "of two models is correct.", count=count, fewest=fewest, comparison=POWER_CLAIM,
        )  # fmt: skip
        return
    alone = ", even if it were the only one tested" if pairs > 1 else ""
    prose.say(
        f"On {{count:count}} test images, a difference of less than {{floor:points}} cannot be significant{alone}: a "
        "model must be correct on at least {fewest:count} images on which the other is not.",
        floor=fewest / count, count=count, fewest=fewest, comparison=POWER_CLAIM,
    )  # fmt: skip
    if pairs > 1:
        _say_corrected_floor(prose, pairs, count)


def _say_corrected_floor(prose: Prose, pairs: int, count: int) -> None:
    """The same under Holm's method, which multiplies the smallest p-value by the number of pairs."""
    fewest = fewest_images(ALPHA / pairs)
    values = {"pairs": pairs, "fewest": fewest, "comparison": POWER_CLAIM}
    if fewest > count:
        prose.say(
            "After Holm's correction for {pairs:words} pairs they are too few to show any: it takes {fewest:count}.",
            **values,
        )  # fmt: skip
    else:
        prose.say(
            "After Holm's correction for {pairs:words} pairs none is significant unless at least one is {floor:points} "
            "or more, {fewest:count} images.", floor=fewest / count, **values,
        )  # fmt: skip


def differences_table(results: Results) -> Shown:
    """Each pair of models: how far their accuracies and F1 are apart, and what the test could show. Empty for one."""
    if results.pairs.empty:
        return Shown()
    rows, alpha = [], ALPHA / len(results.pairs)
    intervals = difference_intervals(results.resampled)
    for pair, interval in zip(results.pairs.itertuples(), intervals.itertuples(), strict=True):
        models = (pair.model_a, pair.model_b)
        f1 = [results.reports[model].at["macro avg", "f1-score"] for model in models]
        share = (pair.only_a + pair.only_b) / results.test_size
        detectable = detectable_difference(results.test_size, share, alpha)
        rows.append([
            *map(Model, models),
            Estimate(100 * pair.difference, 100 * interval.accuracy_low, 100 * interval.accuracy_high),
            Estimate(100 * (f1[0] - f1[1]), 100 * interval.f1_low, 100 * interval.f1_high),
            100 * share, None if detectable is None else 100 * detectable,
        ])  # fmt: skip
    frame = frame_of(rows, ["A", "B", *SHOWN.values()])
    formats = {SHOWN["accuracy"]: "+.1f", SHOWN["f1"]: "+.1f", SHOWN["share"]: ".1f", SHOWN["detectable"]: ".1f"}
    caption = "Differences between models on the test split, in percentage points."
    note = (
        f"In brackets: {LEVEL:.0%} intervals, bootstrap over the same test images for both. Minimum detectable "
        f"difference: the smallest true difference that the exact test, corrected for all pairs, finds significant in "
        f"{POWER:.0%} of such test sets if only one model is correct as often as here; {MISSING}: none."
    )
    return show_table(results, "tbl-differences", frame, caption, note, formats=formats)
