"""Calibration: are answers correct as often as their probability says, and does refusing unsure ones help? No torch."""

from __future__ import annotations

from emotion_utils.evaluation.calibration import COVERAGE, FOLDS, TEMPERATURES, Calibration
from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.figures.calibration import plot_reliability, plot_risk
from emotion_utils.figures.style import figure_svg, model_colors
from emotion_utils.report.claims import Model, Ref
from emotion_utils.report.exhibits import Shown, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Estimate, frame_of

WIDTH_PX = 250


# -- sentences -------------------------------------------------------------------------------------


def write_calibration(results: Results) -> Prose:
    prose = Prose(results, "confidence")
    prose.say(
        "A model is calibrated if, of the answers given with some probability, just that share is correct; {figure} "
        "and {table} compare the two.", figure=Ref("fig-reliability"), table=Ref("tbl-calibration"),
    )  # fmt: skip
    prose.say(
        "Whether a fitted temperature is used is decided on the validation images too: where it lowers the log loss of "
        "those that were held out from its fit, in {folds:words} folds.",
        folds=FOLDS,
    )  # fmt: skip
    prose.say(
        "A model may also reject predictions below a threshold: here the probability that {coverage:pct0} of the "
        "validation images reach.", coverage=COVERAGE,
    )  # fmt: skip
    for model in results.models:
        prose.item()
        _say_confidence(prose, model)
        _say_selective(prose, model)
    prose.paragraph()
    prose.say(
        "A model that answers only where it is confident should make fewer mistakes; {figure} shows its risk, the "
        "share of wrong answers, at every coverage, the share of images answered.", figure=Ref("fig-risk"),
    )  # fmt: skip
    return prose


def _say_confidence(prose: Prose, model: str) -> None:
    found, count = prose.results.calibrations[model], prose.results.test_size
    low, high = wilson_interval(found.right, count)
    accuracy = found.right / count
    values = {"model": Model(model), "confidence": found.confidence, "accuracy": accuracy, "low": low, "high": high}
    if low <= found.confidence <= high:
        ending = ", whose interval ({low:pct} to {high:pct}) includes the confidence"
    else:
        ending = f": it is {'over' if found.confidence > accuracy else 'under'}confident by {{gap:points}}"
        values["gap"] = abs(found.confidence - accuracy)
    prose.say(
        "The mean confidence of {model} is {confidence:pct}, its accuracy {accuracy:pct}" + ending + ".",
        metric="calibration", **values,
    )  # fmt: skip
    _say_temperature(prose, found)


def _say_temperature(prose: Prose, found: Calibration) -> None:
    """What temperature scaling does to the calibration error; a fit of no use to validation images is not used."""
    if found.at_bound:
        template = (
            "The validation images determine no temperature: the search runs to its bound ({temperature:rate}). It is "
            "not used; with it the calibration error on the test images would go from {ece:rate} to {after:rate}."
        )
    elif not found.helps:
        template = (
            "The temperature {temperature:rate} does not help held-out validation images and is not used; with it the "
            "calibration error on the test images would go from {ece:rate} to {after:rate}."
        )
    else:
        overlap = max(found.ece_low, found.ece_after_low) <= min(found.ece_high, found.ece_after_high)
        template = (
            "The temperature {temperature:rate}, fitted on validation images, is used and changes the calibration "
            "error on the test images from {ece:rate} to {after:rate}"
            + (", a difference within their intervals." if overlap else ".")
        )
    prose.say(template, temperature=found.temperature, ece=found.ece, after=found.ece_after, metric="ece")


def _say_selective(prose: Prose, model: str) -> None:
    found = prose.results.selective[model]
    if not found.answered:
        prose.say(
            "If it answers only from a probability of {threshold:rate} on, it answers no test image.",
            threshold=found.threshold,
        )
        return
    low, high = wilson_interval(found.right, found.answered)
    prose.say(
        "If it answers only from a probability of {threshold:rate} on, it answers {answered:count} of {count:count} "
        "test images, {share:pct} of them correctly ({low:pct} to {high:pct}).",
        threshold=found.threshold, answered=found.answered, count=found.count, share=found.right / found.answered,
        low=low, high=high, metric="selective accuracy",
    )  # fmt: skip


# -- figures and table -----------------------------------------------------------------------------


def reliability_figure(results: Results) -> Shown:
    """Accuracy over confidence of each model, a panel each."""
    panels, colors = [], model_colors(results.models)
    for number, model in enumerate(results.models):
        found, label = results.calibrations[model], results.label(model)
        read = "; ".join(
            f"at {row.confidence:.2f} correct in {row.accuracy:.2f} of {row.count}" for row in found.bins.itertuples()
        )
        after = found.bins_after if found.helps else found.bins_after.head(0)
        figure = plot_reliability(found.bins, after, label, colors[model])
        panels.append(figure_svg(figure, f"reliability-{number}", f"Reliability of {label}: {read}."))
    caption = (
        "Reliability diagrams: accuracy by confidence; on the diagonal the two agree. Dots with "
        f"{LEVEL:.0%} intervals show the probabilities as they are, crosses those at the fitted temperature where that "
        "is used."
    )
    return show_figure(results, "fig-reliability", panels, caption, columns=3, width_px=WIDTH_PX)


def risk_figure(results: Results) -> Shown:
    """Share of wrong answers over the share of images that are answered."""
    labels = {model: results.label(model) for model in results.models}
    ends = "; ".join(
        f"{labels[model]} {found.risk[-1]:.3f} of all, {found.risk[len(found.risk) // 2]:.3f} of the surer half"
        for model, found in results.selective.items()
    )
    svg = figure_svg(plot_risk(results.selective, labels), "risk", f"Lines of the share of wrong answers: {ends}.")
    caption = (
        "Risk-coverage curves: the share of wrong answers among those with the highest confidence, by the share of "
        f"test images answered. A marker stands at the probability that {COVERAGE:.0%} of the validation images reach."
    )
    return show_figure(results, "fig-risk", [svg], caption, columns=1, width_px=480)


def calibration_table(results: Results) -> Shown:
    """Temperature, calibration error and Brier score before and after it, and the accuracy of the surest answers."""
    rows = []
    for model in results.models:
        found, selective = results.calibrations[model], results.selective[model]
        accuracy = None
        if selective.answered:
            interval = wilson_interval(selective.right, selective.answered)
            accuracy = Estimate(selective.right / selective.answered, *interval)
        rows.append([
            Model(model), found.temperature, "yes" if found.helps else "no",
            Estimate(found.ece, found.ece_low, found.ece_high),
            Estimate(found.ece_after, found.ece_after_low, found.ece_after_high), found.brier, found.brier_after,
            selective.area, selective.answered, accuracy,
        ])  # fmt: skip
    names = ["Model", "T", "Used", "ECE", "ECE at T", "Brier", "Brier at T", "Risk", "Answered", "Accuracy of these"]
    frame = frame_of(rows, names)
    low, high = TEMPERATURES
    note = (
        f"T: temperature within {low:g} to {high:g}, fitted on validation images; not used at a bound, or where it "
        "does not lower the log loss of held-out validation images. ECE: expected calibration error in ten bins, in "
        f"brackets its {LEVEL:.0%} bootstrap interval, which is biased upwards. Brier: the Brier score. Risk: the area "
        f"under the risk-coverage curve. Answered: test images with a probability that {COVERAGE:.0%} of the "
        "validation images reach."
    )
    caption = "Calibration and selective prediction on the test split."
    return show_table(results, "tbl-calibration", frame, caption, note, formats={"T": ".2f"}, css="dense")
