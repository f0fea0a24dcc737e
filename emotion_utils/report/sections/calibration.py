"""Sentences and tables on what the figures are worth: intervals, differences, calibration, caution. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.calibration import COVERAGE, TEMPERATURES
from emotion_utils.evaluation.comparison import difference_intervals
from emotion_utils.evaluation.statistics import (
    ALPHA,
    LEVEL,
    POWER,
    detectable_difference,
    fewest_images,
    percentile_interval,
    wilson_interval,
)
from emotion_utils.figures.calibration import plot_reliability, plot_risk
from emotion_utils.figures.style import figure_svg, model_colors
from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, html_table, safe, safe_model, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import MINUS, MISSING, rate, with_interval

WIDTH_PX = 250
ROWS_TOGETHER = 12  # of two lines each, that fit on a page with something else

# -- sentences -------------------------------------------------------------------------------------


def tell_power(results: Results) -> Prose:
    """The smallest difference that this test set can show."""
    prose = Prose(results, "metrics")
    if results.pairs.empty:
        return prose
    fewest, count = fewest_images(), results.test_size
    if fewest > count:
        prose.say(
            "{count:count} test images are too few to show any difference: {fewest:count} on which only one of two "
            "models is right would be needed.", count=count, fewest=fewest, comparison="power",
        )  # fmt: skip
        return prose
    prose.say(
        "A difference of less than {floor:points} cannot be shown on {count:count} test images at all: a model must "
        "be right on at least {fewest:count} of them where the other is not.",
        floor=fewest / count, count=count, fewest=fewest, comparison="power",
    )  # fmt: skip
    prose.say(
        "{table} has for each pair the interval of the difference, and the true difference that such a test would "
        "show in {power:pct0} of the cases.", table=Ref("tbl-differences"), power=POWER, comparison="power",
    )  # fmt: skip
    return prose


def tell_trust(results: Results) -> Prose:
    """Does a model know when it does not know?"""
    prose = Prose(results, "confidence")
    prose.say(
        "A probability keeps its promise if, of the answers given with it, just that share is right; {figure} and "
        "{table} compare the two.", figure=Ref("fig-reliability"), table=Ref("tbl-calibration"),
    )  # fmt: skip
    for model in results.models:
        prose.item()
        _say_calibration(prose, model)
        _say_caution(prose, model)
    prose.paragraph()
    prose.say(
        "A model that may answer unsure errs less often in what it does answer; {figure} shows how much less for every "
        "share of answers.", figure=Ref("fig-risk"),
    )  # fmt: skip
    return prose


def _say_calibration(prose: Prose, model: str) -> None:
    found, count = prose.results.calibrations[model], prose.results.test_size
    low, high = wilson_interval(found.right, count)
    accuracy = found.right / count
    values = {"model": Model(model), "confidence": found.confidence, "accuracy": accuracy, "low": low, "high": high}
    if low <= found.confidence <= high:
        ending = "which its interval ({low:pct} to {high:pct}) allows to be the same"
    else:
        ending = f"{{gap:points}} {'fewer' if found.confidence > accuracy else 'more'}, so it is too "
        ending += "sure of itself" if found.confidence > accuracy else "little sure of itself"
        values["gap"] = abs(found.confidence - accuracy)
    prose.say(
        "On average {model} gives its answer {confidence:pct} and is right in {accuracy:pct} of the cases, " + ending
        + ".", metric="calibration", **values,
    )  # fmt: skip
    prose.say(
        "The temperature {temperature:rate}, fitted on validation images, takes its calibration error from "
        "{ece:rate} to {after:rate}.",
        temperature=found.temperature, ece=found.ece, after=found.ece_after, metric="ece",
    )  # fmt: skip


def _say_caution(prose: Prose, model: str) -> None:
    found = prose.results.cautions[model]
    if not found.answered:
        prose.say(
            "Below {threshold:rate} it would say unsure, and on the test images never be sure.",
            threshold=found.threshold,
        )
        return
    low, high = wilson_interval(found.right, found.answered)
    prose.say(
        "If it says unsure below {threshold:rate}, it answers {answered:count} of {count:count} test images and is "
        "right in {share:pct} of these ({low:pct} to {high:pct}).",
        threshold=found.threshold, answered=found.answered, count=found.count, share=found.right / found.answered,
        low=low, high=high, metric="selective accuracy",
    )  # fmt: skip


# -- figures ---------------------------------------------------------------------------------------


def reliability_figure(results: Results) -> Shown:
    """Accuracy over confidence of each model, a panel each."""
    panels, colors = [], model_colors(results.models)
    for number, model in enumerate(results.models):
        found, label = results.calibrations[model], results.label(model)
        read = "; ".join(
            f"at {row.confidence:.2f} right in {row.accuracy:.2f} of {row.count}" for row in found.bins.itertuples()
        )
        figure = plot_reliability(found.bins, found.bins_after, label, colors[model])
        panels.append(figure_svg(figure, f"reliability-{number}", f"Reliability of {label}: {read}."))
    caption = (
        "How often answers are right, by the probability that they were given with; on the diagonal the two agree. "
        f"Dots with {LEVEL:.0%} intervals show the probabilities as they are, crosses those at the fitted temperature."
    )
    return show_figure(results, "fig-reliability", panels, caption, columns=3, width_px=WIDTH_PX)


def risk_figure(results: Results) -> Shown:
    """Share of wrong answers over the share of images that are answered."""
    labels = {model: results.label(model) for model in results.models}
    ends = "; ".join(
        f"{labels[model]} {found.risk[-1]:.3f} of all, {found.risk[len(found.risk) // 2]:.3f} of the surer half"
        for model, found in results.cautions.items()
    )
    svg = figure_svg(plot_risk(results.cautions, labels), "risk", f"Lines of the share of wrong answers: {ends}.")
    caption = "Share of wrong answers among the surest ones, by how many of the test images are answered."
    return show_figure(results, "fig-risk", [svg], caption, columns=1, width_px=560)


# -- tables ----------------------------------------------------------------------------------------


def intervals_table(results: Results) -> Shown:
    """Recall and F1 of each model and class, with their intervals; a row per class, a column per model."""
    rows = []
    for place, name in enumerate(results.class_names):
        recall, f1 = [safe(name), "recall"], [safe(name), "F1"]
        for model, counts in results.confusions.items():
            hits, support = int(counts.iat[place, place]), int(counts.iloc[place].sum())
            recall.append(with_interval(hits / support, wilson_interval(hits, support)) if support else MISSING)
            value = float(results.reports[model]["f1-score"].iloc[place])
            f1.append(with_interval(value, percentile_interval(results.resampled[model][1][:, place])))
        rows += [recall, f1]
    head = ("Class", "Rate", *(safe_model(results, model) for model in results.models))
    note = f"In brackets: {LEVEL:.0%} intervals, Wilson's for the recall, bootstrap over test images for F1."
    caption = "Recall and F1 of each class on the test split."
    table = html_table(head, [rows], words=(0, 1))
    return show_table(results, "tbl-intervals", table, caption, note, may_break=len(rows) > ROWS_TOGETHER)


def differences_table(results: Results) -> Shown:
    """Each pair of models: how far their accuracies and F1 are apart, and what the test could show. Empty for one."""
    if results.pairs.empty:
        return Shown("")
    rows, alpha = [], ALPHA / len(results.pairs)
    for pair, interval in zip(
        results.pairs.itertuples(), difference_intervals(results.resampled).itertuples(), strict=True
    ):
        share = (pair.only_a + pair.only_b) / results.test_size
        shown = detectable_difference(results.test_size, share, alpha)
        f1 = [results.reports[model].at["macro avg", "f1-score"] for model in (pair.model_a, pair.model_b)]
        rows.append([
            safe_model(results, pair.model_a), safe_model(results, pair.model_b),
            _points(pair.difference, interval.accuracy_low, interval.accuracy_high),
            _points(f1[0] - f1[1], interval.f1_low, interval.f1_high),
            f"{100 * share:.1f}", MISSING if shown is None else f"{100 * shown:.1f}",
        ])  # fmt: skip
    head = ("A", "B", f"Accuracy, A {MINUS} B", f"Macro F1, A {MINUS} B", "Only one right", "Could be shown")
    caption = "Differences between models on the test split, in points (hundredths)."
    note = (
        f"In brackets: {LEVEL:.0%} intervals, bootstrap over the same test images for both. The last column is the "
        f"smallest true difference that the exact test, adjusted for all pairs, shows in {POWER:.0%} of such test sets "
        f"where only one model is right as often as here; {MISSING}: none."
    )
    return show_table(results, "tbl-differences", html_table(head, [rows], words=(0, 1)), caption, note)


def calibration_table(results: Results) -> Shown:
    """Temperature, calibration error and Brier score before and after it, and what an unsure answer gains."""
    rows = []
    for model in results.models:
        found, caution = results.calibrations[model], results.cautions[model]
        answered = MISSING
        if caution.answered:
            interval = wilson_interval(caution.right, caution.answered)
            answered = with_interval(caution.right / caution.answered, interval)
        rows.append([
            safe_model(results, model), rate(found.temperature, 2),
            with_interval(found.ece, (found.ece_low, found.ece_high)),
            with_interval(found.ece_after, (found.ece_after_low, found.ece_after_high)),
            rate(found.brier), rate(found.brier_after), rate(caution.area), f"{caution.answered:,}", answered,
        ])  # fmt: skip
    low, high = TEMPERATURES
    head = ("Model", "T", "ECE", "ECE at T", "Brier", "Brier at T", "Risk", "Sure", "Right where sure")
    caption = "Probabilities and caution on the test split."
    note = (
        f"T: temperature within {low:g} to {high:g}, fitted on validation images. ECE: expected calibration error in "
        "ten bins, in brackets its "
        f"{LEVEL:.0%} bootstrap interval, which leans upwards. Risk: the mean share of wrong answers over all shares "
        f"of answers, the surest first. Sure: test images with a probability that {COVERAGE:.0%} of the validation "
        "images reach."
    )
    return show_table(results, "tbl-calibration", html_table(head, [rows]), caption, note)


def _points(value: float, low: float, high: float) -> str:
    shown = f'{100 * value:+.1f}<br><span class="interval">[{100 * low:+.1f}, {100 * high:+.1f}]</span>'
    return shown.replace("-", MINUS)  # no hyphen stands in the markup
