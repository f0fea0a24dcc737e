"""What an audit of printed tables found, and the words for it. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of a check. `ok` is None where it is neither right nor wrong: a consequence, or not to be checked."""

    check: str
    """f1, recall, precision, support, accuracy, average, matrix, predictions, best, validation size, split, test set"""
    place: str  # table, and row where it is about one
    printed: str
    recomputed: str
    ok: bool | None
    sentence: str


def say_rate(rate: float, decimals: int) -> str:
    return f"{rate:.{decimals}f}"


def say_range(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def say_list(items: Sequence[object]) -> str:
    *most, last = [str(item) for item in items] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def summarise_findings(findings: Sequence[Finding]) -> list[str]:
    """Lines of text: how many checks agree, what does not, the possible matrices, and what follows."""
    checked = [finding for finding in findings if finding.ok is not None]
    wrong = [finding for finding in checked if not finding.ok]
    lines = [f"{len(checked) - len(wrong)} of {len(checked)} checks agree within the rounding of the printed decimals."]
    groups = {
        "Does not agree": wrong,
        "Confusion matrix": [
            finding
            for finding in findings
            if (finding.check == "matrix" and finding.ok) or finding.check == "predictions"
        ],
        "What follows": [finding for finding in findings if finding.ok is None and finding.check != "predictions"],
    }
    return lines + [f"{name}: {each.place}: {each.sentence}" for name, group in groups.items() for each in group]
