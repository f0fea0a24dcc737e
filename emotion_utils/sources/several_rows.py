"""The rows of a table of labels about one image: votes, or slips that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from emotion_utils.sources.class_names import class_key

_VOTER = re.compile("(?:annotator|rater|coder|judge|labell?er|worker|user|voter|reviewer)s?(?:id|name)?")


@dataclass
class Row:
    """One image of a table; several lines about it may be votes."""

    lines: list[tuple[str, int]] = field(default_factory=list)  # table and number of each, for messages
    labels: list[str] = field(default_factory=list)
    votes: dict[str, float] = field(default_factory=dict)
    confidence: float | None = None
    is_polled: bool = False  # votes were asked for, given or not
    group: str = ""
    split: str = ""


def names_voter(columns: list[str]) -> bool:
    """Whether a column says who labelled: user.id, annotator, Worker ID."""
    return any(_VOTER.fullmatch("".join(filter(str.isalpha, name.casefold()))) for name in columns)


def mostly_several(rows: Collection[Row]) -> bool:
    """Whether most images have several labels, as where several people were asked."""
    return 2 * sum(len(row.labels) > 1 for row in rows) > len(rows)


def note_differing(found: Mapping[str, Row]) -> list[str]:
    """A line on the images whose rows give them different labels; none where there are none."""
    differing = {path: row for path, row in found.items() if len(set(map(class_key, row.labels))) > 1}
    if not differing:
        return []
    path, row = next(iter(differing.items()))
    has = "1 image has" if len(differing) == 1 else f"{len(differing):,} images have"
    which = "" if len(differing) == 1 else "e.g. "
    lines = tell_lines(row.lines)
    return [f"{has} several rows that differ ({which}{path}, {lines}): set aside; leave the row that is right"]


def tell_lines(lines: list[tuple[str, int]]) -> str:
    """labels.csv, lines 2, 5; or a.csv, line 2, b.csv, line 5."""
    numbers: dict[str, list[int]] = {}
    for name, number in lines:
        numbers.setdefault(name, []).append(number)
    return ", ".join(
        f"{name}, line{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}" for name, found in numbers.items()
    )
