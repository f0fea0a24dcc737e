"""The report's generated text, section by section, from the figures of one run. No torch."""

from __future__ import annotations

from collections.abc import Callable

from emotion_utils.evaluation.statistics import ALPHA, LEVEL
from emotion_utils.report.claims import Claim, Label, Model
from emotion_utils.report.exhibits import Shown
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.calibration import tell_power, tell_trust
from emotion_utils.report.sections.classification import tell_challenges, tell_classes, tell_curves
from emotion_utils.report.sections.corruptions import tell_worse
from emotion_utils.report.sections.creative import tell_images, tell_looks, tell_question
from emotion_utils.report.sections.data import count_splits, say_weights, tell_architectures, tell_data
from emotion_utils.report.sections.metrics import say_accuracies, tell_metrics, tell_published, tell_verdict
from emotion_utils.report.sections.published_audit import tell_audit
from emotion_utils.report.sections.seeds import say_seeds, tell_seeds


def tell_abstract(results: Results) -> Prose:
    prose = Prose(results, "abstract")
    models = [Model(model) for model in results.models]
    they, have, are = ("They tell", "have", "are") if len(models) > 1 else ("It tells", "has", "is")
    if len(models) > 1:
        prose.say(
            "This report compares {count:words} networks that name the emotion on a face: {models}.",
            count=len(models), models=models,
        )  # fmt: skip
    else:
        prose.say("This report trains a network, {models}, to name the emotion on a face, and tests it.", models=models)
    counts = count_splits(results)
    prose.say(
        f"{they} {{k:words}} classes apart ({{classes}}), {have} learned from {{train:count}} images and {are} "
        "tested on {test:count} others.",
        k=len(results.class_names), classes=[Label(name) for name in results.class_names],
        train=counts["train"], test=counts["test"],
    )  # fmt: skip
    say_accuracies(prose)
    prose.echo(tell_verdict(results).claims)
    prose.paragraph()
    say_weights(prose)
    say_seeds(prose)
    return prose


def tell_rule(results: Results) -> Prose:
    """How the report decides; it stands before every result."""
    prose = Prose(results, "introduction")
    prose.say("The rates of counted images come with their {level:pct0} interval.", level=LEVEL)
    if len(results.models) > 1:
        prose.say(
            "Two models differ only if the exact McNemar test on the same test images, adjusted by Holm for all "
            "pairs, gives a p-value of {alpha:plain} or less; otherwise they cannot be told apart.",
            alpha=ALPHA, comparison="rule",
        )  # fmt: skip
    prose.say("Validation images choose the epoch of each model; having chosen, they no longer judge.")
    return prose


def _say_openings(prose: Prose) -> None:
    """How often the test images were opened: each time is a chance to choose by them."""
    openings = prose.results.openings
    if not openings:
        prose.say("No record tells how often the test images were opened.")
        return
    readers = list(dict.fromkeys(openings))
    prose.say(
        "The test images were opened {times:times} in this run ({readers}); nothing was chosen by them.",
        times=len(openings), readers=readers, comparison="ledger",
    )  # fmt: skip


def tell_conclusion(results: Results) -> Prose:
    prose = Prose(results, "conclusion")
    say_accuracies(prose)
    prose.echo(tell_verdict(results).claims)
    prose.paragraph()
    say_weights(prose)
    say_seeds(prose)
    prose.say(
        "With {test:count} test images, a single one moves an accuracy by {step:points}.",
        test=results.test_size, step=1 / results.test_size,
    )  # fmt: skip
    _say_openings(prose)
    return prose


SECTIONS: dict[str, Callable[[Results], Prose]] = {
    "abstract": tell_abstract,
    "rule": tell_rule,
    "data": tell_data,
    "architectures": tell_architectures,
    "curves": tell_curves,
    "classes": tell_classes,
    "challenges": tell_challenges,
    "metrics": tell_metrics,
    "seeds": tell_seeds,
    "power": tell_power,
    "trust": tell_trust,
    "worse": tell_worse,
    "published": tell_published,
    "creative": tell_images,
    "looks": tell_looks,
    "question": tell_question,
    "conclusion": tell_conclusion,
    "audit": tell_audit,
}


def show_text(results: Results, section: str) -> Shown:
    """The generated text of one of SECTIONS."""
    return SECTIONS[section](results).show()


def collect_claims(results: Results) -> list[Claim]:
    """Every generated sentence of the report, in its order."""
    return [claim for tell in SECTIONS.values() for claim in tell(results).claims]
