"""Challenges in training: time, and what went wrong. No torch."""

from __future__ import annotations

import pandas as pd

from emotion_utils.events import COLUMNS, TROUBLE, event_sentences
from emotion_utils.report.claims import Label, Model, Ref
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.metrics import majority
from emotion_utils.report.sections.training import LEAST_RISE, LOSS_RISE, RISING_EPOCHS, read_curve
from emotion_utils.report.tables import frame_of


def write_challenges(results: Results) -> Prose:
    prose = Prose(results, "challenges")
    _say_collapse(prose)
    _say_guessing(prose)
    prose.paragraph()
    seconds = {model: float(history["seconds"].sum()) for model, history in results.histories.items()}
    slowest = max(seconds, key=seconds.__getitem__)
    prose.say(
        "Training took {total:duration} in all, {longest:duration} of it for {model} ({table})."
        if len(seconds) > 1 else "Training took {total:duration} ({model}, {table}).",
        total=sum(seconds.values()), longest=seconds[slowest], model=Model(slowest), table=Ref("tbl-events"),
    )  # fmt: skip
    kinds = {event["kind"] for events in results.events.values() for event in events}
    if not kinds & set(TROUBLE):
        prose.say("No training was disturbed: memory sufficed, no step had to be skipped, and no model stopped early.")
    _say_overfitting(prose)
    for model in results.models:
        _say_events(prose, model)
    return prose


def _say_collapse(prose: Prose) -> None:
    """The models that give one answer whatever they see: what training failed at most."""
    results = prose.results
    for model in results.models:
        answers = pd.concat([results.vals[model], results.tests[model]])
        if answers["predicted"].nunique() == 1 and answers["label"].nunique() > 1:
            prose.say(
                "The main challenge is that {model} collapsed: it predicts {label} for all {count:count} validation "
                "and test images.", model=Model(model), label=Label(answers["predicted"].iloc[0]), count=len(answers),
                comparison="collapse",
            )  # fmt: skip


def _say_guessing(prose: Prose) -> None:
    """The models whose validation accuracy never exceeds that of a constant answer."""
    held_out = prose.results.kept[prose.results.kept["split"] == "val"]
    _, share = majority(held_out["label"])
    best = {model: read_curve(history) for model, history in prose.results.histories.items()}
    poor = [Model(model) for model, curve in best.items() if curve is not None and curve.best <= share]
    if poor:
        verb = "do" if len(poor) > 1 else "does"
        prose.say(
            f"In validation {{models}} {verb} not exceed {{share:pct}}, the accuracy of a constant answer, in any "
            "epoch.", models=poor, share=share, comparison="not above guessing",
        )  # fmt: skip


def _say_overfitting(prose: Prose) -> None:
    curves = {model: read_curve(history) for model, history in prose.results.histories.items()}
    diverging = {model: curve for model, curve in curves.items() if curve is not None and curve.diverges}
    steep = [Model(model) for model, curve in diverging.items() if curve.loss_rise > LOSS_RISE]
    slight = [Model(model) for model in diverging if model not in steep]
    overfitted = [model for model in steep if curves[model].overfits]
    if steep:
        prose.say(
            "The validation loss of {models} ends above its lowest value while the training loss has fallen; keeping "
            "the weights of the best epoch limits the damage.", models=steep,
        )  # fmt: skip
    if overfitted:
        verb = "overfit" if len(overfitted) > 1 else "overfits"
        prose.say(
            f"{{models}} {verb}: that holds for {{epochs:words}} or more epochs.", models=overfitted,
            epochs=RISING_EPOCHS,
        )  # fmt: skip
    if slight:
        prose.say(
            "The validation loss of {models} ends slightly above its lowest value, by {least:pct0} to {most:pct0}, "
            "while the training loss has fallen.", models=slight, least=LEAST_RISE, most=LOSS_RISE,
        )  # fmt: skip


def _say_events(prose: Prose, model: str) -> None:
    """An item for the model, where there is something to report."""
    prose.item()
    subject = "{model}"  # `It` from the second sentence on
    for template, values in event_sentences(prose.results.events[model]):
        prose.say(f"{subject} {template}", model=Model(model), **values)
        subject = "It"


def events_table(results: Results) -> Shown:
    """Epochs, time and speed of each model's training, and how often something went wrong."""
    rows = []
    for model, history in results.histories.items():
        kinds = [event["kind"] for event in results.events[model]]
        speed = history["images_per_second"].mean()
        counts = map(kinds.count, COLUMNS)
        rows.append([Model(model), len(history), history["seconds"].sum(), speed, *counts])
    names = ["Model", "Epochs", "Seconds", "Images per second", *COLUMNS.values()]
    frame = frame_of(rows, names)
    formats = dict.fromkeys(("Seconds", "Images per second"), ",.0f")
    return show_table(results, "tbl-events", frame, "Training times and incidents.", formats=formats)
