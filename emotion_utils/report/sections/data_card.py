"""The data card: where the images came from, what was found in them and what was done about it. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from emotion_utils.audit import lines
from emotion_utils.report.exhibits import Shown, html_table, safe, show_table
from emotion_utils.report.results import Results
from emotion_utils.report.sections.settings import data_name


def data_card(results: Results) -> Shown:
    """The card as a table of the appendix, filled in from the run's configuration, manifest and audit."""
    groups = [list(_origin(results)), list(_images(results)), list(_split(results))]
    rows = [[[f"<b>{name}</b>", safe(text)] for name, text in group if text] for group in groups]
    table = html_table(("What", "Finding"), rows, words=(0, 1), css="long")
    return show_table(results, "tbl-data", table, "Data card.", may_break=True)


def _origin(results: Results) -> Iterator[tuple[str, str]]:
    synthetic = results.config.data == "synthetic"
    yield "Origin", "faces drawn by this project; no real person" if synthetic else data_name(results.config)
    yield "Licence", "that of this project" if synthetic else results.config.licence
    yield "Classes", ", ".join(results.class_names)
    yield "Notes", "; ".join(results.audit["notes"])
    yield "Content (SHA-256)", results.audit["fingerprint"][:16]


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


def _split(results: Results) -> Iterator[tuple[str, str]]:
    audit = results.audit
    leaks = audit["leaks"]
    yield "People", audit["groups"]["line"]
    yield "Split", lines.split_line(audit)
    yield "Class balance", audit["splits"]["line"]
    yield "Leaks as the data came", lines.leaks_line(leaks["as_given"])
    yield "Leaks in a random split", lines.leaks_line(leaks["at_random"])
    yield "What was done", leaks["line"]
    yield "Leaks now", lines.leaks_line(leaks["as_used"])
