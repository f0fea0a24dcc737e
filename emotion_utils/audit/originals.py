"""Whether the copy of a known data set that is at hand is the original that results were published on. No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.sources.known_sets import Counts, KnownSet
from emotion_utils.sources.source import Source

SAMPLE_IMAGES = 2000  # enough to know mean and deviation to half a percent
MIN_SAMPLE_IMAGES = 300
WHOLE = 0.9  # of the images: from here on at least one of the reference images must be there
# How far a random part of the original, or some of its classes, may be from its figures; a copy brought to another
# size and back is 0.013 away in the difference of neighbours, an equalised one 0.030, and 0.052 in deviation.
MAX_DEVIATION_OFF, MAX_DIFFERENCE_OFF = 0.025, 0.008
NOT_COMPARABLE = "results cannot be compared with published ones"


def compare_with_original(source: Source, manifest: pd.DataFrame, digests: Collection[str]) -> str:
    """One line that says how the images differ from the data set that they were read as; '' where nothing is known to.

    `manifest` has the columns split, label, width, height, format of every image, `digests` the first 16 hex digits of
    `scan.digest_pixels` of each readable one.
    """
    known = source.dataset
    if known is None:
        return ""
    labelled = manifest[manifest["label"] != ""]
    others = sum(source.others.values())
    counts = _compare_counts(known, labelled, source.classes) or _compare_total(known, labelled, source.classes, others)
    found = [*counts, *_compare_files(known, manifest)]
    if changed := _compare_pixels(known, source, labelled, set(digests)):
        found.append(f"its pixels were changed ({changed})")
    return f"not the original {known.name}: {'; '.join(found)}; {NOT_COMPARABLE}" if found else ""


def _compare_counts(known: KnownSet, labelled: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """A line for each part whose number of images is none of those that the original may have."""
    lines = []
    for split, part in labelled.groupby("split"):
        counts = part["label"].value_counts()
        expected = [
            {name: counts_of[name] for name in classes} if set(classes) <= set(counts_of) else counts_of
            for counts_of in _alternatives(known, split)
            if set(classes) <= set(counts_of) or (set(counts_of) == {""} and len(classes) == len(known.codes))
        ]
        if expected and not any(_is_same(counts, each) for each in expected):
            nearest = min(expected, key=lambda each: abs(sum(each.values()) - len(part)))
            lines.append(_tell_counts(split, counts, nearest))
    return lines


def _compare_total(known: KnownSet, labelled: pd.DataFrame, classes: Sequence[str], others: int) -> list[str]:
    """A line for classes of other names than the original's: only all images together, `others` of them in classes
    that were not chosen, can be compared."""
    parts = [_alternatives(known, split) for split in sorted(set(labelled["split"]))]
    if not all(parts) or any(set(classes) <= set(each) for part in parts for each in part):
        return []
    total = len(labelled) + others
    possible = {sum(sizes) for sizes in product(*([sum(each.values()) for each in part] for part in parts))}
    return [] if not parts or total in possible else [f"{total:,} images, {max(possible):,} in the original"]


def _alternatives(known: KnownSet, split: str) -> list[Counts]:
    """What a split may hold; data without one hold a part or all of them together."""
    if split or "" in known.counts:
        return list(known.counts.get(split, ()))
    parts = [counts[0] for counts in known.counts.values()]
    return [*parts, *([dict(sum((pd.Series(part) for part in parts[1:]), pd.Series(parts[0])))] if parts else [])]


def _is_same(counts: pd.Series, expected: Counts) -> bool:
    return counts.sum() == expected[""] if set(expected) == {""} else counts.to_dict() == dict(expected)


def _tell_counts(split: str, counts: pd.Series, expected: Counts) -> str:
    part = f"{split} has " if split else ""
    total = sum(expected.values())
    if counts.sum() != total:
        return f"{part}{counts.sum():,} images, {total:,} in the original"
    name = next(name for name in expected if counts.get(name, 0) != expected[name])
    return f"{part}{counts.get(name, 0):,} images of {name}, {expected[name]:,} in the original"


def _compare_files(known: KnownSet, manifest: pd.DataFrame) -> list[str]:
    """A line each for another size and another format than most images of the original have."""
    lines = []
    sizes = manifest.loc[manifest["width"] > 0, ["width", "height"]].value_counts()
    if known.size_px and len(sizes) and sizes.index[0] != known.size_px:
        (width, height), (least, most) = sizes.index[0], known.size_px
        lines.append(f"images of {width} x {height} pixels, {least} x {most} in the original")
    formats = manifest.loc[manifest["format"] != "", "format"].value_counts()
    if known.file_format and len(formats) and formats.index[0] != known.file_format:
        lines.append(f"files of the format {formats.index[0]}, {known.file_format} in the original")
    return lines


def _compare_pixels(known: KnownSet, source: Source, labelled: pd.DataFrame, digests: set[str]) -> str:
    """What shows that pixels were changed; '' where nothing does, or where too little is there to tell."""
    if known.pixels is None or (train := labelled[labelled["split"].isin(["train", ""])]).empty:
        return ""
    figures = _measure(source, train["path"].tolist())
    if figures:
        for name, limit in (("deviation", MAX_DEVIATION_OFF), ("difference", MAX_DIFFERENCE_OFF)):
            expected = getattr(known.pixels, name)
            if abs(figures[name] - expected) > limit:
                called = {"deviation": "deviation", "difference": "mean difference of neighbours"}[name]
                return f"{called} {figures[name]:.3f}, {expected:.3f} in the original"
    references = [digest for name in source.classes for digest in known.references.get(name, ())]
    expected = sum(known.counts.get("train", ({},))[0].get(name, 0) for name in source.classes)
    if references and expected and len(train) >= WHOLE * expected and digests.isdisjoint(references):
        return f"none of {len(references)} reference images is among them"
    return ""


def _measure(source: Source, paths: list[str]) -> Mapping[str, float]:
    """Deviation of grey values (0-1) and mean difference of neighbours in a row, of images spread evenly over `paths`;
    empty where these are too few."""
    chosen = np.unique(np.linspace(0, len(paths) - 1, SAMPLE_IMAGES).astype(int))
    if len(chosen) < MIN_SAMPLE_IMAGES:
        return {}
    sums = np.zeros(3)
    sizes = np.zeros(2)
    for place in chosen:
        try:
            grey = decode_rgb(source.read(paths[place]))[:, :, 1].astype(np.float32) / 255
        except ImageFault:
            continue
        steps = np.abs(np.diff(grey, axis=1))
        sums += grey.sum(), np.square(grey).sum(), steps.sum()
        sizes += grey.size, steps.size
    mean, square = sums[:2] / max(sizes[0], 1)
    return {"deviation": float(np.sqrt(max(square - mean**2, 0))), "difference": float(sums[2] / max(sizes[1], 1))}
