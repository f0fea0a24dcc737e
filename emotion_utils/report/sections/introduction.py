"""The introduction's decision rule, which stands before every result. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.statistics import ALPHA, LEVEL
from emotion_utils.report.claims import RULE
from emotion_utils.report.prose import Prose
from emotion_utils.report.results import Results


def write_rule(results: Results) -> Prose:
    """How the report decides whether two models differ."""
    prose = Prose(results, "introduction")
    prose.say("Rates of counted images are given with their {level:pct0} confidence interval.", level=LEVEL)
    if len(results.models) > 1:
        prose.say(
            "Two models differ significantly if the exact McNemar test on the same test images, with Holm's "
            "correction for all pairs, gives a p-value of {alpha:plain} or less.", alpha=ALPHA, comparison=RULE,
        )  # fmt: skip
    prose.say("The validation images select the epoch of each model and are therefore not used to judge it.")
    return prose
