"""What an audit found, in lines for a person; the notebook and the report's data card say the same. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from emotion_utils.audit.label_suspects import SKIMAGE
from emotion_utils.audit.leaks import leak_lines
from emotion_utils.audit.shortcuts import FEW_UNITS, PROPERTIES
from emotion_utils.printable import count_of

MAX_REASONS = 4  # that the terminal names


def audit_lines(audit: Mapping[str, Any]) -> list[str]:
    """What somebody should know who sees none of the notebooks: a line each."""
    lines = [
        found_line(audit),
        difference_line(audit),
        *audit["notes"],
        set_aside_line(audit),
        agreement_line(audit),
        audit["groups"]["line"],
        drawn_val_line(audit),
        copies_line(audit),
        near_duplicates_line(audit),
        faces_line(audit),
    ]
    lines.append(auxiliary_line(audit))
    leaks = leaks_line(audit["leaks"]["as_given"], audit["groups"]["persons"])
    lines += [leaks and f"as the data came: {leaks}", audit["leaks"]["line"], suspects_line(audit["suspects"])]
    lines += shortcut_lines(audit.get("shortcuts"))
    return [line for line in lines if line]


def found_line(audit: Mapping[str, Any]) -> str:
    """What the data were read as; older audits do not say."""
    return audit.get("found", "")


def difference_line(audit: Mapping[str, Any]) -> str:
    """How the data differ from the known set that they were read as."""
    return (audit.get("dataset") or {}).get("difference", "")


def set_aside_line(audit: Mapping[str, Any]) -> str:
    """How many images were set aside, and the commonest reasons."""
    reasons = sorted(audit["reasons"].items(), key=lambda each: -each[1])
    if not reasons:
        return ""
    parts = [f"{reason}: {count:,}" for reason, count in reasons[:MAX_REASONS]]
    if others := sum(count for _, count in reasons[MAX_REASONS:]):
        parts.append(f"other reasons: {others:,}")
    return f"set aside: {count_of(audit['quarantined'], 'image')} ({'; '.join(parts)}); data/manifest.csv has each"


def agreement_line(audit: Mapping[str, Any]) -> str:
    """How far the people agree whose votes the labels are."""
    agreement = audit.get("agreement")
    if not agreement:
        return ""
    found = (
        f"on average {agreement['share']:.1%} of the votes on an image are for its label, on "
        f"{agreement['unanimous']:,} of {agreement['images']:,} images all"
    )
    if contradicted := agreement.get("contradicted", 0):
        return f"votes beside the labels: {found}; on {contradicted:,} another class has more votes"
    if agreement.get("fractional"):
        return (
            f"labels are the largest of shares: on average {agreement['share']:.1%} for the label, on "
            f"{agreement['unanimous']:,} of {agreement['images']:,} images all"
        )
    return (
        f"labels are votes: {found}; judged by one more such vote for each image, no model can be expected to be right "
        f"on more than {agreement['share']:.1%}"
    )


def auxiliary_line(audit: Mapping[str, Any]) -> str:
    """What classes beside the asked ones teach."""
    auxiliary = audit.get("auxiliary")
    if not auxiliary:
        return ""
    teaching = {name: count for name, count in auxiliary["classes"].items() if count}
    counts = ", ".join(f"{name} {count:,}" for name, count in teaching.items())
    line = f"{sum(teaching.values()):,} images of other classes only teach ({counts})" if teaching else ""
    held_out = f"{auxiliary['held_out']:,} do not, as they or images tied to them are held out"
    aside = auxiliary["images"] - auxiliary["held_out"] - sum(teaching.values())
    left = f"{aside:,} were set aside" if aside else ""
    return "; ".join(filter(None, [line, held_out if auxiliary["held_out"] else "", left]))


def copies_line(audit: Mapping[str, Any]) -> str:
    """Exact copies and contradictions."""
    copies, conflicts = audit["duplicates"], audit["conflicts"]
    line = f"{copies['exact']:,} exact copies of files and {copies['pixels']:,} of pixels were set aside"
    if conflicts["pictures"]:
        has = "1 image has" if conflicts["pictures"] == 1 else f"{conflicts['pictures']:,} images have"
        line += f"; {has} two labels ({conflicts['images']:,} files, set aside)"
    return line


def conversions_line(audit: Mapping[str, Any]) -> str:
    """How many images were not plain 8-bit RGB."""
    kinds = [f"{count:,} {kind}" for kind, count in audit["conversions"].items()]
    return f"brought to upright 8-bit RGB: {', '.join(kinds)}" if kinds else "every image came as upright 8-bit RGB"


def sizes_line(audit: Mapping[str, Any]) -> str:
    """How large the images are."""
    if audit["sizes"] is None:
        return "no image is usable"
    sizes = {name: f"{width} x {height}" for name, (width, height) in audit["sizes"].items()}
    if len(set(sizes.values())) == 1:
        return f"all images have {sizes['median']} pixels"
    return f"images of {sizes['smallest']} to {sizes['largest']} pixels (median {sizes['median']})"


def faces_line(audit: Mapping[str, Any]) -> str:
    """What became of the crop."""
    faces = audit["faces"]
    if faces["crop"] == "never":
        return "crop=never: every image is used whole"
    parts = [
        (faces["not_searched"], "small enough to be a face already, used whole"),
        (faces["filled"], "filled by the face, used whole"),
        (faces["cropped"], "cut to the face"),
        (faces["missed"], f"in which no face was found, {faces['missed_are']}"),
    ]
    line = f"crop={faces['crop']}: " + "; ".join(f"{count:,} {words}" for count, words in parts if count)
    several = f", the largest taken of several in {faces['several']:,}" if faces["several"] else ""
    return line + (f" ({faces['detector']}{several})" if faces["detector"] else "")


def near_duplicates_line(audit: Mapping[str, Any]) -> str:
    """How many, and by which threshold."""
    near = audit["near_duplicates"]
    line = f"{near['images']:,} images are near duplicates of another, in {count_of(near['clusters'], 'cluster')}"
    if near["clusters"]:
        line += f" of up to {near['largest']:,}; {count_of(near['mixed_labels'], 'cluster')} with more than one label"
    turned = near.get("turned", {})  # older audits looked for none
    line += f"; {count_of(turned['pairs'], 'pair')} turned or zoomed" if turned.get("pairs") else ""
    left_out = near.get("left_out", 0) + turned.get("left_out", 0)
    if left_out:
        pairs = "pairs that resemble each other were" if left_out > 1 else "pair of similar images was"
        line += f"; {left_out:,} more {pairs} not compared"
    return line


def shortcut_lines(shortcuts: Mapping[str, Any] | None) -> list[str]:
    """A line for each property that alone tells labels (an audit's `shortcuts`, which older ones lack)."""
    if not shortcuts:
        return []
    largest, lines = shortcuts["largest"], []
    for found in shortcuts["found"]:
        if found["same_as"]:
            continue
        line = (
            f"shortcut: a rule that knows nothing but {PROPERTIES[found['name']][0]} is right on "
            f"{found['accuracy']:.1%} of the images of people it did not learn from ({found['low']:.1%} to "
            f"{found['high']:.1%}); always naming {largest['class_name']} is right on {largest['share']:.1%}"
        )
        if found.get("units", FEW_UNITS) < FEW_UNITS:  # older audits do not count them
            line += f". It rests on the images of {found['units']} persons: whether it holds for others is not shown"
        alike = [PROPERTIES[other["name"]][1] for other in shortcuts["found"] if other["same_as"] == found["name"]]
        lines.append(line + (f". Mostly the same images stand out in {', '.join(alike)}" if alike else ""))
    return lines


def suspects_line(suspects: Mapping[str, Any]) -> str:
    """How many labels are in doubt, and how far the model that doubts is to be trusted (an audit's `suspects`)."""
    if not suspects["judged"]:
        return "too few images to judge their labels"
    line = (
        f"{suspects['doubted']:,} of {suspects['judged']:,} labels are in doubt, according to a logistic regression on "
        f"histograms of gradients that agrees with {suspects['accuracy']:.0%} of all"
    )
    # Older audits do not say: there it was OpenCV.
    other = suspects.get("features") == SKIMAGE
    return line + (f" (histograms by {SKIMAGE}: this OpenCV makes none)" if other else "")


def split_line(audit: Mapping[str, Any]) -> str:
    """Where the split comes from."""
    brought, choice = audit["splits"]["brought"], audit["leaks"]["choice"]
    if len(brought) < 2 or choice == "redraw":
        return f"drawn from seed {audit['splits']['seed']}" + (
            ", not the one that comes with the data" if len(brought) > 1 else ""
        )
    drawn = [name for name in ("val", "test") if name not in brought]
    return f"as it comes with the data ({', '.join(brought)})" + (f", {drawn[0]} drawn from it" if drawn else "")


def drawn_val_line(audit: Mapping[str, Any]) -> str:
    """What val is made of where the data bring only train and test; older audits do not say."""
    return audit["splits"].get("drawn_val", "")


def leaks_line(records: list[dict[str, Any]] | None, persons: int) -> str:
    """The records of `leaks.find_leaks` in a line; so many `persons` are known."""
    if not records:
        return ""
    leaks = pd.DataFrame(records)
    if not leaks["images"].sum():
        if not persons:
            return "no image of one split has a copy or a near copy in another; who is on which image is not known"
        return "no image of one split has a copy, a near copy or its person in another"
    return "; ".join(leak_lines(leaks))
