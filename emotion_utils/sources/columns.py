"""What the columns of a label table mean: their owners call them file, image, emotion, class and much else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from emotion_utils.sources.class_names import is_emotion
from emotion_utils.sources.split_words import split_of
from emotion_utils.sources.text_tables import TextTable

# Usual names without case, spaces and signs; of several in one table the first counts.
_PATHS = (
    "path", "filepath", "imagepath", "imgpath", "pth", "filename", "file", "subdirectoryfilepath", "imagefile",
    "imagefilename", "imagename", "imgname", "image", "img", "picture", "photo", "imageid", "imgid", "name", "id",
)  # fmt: skip
_LABELS = (
    "label", "labels", "emotion", "emotions", "expression", "facialexpression", "emotionlabel", "expressionlabel",
    "labelname", "classname", "emotionname", "class", "category", "target", "tag", "y",
)  # fmt: skip
_PERSONS = (
    "group", "person", "personid", "subject", "subjectid", "identity", "identityid", "actor", "actorid", "participant",
    "participantid", "individual", "individualid", "model", "modelid", "speaker", "celebrity",
)  # fmt: skip
_SPLITS = ("split", "usage", "set", "subset", "partition", "part", "phase", "datasplit")
_CONFIDENCES = ("confidence", "conf", "labelconfidence", "certainty", "probability", "prob", "agreement")
_PIXELS = ("pixels", "pixel", "pixelvalues", "imagepixels")
# Columns that hold one vote each: label_1, Annotator B, rater3.
_RATER = re.compile(
    r"(?:labell?er|label|emotion|expression|class|annotator|annotation|rater|coder|judge|vote)(?:\d+|[a-h])"
)


@dataclass(frozen=True)
class Columns:
    """Places of columns by what they hold; -1 or () where there is none."""

    names: list[str]
    path: int
    label: int
    person: int
    split: int
    confidence: int
    pixels: int
    raters: tuple[int, ...]
    shares: tuple[int, ...]  # numbers, a column for each class: votes, one-hot, probabilities

    @property
    def is_own_form(self) -> bool:
        """Whether this is the project's own relabelling table, in which nothing is guessed."""
        return self.path >= 0 and self.label >= 0 and {"path", "label"} <= {name.lower() for name in self.names}

    @property
    def labels_files(self) -> bool:
        return self.path >= 0 and (self.label >= 0 or bool(self.raters or self.shares))

    @property
    def mapping(self) -> str:
        """Which columns were taken for what, for a person."""
        named = {"path": self.path, "label": self.label, "person": self.person, "split": self.split,
                 "confidence": self.confidence}  # fmt: skip
        parts = [f"{what} from {self.names[at]}" for what, at in named.items() if at >= 0]
        for what, places in (("votes", self.raters), ("votes", self.shares)):
            parts += [f"{what} from {', '.join(self.names[at] for at in places)}"] if places else []
        return ", ".join(parts)


def understand(table: TextTable) -> Columns:
    """What the columns of `table` hold, by their names and, for votes and splits, by their values."""
    keys = ["".join(filter(str.isalnum, name.casefold())) for name in table.columns]
    path, label, person, confidence, pixels = (
        _first(keys, names) for names in (_PATHS, _LABELS, _PERSONS, _CONFIDENCES, _PIXELS)
    )
    split = next((at for at in (_first(keys, (name,)) for name in _SPLITS) if at >= 0 and _are_splits(table, at)), -1)
    raters = tuple(at for at, key in enumerate(keys) if _RATER.fullmatch(key))
    raters = raters if len(raters) > 1 else ()
    if label < 0 and len(raters) == 0:  # a lone label1 is simply the label
        label = next((at for at, key in enumerate(keys) if _RATER.fullmatch(key)), -1)
    used = {path, label, person, split, confidence, pixels, *raters}
    free = [at for at, key in enumerate(keys) if at not in used and key]
    shares = tuple(at for at in free if is_emotion(table.columns[at]) and _are_numbers(table, at))
    if shares or (label < 0 and not raters):
        shares = tuple(at for at in free if _are_shares(table, at))
    shares = shares if len(shares) > 1 and pixels < 0 else ()
    return Columns(table.columns, path, label, person, split, confidence, pixels, raters, shares)


def _first(keys: Sequence[str], names: Sequence[str]) -> int:
    return next((keys.index(name) for name in names if name in keys), -1)


def _values(table: TextTable, at: int) -> set[str]:
    return {values[at].strip() for _, values in table.rows}


def _are_splits(table: TextTable, at: int) -> bool:
    """Whether any value is a split; numbered folds are none. One that is not is told when the rows are read."""
    return any(split_of(value) for value in _values(table, at))


def _are_numbers(table: TextTable, at: int) -> bool:
    return all(value == "" or to_number(value) is not None for value in _values(table, at))


def _are_shares(table: TextTable, at: int) -> bool:
    """Numbers from 0 up that can be votes: not coordinates, and not the number of the row."""
    numbers = [to_number(value) or 0 for value in _values(table, at)]
    return _are_numbers(table, at) and min(numbers, default=0) >= 0 and max(numbers, default=0) <= 100


def to_number(text: str) -> float | None:
    """A finite number, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e9 else None
