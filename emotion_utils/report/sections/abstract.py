"""The abstract, a page for whoever reads no other: the question, the answer, a figure, what limits it. No torch."""

from __future__ import annotations

from emotion_utils.report.claims import Label, Model
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.architectures import say_scope
from emotion_utils.report.sections.data import count_splits
from emotion_utils.report.sections.differences import say_floor
from emotion_utils.report.sections.metrics import say_accuracies, say_chance, write_verdict
from emotion_utils.report.sections.seeds import say_seeds
from emotion_utils.report.sections.shortcuts import say_largest_strata


def write_question(results: Results) -> Prose:
    """What is compared, and on which images."""
    prose = Prose(results, "abstract")
    models = [Model(model) for model in results.models]
    they, have, are = ("They distinguish", "were", "were") if len(models) > 1 else ("It distinguishes", "was", "was")
    if len(models) > 1:
        prose.say(
            "This report compares {count:words} networks that recognise the emotion in a face: {models}.",
            count=len(models), models=models,
        )  # fmt: skip
    else:
        prose.say(
            "This report trains and tests a network that recognises the emotion in a face, {models}.", models=models
        )
    counts = count_splits(results)
    prose.say(
        f"{they} {{k:words}} classes ({{classes}}), {have} trained on {{train:count}} images and {are} tested on "
        "{test:count} others.",
        k=len(results.class_names), classes=[Label(name) for name in results.class_names],
        train=counts["train"], test=counts["test"],
    )  # fmt: skip
    return prose


def write_answer(results: Results) -> Prose:
    """The accuracies with their intervals, and which of them differ."""
    prose = Prose(results, "abstract")
    say_accuracies(prose)
    say_chance(prose)
    say_largest_strata(prose)
    prose.echo(write_verdict(results).claims)
    return prose


def write_limits(results: Results) -> Prose:
    """What the answer says nothing about."""
    prose = Prose(results, "abstract")
    say_scope(prose)
    say_seeds(prose)
    say_floor(prose)
    return prose
