"""Every table and sentence of a finished report, worked out again from the run's artefacts. No torch, no images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report import tables
from emotion_utils.report.checksums import CHECKSUMS, changed_files
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.exhibits import Shown, number_exhibits
from emotion_utils.report.page.page_tables import PageTable, read_prose, read_tables, squeeze_text
from emotion_utils.report.results import Results, read_results
from emotion_utils.report.sections import (
    calibration,
    corruptions,
    creative,
    data_card,
    published_audit,
    seeds,
    settings,
)
from emotion_utils.run import Run

# What the cells of notebook 06 call; a table of the page that none of them makes is an error.
TABLES: tuple[Callable[[Results], Shown], ...] = (
    tables.epochs_table, tables.report_tables, calibration.intervals_table, tables.events_table, tables.metrics_table,
    tables.pairs_table, calibration.differences_table, seeds.seeds_table, calibration.calibration_table,
    corruptions.robustness_table, corruptions.robustness_classes_table, tables.published_comparison,
    creative.covered_table, data_card.data_card, settings.data_tables, settings.weights_table,
    settings.settings_table, settings.search_table, settings.machine_tables, published_audit.published_cells,
    published_audit.audit_tables,
)  # fmt: skip
FLOAT_NOISE = 1e-9  # relative: what another processor or release may round differently


def verify_run(root: Path) -> str:
    """One line on what was worked out again and agrees.

    Raises InputError where `root` holds no finished report, and EmotionError that names the first cell, sentence or
    file that is not what the artefacts say.
    """
    run = Run.open(root)
    changed = changed_files(root)
    since = (
        f" (changed since the report was made: {', '.join(changed)}; `emotion run` makes it again)" if changed else ""
    )
    try:
        counts = _recompute(run)
    except (EmotionError, InputError) as error:
        raise type(error)(f"{error}{since}") from None
    if changed:
        raise EmotionError(
            f"{root / changed[0]} is missing or not what it was when the report was made, see {CHECKSUMS}"
        )
    return f"{root}: {counts} were worked out again and agree; every file has its checksum"


def _recompute(run: Run) -> str:
    results = read_results(run)
    page = _read_page(run)
    claims = [json.loads(json.dumps(claim.as_dict())) for claim in collect_claims(results)]
    _compare_claims(run, claims)
    said = read_prose(page)
    for number, claim in enumerate(claims, start=1):
        if squeeze_text(claim["text"]) not in said:
            raise EmotionError(f"report.html lacks sentence {number} of {run.claims_path.name}: {claim['text']!r}")
    cells = _compare_tables(results, page)
    return f"{len(claims):,} sentences and {cells:,} cells of tables"


def _read_page(run: Run) -> str:
    path = run.root / "report.html"
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run `emotion run --output {run.root}` first") from None


# -- sentences -------------------------------------------------------------------------------------


def _compare_claims(run: Run, claims: list[dict[str, Any]]) -> None:
    stored = run.read_claims()
    for number, (theirs, ours) in enumerate(zip_longest(stored, claims), start=1):
        place = f"{run.claims_path}, sentence {number}"
        if theirs is None or ours is None:
            raise EmotionError(f"{place}: {len(stored)} sentences are stored, {len(claims)} follow from the artefacts")
        for where, stored_value, found in _differences(theirs, ours):
            raise EmotionError(f"{place}, {where}: {stored_value!r} is stored, {found!r} follows from the artefacts")


def _differences(theirs: Any, ours: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Place and both values of whatever differs in two plain values."""
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        for key in ours:
            yield from _differences(theirs[key], ours[key], f"{where}.{key}" if where else key)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, pair in enumerate(zip(theirs, ours, strict=True), start=1):
            yield from _differences(*pair, f"{where}[{number}]")
    elif not _same(theirs, ours):
        yield where, theirs, ours


def _same(theirs: Any, ours: Any) -> bool:
    if isinstance(theirs, float) and isinstance(ours, float):
        return math.isclose(theirs, ours, rel_tol=FLOAT_NOISE, abs_tol=FLOAT_NOISE)
    return type(theirs) is type(ours) and theirs == ours


# -- tables ----------------------------------------------------------------------------------------


def _compare_tables(results: Results, page: str) -> int:
    """The number of cells, all of which are what they should be."""
    names = {key: name for key, name in number_exhibits(results).items() if key.startswith("tbl-")}
    ours = read_tables("".join(make(results).html for make in TABLES))
    theirs = read_tables(page)
    for key in [*names, *theirs]:
        if key not in theirs or key not in ours:
            where = "the report lacks" if key not in theirs else "nothing in the artefacts makes"
            raise EmotionError(f"{where} {names.get(key, 'a table')} ({key})")
        _compare_table(f"report.html, {names[key]}", theirs[key], ours[key])
    return sum(len(row) for table in ours.values() for row in table.rows)


def _compare_table(name: str, theirs: PageTable, ours: PageTable) -> None:
    for part in ("caption", "note"):
        _compare_text(f"{name}, {part}", getattr(theirs, part), getattr(ours, part))
    if len(theirs.rows) != len(ours.rows):
        raise EmotionError(f"{name}: {len(theirs.rows)} rows are printed, {len(ours.rows)} follow from the artefacts")
    head = ours.rows[0]
    for number, (printed, found) in enumerate(zip(theirs.rows, ours.rows, strict=True), start=1):
        for place, (cell, expected) in enumerate(zip_longest(printed, found, fillvalue=""), start=1):
            column = f"column {head[place - 1]!r}" if len(found) == len(head) == len(printed) else f"cell {place}"
            _compare_text(f"{name}, row {number} ({' '.join(found[:1])}), {column}", cell, expected)


def _compare_text(place: str, printed: str, expected: str) -> None:
    if squeeze_text(printed) != squeeze_text(expected):
        raise EmotionError(f"{place}: {printed!r} is printed, {expected!r} follows from the artefacts")
