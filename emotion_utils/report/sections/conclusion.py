"""The conclusion: the result again, and what limits it. No torch."""

from __future__ import annotations

from emotion_utils.report.claims import Ref
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results
from emotion_utils.report.sections.architectures import say_scope
from emotion_utils.report.sections.metrics import say_accuracies, say_chance, write_verdict
from emotion_utils.report.sections.seeds import say_seeds


def write_conclusion(results: Results) -> Prose:
    prose = Prose(results, "conclusion")
    say_accuracies(prose)
    say_chance(prose)
    prose.echo(write_verdict(results).claims)
    prose.paragraph()
    say_scope(prose)
    say_seeds(prose)
    prose.say(
        "With {test:count} test images, a single one changes an accuracy by {step:points}.",
        test=results.test_size, step=1 / results.test_size,
    )  # fmt: skip
    _say_openings(prose)
    return prose


def _say_openings(prose: Prose) -> None:
    """How often the test images were read: each time is a chance to select something by them."""
    openings = prose.results.openings
    if not openings:
        prose.say("There is no record of how often the test images were read.")
        return
    prose.say(
        "The test images were read {times:times} in this run ({table}); nothing was selected by them.",
        times=len(openings), readers=list(dict.fromkeys(openings)), table=Ref("tbl-openings"), comparison="ledger",
    )  # fmt: skip
