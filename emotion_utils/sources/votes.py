"""Labels that are votes: of several people, or shares; their majority is the label, and how far they agree."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emotion_utils.sources.decoded import ImageFault

NO_FACE_CLASSES = ("nf", "notaface", "noface", "nonface")
UNKNOWN_CLASSES = ("unknown", "uncertain", "none", "other")


def write_votes(votes: Mapping[str, float]) -> str:
    """JSON {class: votes}, of the classes that have any, in the order given; '' where none has."""
    some = {name: int(n) if n == int(n) else round(n, 4) for name, n in votes.items() if n > 0}
    return json.dumps(some) if some else ""


def read_votes(text: str) -> dict[str, float]:
    """What `write_votes` wrote; empty where there are none."""
    return json.loads(text) if text else {}


def rename_votes(text: str, names: Mapping[str, str]) -> str:
    """Votes with other class names; those of classes that get the same one are added up."""
    renamed: dict[str, float] = {}
    for name, number in read_votes(text).items():
        key = names.get(name, name)
        renamed[key] = renamed.get(key, 0) + number
    return write_votes(renamed) if text else ""


def majority(votes: Mapping[str, float]) -> str:
    """The class with the most votes. Raises ImageFault where there is none, or where it says that there is no face."""
    most = max(votes.values(), default=0)
    first = [name for name, number in votes.items() if number == most]
    if not most > 0:
        raise ImageFault("no majority: nobody voted")
    if len(first) > 1:
        raise ImageFault(f"no majority: {_tell(votes)}")
    return _refuse_no_class(first[0], votes)


def majority_of_ferplus(votes: Mapping[str, float]) -> str:
    """As FERPlus' authors count: a single vote is dropped, and the majority is more than half of what stays."""
    counted = {name: number for name, number in votes.items() if number > 1}
    most = max(counted.values(), default=0)
    if not most > sum(counted.values()) / 2:
        raise ImageFault(f"no majority: {_tell(votes)}")
    return _refuse_no_class(next(name for name, number in counted.items() if number == most), votes)


def measure_agreement(votes: Iterable[str], labels: Iterable[str]) -> dict[str, Any] | None:
    """How far people agree on images with votes: images, share (mean share of the label, 0-1), unanimous; or None.

    The share is what the best guess would reach, on average, if each image were judged by one more of these people.
    contradicted counts the images of which another class has more votes than the label: labels that are the majority of
    these votes have none. fractional is there, and true, where some are no whole numbers: shares, not votes.
    """
    shares, contradicted, fractional = [], 0, False
    for text, label in zip(votes, labels, strict=True):
        found = read_votes(text)
        if total := sum(found.values()):
            shares.append(found.get(label, 0) / total)
            contradicted += max(found.values()) > found.get(label, 0)
            fractional |= any(number != int(number) for number in found.values())
    if not shares:
        return None
    mean, unanimous = math.fsum(shares) / len(shares), sum(share == 1 for share in shares)
    agreement = {"images": len(shares), "share": mean, "unanimous": unanimous, "contradicted": contradicted}
    return agreement | ({"fractional": True} if fractional else {})


Majority = Callable[[Mapping[str, float]], str]


def _refuse_no_class(name: str, votes: Mapping[str, float]) -> str:
    key = "".join(filter(str.isalpha, name.casefold()))
    if key in NO_FACE_CLASSES:
        raise ImageFault(f"no face, by the votes: {_tell(votes)}")
    if key in UNKNOWN_CLASSES:
        raise ImageFault(f"no majority: {_tell(votes)}")
    return name


def _tell(votes: Mapping[str, float]) -> str:
    return ", ".join(f"{number:g} {name}" for name, number in votes.items() if number > 0) or "nobody voted"
