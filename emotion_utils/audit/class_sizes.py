"""Whether the classes have enough images to be divided, before any is decoded. No torch."""

from __future__ import annotations

import shlex

import pandas as pd

from emotion_utils.config import RunConfig
from emotion_utils.errors import InputError
from emotion_utils.near_names import did_you_mean
from emotion_utils.printable import count_of
from emotion_utils.sources.class_names import is_emotion
from emotion_utils.sources.source import Source


def refuse_small_classes(source: Source, config: RunConfig) -> None:
    """Raises InputError that names every class that has too few images, or none in a split that comes with the data."""
    rows = source.table[source.table["label"].isin(source.classes)]
    sizes = rows["label"].value_counts()[list(source.classes)]
    small = sizes[sizes < config.min_images_per_class]
    lacking = _find_lacking(rows, config)
    if not len(small) and not lacking:
        return
    faults, ways = [], ["add images"]
    if len(small):
        listed = ", ".join(
            f"class {name!r} has {count_of(count, 'image')}{_tell_slip(source, rows, name, sizes)}"
            for name, count in small.items()
        )
        faults.append(f"{listed}: {config.min_images_per_class} are needed to fill train, val and test")
    faults += [f"class {name!r} has no image in {split} as the data are split" for name, split in lacking]
    left_out = {*small.index, *(name for name, _ in lacking)}
    if len(source.classes) - len(left_out) >= 2:
        kept = ",".join(name for name in source.classes if name not in left_out)
        ways.append(f"leave {'it' if len(left_out) == 1 else 'them'} out with --classes {shlex.quote(kept)}")
    settings = []
    if len(small) and small.min() >= _least():
        settings.append(f"min_images_per_class={small.min()}")
    if lacking:
        settings.append("leaks=redraw")
    if len(settings) == bool(len(small)) + bool(lacking):  # one alone would lead to the next refusal
        reads = " ".join(f"--set {setting}" for setting in settings)
        ways.append(f"use {reads}" + (" (a new split)" if lacking else ""))
    raise InputError("; ".join(faults) + ": " + ", or ".join(ways))


def _tell_slip(source: Source, rows: pd.DataFrame, name: str, sizes: pd.Series) -> str:
    """Where a table gives the label `name` first, and the larger class that it may be a misspelling of."""
    line = next((source.places[path] for path in rows["path"][rows["label"] == name] if path in source.places), "")
    larger = "" if is_emotion(name) else did_you_mean(name, sizes.index[sizes > sizes[name]])
    told = "; ".join(filter(None, (line, larger.removeprefix("; "))))
    return f" ({told})" if told else ""


def _find_lacking(rows: pd.DataFrame, config: RunConfig) -> list[tuple[str, str]]:
    """Each class and split that comes with the data and has no image of it, unless a new one is drawn."""
    brought = set(rows["split"]) - {""}
    if len(brought) < 2 or config.leaks == "redraw":
        return []
    counts = pd.crosstab(rows["label"], rows["split"])
    return [
        (name, split)
        for name in counts.index
        for split in ("train", "val", "test")
        if split in brought and counts.loc[name, split] == 0
    ]


def _least() -> int:
    """The smallest min_images_per_class that is allowed."""
    return next(bound.ge for bound in RunConfig.model_fields["min_images_per_class"].metadata if hasattr(bound, "ge"))
