"""What a model could learn instead of the face: properties of an image that alone tell its label. No torch.

Each property is asked how well it predicts the labels of people it did not learn from. Nothing is said of one that
does no better than naming the largest class, so the bar is set for all properties together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from emotion_utils.artefacts import NUMBER_PROPERTIES, TEXT_PROPERTIES
from emotion_utils.audit.file_names import read_file_names
from emotion_utils.audit.ties import join_ties

LEVEL = 0.95  # of the intervals of all properties together
NUM_FOLDS = 5
MAX_BINS = 10  # of equal size, into which a continuous property is cut
MAX_WORDS = 12  # the commonest words of a property are told apart,
MIN_UNITS = 5  # if so many persons (or images of nobody known) have them: nothing is learned from rarer ones
FEW_UNITS = 10  # persons, below which a shortcut may be theirs alone
EXCHANGES = 1999  # of a property between persons: enough for LEVEL, corrected for 20 properties
CHUNK = 2**20  # values exchanged at a time
SEED = 0  # of folds and exchanges; the run's seed must not change what counts as a shortcut
SAME_RULE = 0.5  # Cohen's kappa of two rules' answers from which on they count as one

# What a person calls each property: in a sentence, and before one of its values. Sizes are those of the files.
PROPERTIES = {
    "colour": ("whether the image is in colour", "colour"),
    "width": ("the width of the image", "width"),
    "height": ("the height of the image", "height"),
    "shape": ("the ratio of width to height", "width / height"),
    "format": ("the file format", "format"),
    "jpeg_quality": ("the JPEG quality", "JPEG quality"),
    "brightness": ("the brightness of the image", "brightness"),
    "contrast": ("the contrast of the image", "contrast"),
    "border": ("how much of the image a plain border takes", "border"),
    "face_share": ("how much of the image the face fills", "face fills"),
    "folder": ("the name of the folder", "folder"),
    "suffix": ("the ending of the file name", "file ending"),
    "prefix": ("the beginning of the file name", "file name begins with"),
    "digits": ("how many digits the number in the file name has", "digits in the file name"),
    "pattern": ("the pattern of the file name", "file name like"),
}


@dataclass(frozen=True)
class Shortcut:
    """A property that predicts labels by itself: how often its rule is right on people that it did not learn from.

    Rates are 0-1; `low` and `high` are the interval that `find_shortcuts` describes. `same_as` names another shortcut,
    more accurate, whose rule gives mostly the same answers ("" if none does): dark images, say, that are those in
    colour. `units`: how many persons (and images of nobody known) get another answer than the largest class; where
    these are few, the interval says little about further people.
    """

    name: str  # of PROPERTIES
    accuracy: float
    low: float
    high: float
    same_as: str
    units: int


def find_shortcuts(manifest: pd.DataFrame) -> dict[str, Any]:
    """Which of PROPERTIES predict the label of the kept images in `manifest`, which needs what audit_images measures.

    The rule of a property is a tree of one level: for each of its words, or each of MAX_BINS equal parts of its range,
    the most frequent class among people of other folds (copies stay with their person). The interval of its accuracy
    is Wilson's, at LEVEL with Bonferroni's correction for the properties asked. Images of one person are alike, so it
    is widened to what chance does to the accuracy where persons exchange the values of the property, each all of its
    own in any order. A property is a shortcut where the whole interval lies above the share of the largest class.

    Returns (JSON): asked (the properties that vary), images, units (persons, and images of nobody known), largest
    {class_name, share (0-1)}, level, found (the Shortcuts as mappings, the most accurate first). Nothing is asked where
    there are fewer than two classes or NUM_FOLDS units.
    """
    from statsmodels.stats.proportion import proportion_confint

    kept = manifest[manifest["status"] == "kept"].reset_index(drop=True)
    labels, classes = pd.factorize(kept["label"], sort=True)
    units = join_ties(kept)
    values = property_values(kept)
    asked = [name for name in PROPERTIES if name in values and values[name].nunique(dropna=False) > 1]
    if len(classes) < 2 or len(np.unique(units)) < NUM_FOLDS:
        asked = []
    counts = np.bincount(labels, minlength=1)
    share = float(counts.max() / max(len(kept), 1))
    codes = {name: encode_values(values[name], units) for name in asked}
    rule = _Rule(labels, units)
    answers = {name: rule.answer(codes[name][None])[0] for name in asked}
    rates = {name: float((answers[name] == labels).mean()) for name in asked}
    alpha = (1 - LEVEL) / max(len(asked), 1)
    intervals = {name: proportion_confint(rates[name] * len(kept), len(kept), alpha, "wilson") for name in asked}
    ahead = sorted((name for name in asked if intervals[name][0] > share), key=lambda name: -rates[name])
    found: list[Shortcut] = []
    for name, by_chance in zip(ahead, rule.exchange([codes[name] for name in ahead]), strict=True):
        worst, best = np.quantile(by_chance - share, (alpha / 2, 1 - alpha / 2), method="closest_observation")
        low, high = min(intervals[name][0], rates[name] - best), max(intervals[name][1], rates[name] - worst)
        if low > share:
            own = [each.name for each in found if not each.same_as]
            same = next((other for other in own if agreement(answers[name], answers[other]) >= SAME_RULE), "")
            bearers = len(np.unique(units[answers[name] != counts.argmax()]))
            found.append(Shortcut(name, rates[name], float(low), min(float(high), 1.0), same, bearers))
    return {
        "asked": asked, "images": len(kept), "units": len(np.unique(units)), "level": LEVEL,
        "largest": {"class_name": str(classes[counts.argmax()]) if len(classes) else "", "share": share},
        "found": [asdict(each) for each in found],
    }  # fmt: skip


def property_values(manifest: pd.DataFrame) -> pd.DataFrame:
    """The values of PROPERTIES of each row; an older manifest, which holds fewer, has fewer."""
    measured = [name for name in (*TEXT_PROPERTIES, *NUMBER_PROPERTIES, "width", "height") if name in manifest]
    shape = (manifest["width"] / manifest["height"]).round(3)
    return manifest[measured].assign(shape=shape, **read_file_names(manifest))


def encode_values(values: pd.Series, units: np.ndarray) -> np.ndarray:
    """int (n,): the part of its range that each value is in, or the number of its word, 0 for unknown and rare ones.

    A number that as many images have as a part holds (a size, say, that most have) is a part of its own.
    """
    if not pd.api.types.is_numeric_dtype(values):
        spread = pd.Series(units).groupby(values.to_numpy()).nunique().sort_values(ascending=False, kind="stable")
        common = spread[spread >= MIN_UNITS].index[:MAX_WORDS]
        return common.get_indexer(values) + 1
    shares = values.value_counts()
    usual = shares.index[shares >= len(values) / MAX_BINS]
    codes = usual.get_indexer(values) + 1
    rest = values.notna().to_numpy() & (codes == 0)
    if rest.any():
        codes[rest] = pd.qcut(values[rest], MAX_BINS, labels=False, duplicates="drop").fillna(0) + 1 + len(usual)
    return codes


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Cohen's kappa (1960) of two answers, int (n,): 1 where they are the same, 0 where they agree by chance alone."""
    same = float((one == other).mean())
    size = max(one.max(), other.max()) + 1
    by_chance = float(np.bincount(one, minlength=size) @ np.bincount(other, minlength=size)) / len(one) ** 2
    return (same - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0


class _Rule:
    """For each code of a property the most frequent class among the people of other folds."""

    def __init__(self, labels: np.ndarray, units: np.ndarray) -> None:
        self.labels, self.units = labels, units
        self.num_classes, self.num_units = labels.max(initial=0) + 1, units.max(initial=0) + 1
        rng = np.random.default_rng(SEED)
        self.folds = rng.permutation(np.arange(self.num_units) % NUM_FOLDS)[units]

    def answer(self, codes: np.ndarray) -> np.ndarray:
        """The class named for each image by a rule that did not learn from its fold: int (m, n), like codes."""
        size, num_codes = len(codes), codes.max() + 1
        cells = (np.arange(size)[:, None] * NUM_FOLDS + self.folds) * num_codes + codes
        counts = np.bincount(
            (cells * self.num_classes + self.labels).ravel(), minlength=size * NUM_FOLDS * num_codes * self.num_classes
        ).reshape(size, NUM_FOLDS, num_codes, self.num_classes)
        others = counts.sum(axis=1, keepdims=True) - counts
        overall = others.sum(axis=2, keepdims=True)
        named = (others + overall / (overall.sum(axis=3, keepdims=True) + 1)).argmax(axis=3)  # a tie goes to the larger
        return named.ravel()[cells]

    def exchange(self, properties: list[np.ndarray]) -> list[np.ndarray]:
        """The rates of each property, codes int (n,), with its values exchanged between persons: (EXCHANGES,) each."""
        found: list[list[np.ndarray]] = [[] for _ in properties]
        for rows in self._exchanges() if properties else ():
            for rates, codes in zip(found, properties, strict=True):
                rates.append((self.answer(codes[rows]) == self.labels).mean(axis=1))
        return [np.concatenate(rates) for rates in found]

    def _exchanges(self) -> Iterator[np.ndarray]:
        """The row that each row gets its value from, int (m, n), EXCHANGES of them in parts that fit into memory.

        A unit gets the values of one other, in random order, from the start again where those are fewer.
        """
        rng = np.random.default_rng(SEED + 1)
        sizes = np.bincount(self.units, minlength=self.num_units)
        starts = np.cumsum(sizes) - sizes
        order = np.argsort(self.units, kind="stable")
        places = np.empty_like(order)
        places[order] = np.arange(len(order)) - np.repeat(starts, sizes)  # of each row within its unit
        step = max(1, CHUNK // len(order))
        for start in range(0, EXCHANGES, step):
            count = min(step, EXCHANGES - start)
            shuffled = np.argsort(rng.random((count, len(order))) + self.units, axis=1)  # units in turn, each shuffled
            givers = rng.permuted(np.tile(np.arange(self.num_units), (count, 1)), axis=1)[:, self.units]
            yield np.take_along_axis(shuffled, starts[givers] + places % sizes[givers], axis=1)
