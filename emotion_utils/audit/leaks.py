"""Leaks: held-out images that a model has met in training, and what is done about them. No torch."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from emotion_utils.audit.ties import NO_TIE, TIES, tie_of
from emotion_utils.errors import InputError

LeakChoice = Literal["set_aside", "redraw", "allow"]

PAIRS = (("test", "train"), ("val", "train"), ("test", "val"))  # held out, and what a model learns or is chosen from
MAX_SET_ASIDE = 0.05  # of training: with more taken away it would be another data set
LEAK_COLUMNS = ("tie", "split", "other", "images", "of", "share", "example", "example_in_other")


def find_leaks(manifest: pd.DataFrame) -> pd.DataFrame:
    """How many images of one split are in another as well, each counted once, at the closest tie that it has.

    Looks at every usable row that has a split, copies that were set aside among them. A row for each tie and each of
    PAIRS; columns LEAK_COLUMNS: images of `split`, `of` how many, share (0-1), and the paths of an example.
    """
    usable = _usable(manifest)
    parts = {split: usable[usable["split"] == split] for split in ("train", "val", "test")}
    leaks = []
    for split, other in PAIRS:
        ours, theirs = parts[split], parts[other]
        ties = tie_of(ours, theirs)
        for tie in TIES:
            met = ours[ties == tie]
            example = met["path"].iloc[0] if len(met) else ""
            partner = _partners(met.head(1), theirs, tie).iloc[0] if len(met) else ""
            leaks.append((tie, split, other, len(met), len(ours), len(met) / max(len(ours), 1), example, partner))
    return pd.DataFrame(leaks, columns=list(LEAK_COLUMNS))


def leak_lines(leaks: pd.DataFrame) -> list[str]:
    """A line for each pair of splits that both have images: what `find_leaks` found."""
    lines = []
    for (split, other), steps in leaks.groupby(["split", "other"], sort=False):
        counts = steps.set_index("tie")["images"]
        if steps["of"].iloc[0]:
            found = [f"{count:,} {tie}" for tie, count in counts.items() if count]
            lines.append(
                f"of {steps['of'].iloc[0]:,} images in {split}, {counts.sum():,} are in {other} as well"
                + (f" ({', '.join(found)})" if found else "")
            )
    return lines


def settle_leaks(manifest: pd.DataFrame, choice: LeakChoice) -> tuple[pd.DataFrame, str]:
    """What is done about leaks of the split that comes with the data, and a line for a person ("" where nothing is).

    - set_aside: of two tied images in two splits, the one in train (or in val, against test) is quarantined, so that
      what is held out stays as published. Raises InputError where that takes more than MAX_SET_ASIDE of training.
    - redraw: the brought split is forgotten.
    - allow: nothing; but of exact copies only one was kept by the audit, the one that is held out.
    """
    if len(set(manifest["split"]) - {""}) < 2:
        return manifest, ""
    if choice == "redraw":
        return manifest.assign(split=""), "the split that comes with the data is not used: a new one is drawn"
    if choice == "allow":
        return manifest, "the split that comes with the data is used as it is, leaks included"
    manifest, size = manifest.copy(), len(_usable(manifest[manifest["split"] == "train"]))
    taken: dict[str, int] = {}
    for split, held_out in (("val", "test"), ("train", "test"), ("train", "val")):
        taken[split] = taken.get(split, 0) + _set_aside(manifest, split, held_out)
    _refuse_too_many(taken["train"], size)
    told = [f"{count:,} of {split}" for split, count in taken.items() if count]
    return manifest, f"set aside because they are held out too: {', '.join(told)}" if told else ""


def _set_aside(manifest: pd.DataFrame, split: str, held_out: str) -> int:
    """Quarantines, in place, the kept rows of `split` that are tied to kept rows of `held_out`.

    Returns how many images of `split` are tied, with the copies that had been set aside before.
    """
    ours = _usable(manifest[manifest["split"] == split])
    theirs = manifest[(manifest["split"] == held_out) & (manifest["status"] == "kept")]
    ties = pd.Series(tie_of(ours, theirs), index=ours.index)
    for tie in TIES:
        met = ours[(ties == tie) & (ours["status"] == "kept")]
        partners = _partners(met, theirs, tie)
        manifest.loc[met.index, "reason"] = f"in {held_out} too: {tie}: " + partners
        manifest.loc[met.index, "status"] = "quarantined"
    return int((ties != "").sum())


def _refuse_too_many(taken: int, size: int) -> None:
    if taken > MAX_SET_ASIDE * size:
        raise InputError(
            f"the split that comes with the data leaks: {taken:,} of {size:,} images of train ({taken / size:.0%}) "
            f"have a copy, a near copy or the same person in what is held out, and at most {MAX_SET_ASIDE:.0%} are "
            "set aside; add --set leaks=redraw to draw a new split, or --set leaks=allow to keep this one as it is"
        )


def _usable(manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows with a split whose image could be read: those that are kept, and copies that were set aside."""
    usable = manifest["status"] == "kept"
    if "image" in manifest:
        usable |= manifest["image"] >= 0
    return manifest[(manifest["split"] != "") & usable]


def _partners(met: pd.DataFrame, theirs: pd.DataFrame, tie: str) -> pd.Series:
    """The path of a row of `theirs` that each row of `met` is tied to by `tie`."""
    partners = pd.Series("", index=met.index, dtype=object)
    for column in [name for name in TIES[tie] if name in met]:
        paths = theirs.drop_duplicates(column).set_index(column)["path"]
        paths = paths[~paths.index.isin(NO_TIE)]
        partners = partners.where(partners != "", met[column].map(paths).astype(object).fillna(""))
    return partners
