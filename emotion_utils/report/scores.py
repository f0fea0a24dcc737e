"""The scores of a finished run in lines for a terminal; the report has the same figures. No torch."""

from __future__ import annotations

from emotion_utils.evaluation.metrics import count_correct
from emotion_utils.evaluation.statistics import LEVEL, wilson_interval
from emotion_utils.printable import count_of
from emotion_utils.report.results import Results


def score_lines(results: Results) -> list[str]:
    """A heading, then a line for each model: accuracy and macro F1 on the test split, each with its interval."""
    names = [results.label(model) for model in results.models]
    width = max(len("model"), *map(len, names))
    lines = [
        f"{count_of(results.test_size, 'test image')}, {LEVEL:.0%} intervals in brackets:",
        f"{'model':{width}}  {'accuracy':22}  macro F1",
    ]
    for name, model in zip(names, results.models, strict=True):
        hits, count = count_correct(results.tests[model]), results.test_size
        f1 = results.reports[model]["f1-score"].iloc[len(results.class_names) + 1]  # a class may be called macro avg
        macro = _show(f1, *results.macro[model].loc["f1-score", ["low", "high"]])
        lines.append(f"{name:{width}}  {_show(hits / count, *wilson_interval(hits, count)):22}  {macro}")
    return lines


def _show(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
