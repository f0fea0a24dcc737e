"""The data card (appendix): where the images came from, what was found in them and what was done about it. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from emotion_utils.audit import lines
from emotion_utils.audit.splits import balance_line
from emotion_utils.report.data_tables import split_table
from emotion_utils.report.exhibits import Shown, show_table
from emotion_utils.report.results import Results
from emotion_utils.report.tables import Markup, frame_of

QUARANTINED_SHOWN = 20


def data_card(results: Results) -> Shown:
    """The card as a table, filled in from the run's configuration, manifest and audit."""
    parts = enumerate(find_facts(results))
    rows = [(part, Markup(f"<b>{name}</b>"), text) for part, found in parts for name, text in found]
    frame = frame_of(rows, ["part", "What", "Finding"])
    return show_table(
        results, "tbl-data", frame[["What", "Finding"]], "Data card.", may_break=True, groups=frame["part"], css="long"
    )


def find_facts(results: Results) -> list[list[tuple[str, str]]]:
    """Names and findings: of the origin of the images, of the images, and of the split."""
    parts = (_origin(results), _images(results), _split(results))
    return [[(name, text) for name, text in part if text] for part in parts]


def _origin(results: Results) -> Iterator[tuple[str, str]]:
    synthetic = results.config.data == "synthetic"
    yield "Origin", "synthetic faces of this project; no real person" if synthetic else results.data_name
    yield "Read as", lines.found_line(results.audit).removeprefix("read as ")
    yield "Licence", "that of this project" if synthetic else state_licence(results)
    yield "Citation", dataset_of(results).get("citation", "")
    yield "Compared with the original", lines.difference_line(results.audit)
    yield "Agreement", lines.agreement_line(results.audit)
    yield "Classes", ", ".join(results.class_names)
    yield "Auxiliary classes", lines.auxiliary_line(results.audit)
    yield "Notes", "; ".join(results.audit["notes"])
    yield "Content (SHA-256)", results.audit["fingerprint"][:16]


def state_licence(results: Results) -> str:
    """As the run states it, or else as is known of the data set."""
    stated = results.config.licence
    known = dataset_of(results).get("licence", "")
    return known if known and stated == type(results.config).model_fields["licence"].default else stated


def dataset_of(results: Results) -> dict[str, str]:
    """What the audit says of the known data set that the images were read as; empty where none was recognised."""
    return results.audit.get("dataset") or {}


def _images(results: Results) -> Iterator[tuple[str, str]]:
    audit = results.audit
    yield "Images", f"{audit['images']:,} found, {audit['kept']:,} used"
    aside = [f"{count:,} {kind}" for kind, count in audit["reasons"].items()]
    yield "Set aside", ", ".join(aside) if aside else "none"
    yield "Copies", lines.copies_line(audit)
    yield "Near duplicates", lines.near_duplicates_line(audit)
    yield "Sizes", lines.sizes_line(audit)
    yield "Conversions", lines.conversions_line(audit)
    yield "Faces", lines.faces_line(audit)
    yield "Labels", lines.suspects_line(audit["suspects"])
    for line in lines.shortcut_lines(audit.get("shortcuts")):
        yield "Shortcut", line.partition(": ")[2]


def _split(results: Results) -> Iterator[tuple[str, str]]:
    audit = results.audit
    leaks, persons = audit["leaks"], audit["groups"]["persons"]
    yield "Persons", audit["groups"]["line"]
    yield "Split", lines.split_line(audit)
    yield "Validation", lines.drawn_val_line(audit)
    yield "Class balance", balance_line(audit["splits"])
    yield "Leaks as the data came", lines.leaks_line(leaks["as_given"], persons)
    at_random = lines.leaks_line(leaks["at_random"], persons)
    yield "Leaks in a random split", at_random and f"had single images been drawn, which was not done: {at_random}"
    yield "What was done", leaks["line"]
    yield "Leaks now", lines.leaks_line(leaks["as_used"], persons)


def split_tables(results: Results) -> Shown:
    """Images per class and split, and the images that were set aside with the reason of each."""
    counts = split_table(results.manifest, results.class_names)
    inside = [place < len(results.class_names) for place in range(len(counts))]
    frame = counts.astype(int).rename_axis("Class").reset_index()
    shown = show_table(results, "tbl-splits", frame, "Images per class and split.", groups=inside)
    return shown + _quarantine_table(results) if len(results.quarantined) else shown


def _quarantine_table(results: Results) -> Shown:
    listed = results.quarantined.sort_values("path").head(QUARANTINED_SHOWN)
    frame = listed[["path", "label", "reason"]].set_axis(["Image", "Class", "Reason"], axis=1)
    left = len(results.quarantined) - len(listed)
    note = f"And {left:,} more, all of them in data/manifest.csv." if left else ""
    caption = "Images that were set aside, and why."
    return show_table(results, "tbl-quarantine", frame, caption, note, may_break=True, css="long")
