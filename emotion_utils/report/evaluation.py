"""What the page of an evaluation says and shows: one model on images that it has never seen. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from emotion_utils.evaluation.calibration import probs_and_labels, reliability
from emotion_utils.evaluation.metrics import confusion, count_correct
from emotion_utils.evaluation.statistics import LEVEL
from emotion_utils.evaluation.unseen_metrics import MACRO_F1, RATES
from emotion_utils.figures.calibration import plot_reliability
from emotion_utils.figures.results import matrix_side_in, plot_matrix
from emotion_utils.figures.style import figure_svg, model_colors
from emotion_utils.report.claims import Claim, Label, Model, Ref
from emotion_utils.report.data_tables import quarantine_table
from emotion_utils.report.exhibits import Shown, show_figure, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.sections.majority import say_majority
from emotion_utils.report.sections.metrics import is_most_frequent, learned_nothing, majority
from emotion_utils.report.tables import Estimate, Figures, frame_of
from emotion_utils.sources.layouts import VOTES

if TYPE_CHECKING:
    from emotion_utils.evaluation.evaluate import Evaluation

CSS_PX_PER_IN = 96
RATE_TITLES = dict(zip(RATES, ("Precision", "Recall", "F1"), strict=True))


@dataclass(frozen=True)
class EvaluationResults:
    """An evaluation and its metrics (`unseen_metrics.tabulate_metrics`), as the page shows them."""

    evaluation: Evaluation
    data_name: str
    metrics: pd.DataFrame

    @property
    def model(self) -> str:
        return self.evaluation.model

    @property
    def proxies(self) -> list[str]:
        """The model, where it rests on proxy weights."""
        return [self.model] if self.evaluation.card["provenance"]["kind"] == "proxy" else []

    @cached_property
    def exhibits(self) -> dict[str, str]:
        tables = ["tbl-metrics", *["tbl-aside"] * bool(self.aside), "tbl-classes", *["tbl-strata"] * bool(self.strata)]
        figures = ["fig-confusion", "fig-reliability"]
        return {key: f"Table {number}" for number, key in enumerate(tables, start=1)} | {
            key: f"Figure {number}" for number, key in enumerate(figures, start=1)
        }

    @property
    def aside(self) -> int:
        """Images that were set aside."""
        return self.evaluation.audit["quarantined"]

    @property
    def persons(self) -> int:
        """Persons that are known by name."""
        return int(self.metrics["persons"].iloc[0])

    @cached_property
    def strata(self) -> list[str]:
        return [name for name in self.metrics["stratum"].unique() if name]

    def estimate(self, metric: str, class_name: str = "", stratum: str = "") -> Estimate | None:
        """A metric with its interval; None where it was not measured."""
        found = self.metrics[
            (self.metrics["metric"] == metric)
            & (self.metrics["class"] == class_name)
            & (self.metrics["stratum"] == stratum)
        ]
        return Estimate(*found[["value", "low", "high"]].iloc[0].astype(float)) if len(found) else None


# -- sentences -------------------------------------------------------------------------------------


def write_result(results: EvaluationResults) -> Prose:
    """What the model reaches, and whether that is more than guessing."""
    prose = Prose(results, "result")
    predictions = results.evaluation.predictions
    accuracy, macro = results.estimate("accuracy"), results.estimate(MACRO_F1)
    prose.say(
        "{model} is right on {right:count} of {count:count} images that it has never seen, or {rate:pct} ({level:pct0} "
        "interval {low:pct} to {high:pct}); its macro F1 is {f1:rate} ({f1_low:rate} to {f1_high:rate}).",
        model=Model(results.model), right=count_correct(predictions), count=len(predictions), rate=accuracy.value,
        level=LEVEL, low=accuracy.low, high=accuracy.high, f1=macro.value, f1_low=macro.low, f1_high=macro.high,
        metric="accuracy",
    )  # fmt: skip
    by_person = results.estimate("accuracy per person")
    if by_person:
        prose.say(
            "If each person counts once, however many images there are, that is {rate:pct} ({low:pct} to {high:pct}).",
            rate=by_person.value, low=by_person.low, high=by_person.high, metric="accuracy per person",
        )  # fmt: skip
    label, share = majority(predictions["label"])
    guess = (
        "Always predicting {label}" if is_most_frequent(predictions["label"], label) else "Always predicting one class"
    )
    guess += " would be right on {share:pct}"
    if learned_nothing(count_correct(predictions), len(predictions), share) or accuracy.low <= share:
        guess += ", which the interval reaches: this alone does not show that the model tells these images apart"
    prose.say(guess + ".", label=Label(label), share=share)
    prose.say("{table} has all figures.", table=Ref("tbl-metrics"))
    prose.paragraph()
    prose.echo(_against_majority(results))
    return prose


def write_data(results: EvaluationResults) -> Prose:
    """Which images count, which do not, and how they were prepared."""
    prose, found = Prose(results, "data"), results.evaluation
    audit = found.audit
    prose.say(
        "Of {images:count} images of {classes} in {data}, {kept:count} are evaluated.",
        images=audit["images"], classes=[Label(name) for name in audit["classes"]], data=results.data_name,
        kept=audit["kept"],
    )  # fmt: skip
    if results.aside:
        prose.say("{table} gives the reasons for the others.", table=Ref("tbl-aside"))
    for claim in (*_matched_classes(prose), *_several_views(prose), *_seen_images(prose)):
        prose.say(claim.template, **claim.values)
    prose.paragraph()
    size = found.card["input"]["size_px"]
    faces = audit["faces"]
    cut = "{cut:count} of them were cut to their face" if faces["cropped"] else "none of them had to be cut to its face"
    prose.say(
        f"The images were prepared as for training: {cut}, and all have {{size:count}} px.",
        size=size, cut=faces["cropped"],
    )  # fmt: skip
    if found.card["input"].get("colour") == "grey":
        prose.say("The model knows grey images alone: colour is turned to grey.")
    if results.persons:
        prose.say("The images show {persons:count} persons whom the data tell apart.", persons=results.persons)
    else:
        prose.say("The data do not tell persons apart, so each image counts as one of a person of its own.")
    if faces["missed"]:
        prose.say(
            "In {missed:count} of the {images:count} no face was found; these are taken whole.",
            missed=faces["missed"], images=audit["images"],
        )  # fmt: skip
    return prose


def write_caveat(results: EvaluationResults) -> Prose:
    prose = Prose(results, "limits")
    prose.say(
        "A model predicts what annotators saw in an image, not what a person feels, and labels of other data may "
        "follow other rules: a difference from its own test images is one of the images and of their labels together."
    )
    return prose


def list_lines(results: EvaluationResults) -> list[str]:
    """What the terminal says of the evaluation, a line each."""
    prose = Prose(results, "data")
    predictions, accuracy = results.evaluation.predictions, results.estimate("accuracy")
    who = f" of {results.persons:,} persons" if results.persons else ""
    figures = [("accuracy", accuracy), ("macro F1", results.estimate(MACRO_F1))]
    figures.append(("calibration error", results.estimate("calibration error")))
    shown = ", ".join(f"{name} {each.value:.3f} ({each.low:.3f} to {each.high:.3f})" for name, each in figures)
    return [
        f"{results.model} on {results.data_name}: {len(predictions):,} images{who}, classes "
        f"{', '.join(results.evaluation.class_names)}",
        shown,
        *(
            f"{name}: accuracy {each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
            for name, each in _by_stratum(results)
        ),
        *(claim.text for claim in (*_matched_classes(prose), *_several_views(prose))),
        *(claim.text for claim in (*_seen_images(prose), *_against_majority(results)[-1:])),
    ]


def _matched_classes(prose: Prose) -> Iterator[Claim]:
    """In one sentence, classes of the data that are left out, and classes of the model that do not occur."""
    found = prose.results.evaluation
    parts, values = [], {}
    if found.others:
        counts = sum(found.others.values())
        parts.append("{others} of the data, which the model does not know, are left out ({count:count} images)")
        values |= {"others": [Label(name) for name in found.others], "count": counts}
    if found.absent:
        parts.append("{absent} of the model never occur")
        values["absent"] = [Label(name) for name in found.absent]
    if found.absent:
        parts.append("probabilities are renormalised to {common}")
        values["common"] = [Label(name) for name in found.class_names]
    if parts:
        yield Claim(prose.section, f"Classes: {'; '.join(parts)}.", values)


def _several_views(prose: Prose) -> Iterator[Claim]:
    """That answers are means over views of an image, where they are."""
    used = prose.results.evaluation.card.get("views", {}).get("used", 1)
    if used > 1:
        yield Claim(prose.section, "Probabilities are means over {views:count} views of each image.", {"views": used})


def _seen_images(prose: Prose) -> Iterator[Claim]:
    """In one sentence, which images the model has seen before."""
    found = prose.results.evaluation
    seen, known = found.seen, found.training
    if known.unknown:
        template = "Whether the model was trained on any of these images cannot be checked: {why}."
        yield Claim(prose.section, template, {"why": known.unknown})
    elif not sum(seen.values()):
        yield Claim(prose.section, "None of the images is one that the model was trained or chosen on.", {})
    else:
        template = (
            "Left out are {train:count} images that the model was trained on and {val:count} that chose its epoch, as "
            "the hashes of their files tell."
        )
        yield Claim(prose.section, template, dict(seen))


def _against_majority(results: EvaluationResults) -> list[Claim]:
    """Where people voted: what a majority is, and how often the model answers it; or that there is none."""
    prose, found = Prose(results, "result"), results.evaluation
    say_majority(prose, found.kept, found.class_names, {results.model: found.predictions}, found.kept["group"])
    if VOTES in found.kept and found.kept[VOTES].any() and not prose.claims:
        prose.say(
            "Votes on these images are not compared: none has a majority that is one of these classes, or the labels "
            "are these majorities."
        )
    return prose.claims


def _by_stratum(results: EvaluationResults) -> list[tuple[str, Estimate]]:
    return [(name, results.estimate("accuracy", stratum=name)) for name in results.strata]


# -- figures and tables ----------------------------------------------------------------------------


def metrics_table(results: EvaluationResults) -> Shown:
    """Every figure over all classes, with its interval."""
    titles = {
        "accuracy": "Accuracy", "accuracy per person": "Accuracy, each person once", "macro precision":
        "Macro precision", "macro recall": "Macro recall", MACRO_F1: "Macro F1", "mean confidence": "Mean confidence",
        "calibration error": "Calibration error", "brier score": "Brier score",
    }  # fmt: skip
    rows = [[title, found] for metric, title in titles.items() if (found := results.estimate(metric))]
    note = f"{interval_note(results)} The calibration error has ten bins, and its interval is biased upwards."
    caption = f"Metrics on {len(results.evaluation.predictions):,} images."
    return show_table(results, "tbl-metrics", frame_of(rows, ["Metric", "Value"]), caption, note)


def interval_note(results: EvaluationResults) -> str:
    """How the intervals were made."""
    if results.persons:
        how = "a bootstrap over persons, whose images are drawn together, or Wilson's for a share where that is wider"
    else:
        how = "Wilson's for shares, and a bootstrap over images for the rest"
    return f"In brackets: {LEVEL:.0%} intervals, {how}."


def aside_table(results: EvaluationResults) -> Shown:
    """Images per class, evaluated and set aside by reason. Empty where none was."""
    if not results.aside:
        return Shown()
    counts = quarantine_table(results.evaluation.manifest).rename(columns={"kept": "evaluated"})
    frame = counts.astype(int).rename_axis("Class").reset_index()
    caption = "Images that are evaluated, and those that are not by the reason."
    groups = [row < len(frame) - 1 for row in range(len(frame))]
    return show_table(results, "tbl-aside", frame, caption, "manifest.csv names each.", groups=groups)


def classes_table(results: EvaluationResults) -> Shown:
    """Precision, recall and F1 of each class."""
    support = results.evaluation.predictions["label"].value_counts()
    rows = [
        [name, *(results.estimate(metric, name) for metric in RATES), int(support[name])]
        for name in results.evaluation.class_names
    ]
    frame = frame_of(rows, ["Class", *RATE_TITLES.values(), "Images"])
    return show_table(results, "tbl-classes", frame, "Precision, recall and F1 of each class.", interval_note(results))


def confusion_figure(results: EvaluationResults) -> Shown:
    """The confusion matrix."""
    counts = confusion(results.evaluation.predictions, results.evaluation.class_names)
    rows = "; ".join(
        f"{label}: " + ", ".join(f"{count} as {name}" for name, count in row.items() if count)
        for label, row in counts.iterrows()
    )
    svg = figure_svg(plot_matrix(counts, results.model), "confusion", f"Confusion matrix. {rows}.")
    width = round(CSS_PX_PER_IN * matrix_side_in(len(counts)) * 1.1)
    caption = (
        "Confusion matrix: images of each label (rows) by predicted class (columns). The stronger the colour of a "
        "cell, the larger its share of the row; cells off the diagonal are mistakes."
    )
    return show_figure(results, "fig-confusion", [svg], caption, columns=1, width_px=width)


def reliability_figure(results: EvaluationResults) -> Shown:
    """Accuracy over confidence."""
    predictions = results.evaluation.predictions
    confidence = probs_and_labels(predictions, results.evaluation.class_names)[0].max(axis=1)
    bins = reliability(confidence, (predictions["label"] == predictions["predicted"]).to_numpy())
    read = "; ".join(
        f"at {row.confidence:.2f} correct in {row.accuracy:.2f} of {row.count}" for row in bins.itertuples()
    )
    figure = plot_reliability(bins, bins.head(0), results.model, model_colors([results.model])[results.model])
    svg = figure_svg(figure, "reliability", f"Reliability: {read}.")
    caption = (
        "Reliability diagram: accuracy by confidence, with Wilson's intervals; on the diagonal the two agree. The "
        "probabilities are as the model gives them."
    )
    return show_figure(results, "fig-reliability", [svg], caption, columns=1, width_px=250)


def strata_table(results: EvaluationResults) -> Shown:
    """Accuracy and macro F1 on all images and in each stratum. Empty without strata."""
    if not results.strata:
        return Shown()
    rows = []
    for name in ["", *results.strata]:
        part = results.metrics[(results.metrics["stratum"] == name) & (results.metrics["metric"] == "accuracy")].iloc[0]
        right = Figures(f"{round(part['value'] * part['images']):,} of {part['images']:,}")
        rows.append([
            name or "all", right, results.estimate("accuracy", stratum=name), results.estimate(MACRO_F1, stratum=name)
        ])  # fmt: skip
    frame = frame_of(rows, ["Images", "Correct", "Accuracy", "Macro F1"])
    caption = "Results on images that are alike."
    note = "Macro F1 is given where every class is there."
    return show_table(results, "tbl-strata", frame, caption, note, groups=[row[0] == "all" for row in rows])
