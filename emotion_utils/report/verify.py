"""Every table and sentence of a finished report, worked out again from the run's artefacts. No torch, no images."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from operator import ne
from pathlib import Path
from typing import Any

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.printable import printable
from emotion_utils.provenance import git_revision
from emotion_utils.report.checksums import CHECKSUMS, changed_files, unlisted_files
from emotion_utils.report.claims import NUMERAL, Claim, Label, Model, flat, unknown_numerals
from emotion_utils.report.contents import TABLES, collect_claims
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.model_card import make_card
from emotion_utils.report.page.again import compare_pages, look_through_pages, read_page
from emotion_utils.report.page.page_tables import (
    PageTable,
    check_numbers,
    parse_html,
    read_prose,
    read_tables,
    squeeze_text,
)
from emotion_utils.report.page.paper import find_additions, find_garbled, find_lack, read_paper
from emotion_utils.report.page.reread import PageText
from emotion_utils.report.results import Results, read_results
from emotion_utils.report.tables import MINUS
from emotion_utils.run import Run

FLOAT_NOISE = 1e-9  # relative: what another processor or release may round differently
REFERENCE = re.compile(r"\b(?:Table|Figure|Section)s? [A-H]?[\d.]*\d(?:(?:, | and )[A-H]?[\d.]*\d)*")


@dataclass
class Comparison:
    """What is compared of the report of `written_by`, and what was found to differ in its words alone."""

    written_by: str  # git revision
    this: str
    names: Sequence[str]  # of models and classes
    sentences: int = 0  # worded differently here
    cells: int = 0
    added: list[str] = field(default_factory=list)  # what this version shows and the report does not

    @property
    def by_words(self) -> bool:
        """The same version wrote the report, so that every word must be the same."""
        return self.written_by == self.this != "unknown"

    @cached_property
    def facts(self) -> re.Pattern[str]:
        names = "|".join(re.escape(" ".join(name.split())) for name in sorted(self.names, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{names})(?!\w)|[+<{MINUS}]? ?(?<![^\W\d]){NUMERAL.pattern}")

    def facts_of(self, text: str) -> list[str]:
        """The names and figures in `text`, in their order, without the numbers of figures and tables."""
        found = self.facts.findall(REFERENCE.sub("", " ".join(text.split()).replace("\u2060", "")))
        return [fact.replace(" ", "") for fact in found]

    def agree(self, printed: str, expected: str) -> bool:
        """Whether two texts say the same: every word if the same version wrote them, else every name and figure."""
        if squeeze_text(printed) == squeeze_text(expected):
            return True
        return not self.by_words and self.facts_of(printed) == self.facts_of(expected)

    def note(self) -> str:
        """For the line on the result: what is not compared and what differs; empty where every word is compared."""
        parts = [f"this version words {self.sentences:,} of the sentences and {self.cells:,} of the cells differently"]
        parts = parts if self.sentences or self.cells else []
        parts += [f"the report lacks {', '.join(self.added)}, which this version has"] if self.added else []
        if self.by_words:
            return f"; {' and '.join(parts)}" if parts else ""
        versions = f"written by revision {self.written_by}, verified by {self.this}"
        not_compared = "words, drawings and cells of notebooks are not compared"
        return "; ".join(["", f"{versions}: {not_compared}", *parts])


def verify_run(root: Path) -> str:
    """One line on what was recomputed and agrees.

    Where another version of the program wrote the report, its sentences and tables may be worded differently, which
    the line then says; their names and figures must be those of the artefacts. Raises InputError where `root` holds
    no finished report, and EmotionError that names the first cell, sentence or file that the artefacts contradict.
    """
    run = Run.open(root)
    changed = changed_files(root)
    since = (
        f" (changed since the report was made: {', '.join(changed)}; `emotion run` makes it again)" if changed else ""
    )
    try:
        results, page = read_results(run), read_page(run.inside("report.html"))
        written_by = run.facts.get("environment", {}).get("git_revision", "unknown")
        comparison = Comparison(written_by, git_revision(), [*results.models, *results.class_names])
        counts, compared = _recompute(run, results, page, comparison)
    except (EmotionError, InputError) as error:
        raise type(error)(f"{error}{since}") from None
    if changed:
        raise EmotionError(f"{root / changed[0]} is missing, changed or new since the report was made, see {CHECKSUMS}")
    pages = compare_pages(run, results) if comparison.by_words else look_through_pages(run, results, compared)
    pages += _compare_paper(run, results, page)
    return f"{root}: every file has its checksum; {counts}{pages}{comparison.note()}{_name_unlisted(root)}"


def _name_unlisted(root: Path) -> str:
    """Files that nothing vouches for, as words for the line on the result."""
    names = unlisted_files(root)
    kinds = "files and empty folders" if any(name.endswith("/") for name in names) else "files"
    named = printable(", ".join(name[:120] for name in names[:3]))
    return f"; {len(names):,} {kinds} are not listed in {CHECKSUMS}: {named}" if names else ""


def _compare_paper(run: Run, results: Results, page: str) -> str:
    """What report.pdf lacks of the page, or has otherwise for want of a font, as words for the line on the result.

    Anything else that it has and the page has not raises EmotionError.
    """
    pdf = run.inside("report.pdf")
    if not pdf.exists():
        return "; there is no report.pdf"
    text, paper = PageText(page), read_paper(pdf)
    said = "report.pdf has, and report.html has not"
    for added in find_additions(text, paper):
        raise EmotionError(f"{said}: {added}")
    for garbled in find_garbled(text, paper):
        if run.facts.get("report", {}).get("notes") or not "".join(results.class_names).isascii():
            return f"; {said}: {garbled}"
        raise EmotionError(f"{said}: {garbled}")
    lack = find_lack(text, paper)
    return f"; report.pdf is not all that report.html is: {lack}" if lack else ""


def _recompute(run: Run, results: Results, page: str, comparison: Comparison) -> tuple[str, str]:
    """How much was recomputed and agrees, and the text that this was, without blanks.

    Raises EmotionError that names the first thing that does not agree.
    """
    stored, claims = run.read("claims"), collect_claims(results)
    _compare_claims(run, stored, claims, comparison)
    seen = parse_html(page)
    said, tables = read_prose(seen), read_tables(seen)
    _compare_prose(said, [claim["text"] for claim in stored], [claim.text for claim in claims])
    check_numbers(seen)
    cells = _compare_tables(results, tables, comparison)
    _compare_cards(run, results, comparison)
    counts = f"{len(stored):,} sentences and {cells:,} cells of tables were recomputed and agree"
    return counts, said + "".join(squeeze_text(table.text) for table in tables.values())


# -- sentences -------------------------------------------------------------------------------------


def _compare_claims(run: Run, stored: list[dict[str, Any]], claims: list[Claim], comparison: Comparison) -> None:
    """Each stored sentence must follow, in order; another version may have sentences that the report lacks."""
    counts = f"{len(stored)} sentences are stored, {len(claims)} follow from the artefacts"
    rest, spare = iter(claims), 0 if comparison.by_words else len(claims) - len(stored)
    for number, theirs in enumerate(stored, start=1):
        place = f"{run.path('claims')}, sentence {number}"
        first = ours = next(rest, None)
        if ours is None:
            raise EmotionError(f"{place}: {counts}")
        while (found := _difference(theirs, ours, comparison)) and spare > 0:
            ours, spare = next(rest), spare - 1
        if found:
            where, stored_value, expected = _difference(theirs, first, comparison)
            raise EmotionError(f"{place}, {where}: {stored_value!r} is stored, {expected!r} follows from the artefacts")
        comparison.sentences += theirs["text"] != ours.text
        _check_numerals(place, theirs, ours)
    if comparison.by_words and len(stored) < len(claims):
        raise EmotionError(f"{run.path('claims')}, sentence {len(stored) + 1}: {counts}")
    if len(stored) < len(claims):
        comparison.added.append(f"{len(claims) - len(stored):,} sentences")


def _compare_prose(said: str, stored: list[str], ours: list[str]) -> None:
    """Raises EmotionError where the page's generated text lacks a stored sentence, or has one that nothing made."""
    rest = said
    for number, text in enumerate(stored, start=1):
        if squeeze_text(text) not in said:
            raise EmotionError(f"report.html lacks sentence {number} of claims.json: {text!r}")
    for text in sorted(map(squeeze_text, {*stored, *ours}), key=len, reverse=True):
        rest = rest.replace(text, "")
    if rest:
        raise EmotionError(f"report.html: no sentence of claims.json, but among them: {rest[:120]!r}")


def _difference(theirs: dict[str, Any], ours: Claim, comparison: Comparison) -> tuple[str, Any, Any] | None:
    """Place and both values of the first thing that differs between a stored sentence and a claim."""
    expected = ours.as_dict()
    if not comparison.by_words:  # then the values may also have other names
        theirs, expected = ({"values": list(each["values"].values())} for each in (theirs, expected))
    return next(_differences(theirs, expected, comparison), None)


def _differences(theirs: Any, ours: Any, comparison: Comparison, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        for key in ours:
            yield from _differences(theirs[key], ours[key], comparison, f"{where}.{key}" if where else key)
    elif isinstance(theirs, list) and isinstance(ours, list | tuple) and len(theirs) == len(ours):
        for number, pair in enumerate(zip(theirs, ours, strict=True), start=1):
            yield from _differences(*pair, comparison, f"{where}[{number}]")
    elif not _same(theirs, ours, comparison):
        yield where, theirs, ours


def _same(theirs: Any, ours: Any, comparison: Comparison) -> bool:
    if isinstance(theirs, float) and isinstance(ours, float):
        return math.isclose(theirs, ours, rel_tol=FLOAT_NOISE, abs_tol=FLOAT_NOISE)
    if isinstance(theirs, str) and isinstance(ours, str) and not isinstance(ours, Model | Label):
        return comparison.agree(theirs, ours)
    return theirs == ours and isinstance(ours, type(theirs))


def _check_numerals(place: str, theirs: dict[str, Any], ours: Claim) -> None:
    """Raises EmotionError where a stored sentence shows a number that is none of its values."""
    text = REFERENCE.sub("", theirs["text"])
    names = [REFERENCE.sub("", " ".join(v.split())) for v in flat(theirs["values"]) if isinstance(v, str)]
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    unknown = unknown_numerals(text, ours.values)
    if unknown:
        raise EmotionError(f"{place}: {unknown[0]} in {theirs['text']!r} is none of its values")


# -- model cards -----------------------------------------------------------------------------------


def _compare_cards(run: Run, results: Results, comparison: Comparison) -> None:
    """Each line of a card must follow; another version may have written none, or lines in another order."""
    for model in results.models:
        path = run.path("readme", model)
        if not path.exists() and not comparison.by_words:
            comparison.added.append(f"the card of {model}")
            continue
        printed = run.read("readme", model).splitlines()
        expected = make_card(results, model).splitlines()
        known = set(expected) if comparison.by_words else {tuple(comparison.facts_of(line)) for line in expected}
        for number, line in enumerate(printed, start=1):
            if (line if comparison.by_words else tuple(comparison.facts_of(line))) not in known:
                raise EmotionError(f"{path}, line {number}: {line[:200]!r} does not follow from the artefacts")
        if comparison.by_words and printed != expected:
            raise EmotionError(f"{path}: lines are missing, added or in another order")


# -- tables ----------------------------------------------------------------------------------------


def _compare_tables(results: Results, theirs: dict[str, PageTable], comparison: Comparison) -> int:
    """The number of cells of the page, all of which are what they should be."""
    names = {key: name for key, name in number_exhibits(results).items() if key.startswith("tbl-")}
    ours = read_tables(parse_html("".join(make(results).html for make in TABLES)))
    for key in dict.fromkeys([*names, *theirs]):
        if key in theirs and key in ours:
            _compare_table(f"report.html, {names[key]}", theirs[key], ours[key], comparison)
        elif key in theirs or comparison.by_words:
            where = "the report lacks" if key not in theirs else "nothing in the artefacts makes"
            raise EmotionError(f"{where} {names.get(key, 'a table')} ({key})")
        else:
            comparison.added.append(names[key])
    return sum(len(row) for table in theirs.values() for row in table.rows)


def _compare_table(name: str, theirs: PageTable, ours: PageTable, comparison: Comparison) -> None:
    """Each printed row must follow, in order; another version may have rows that the report lacks."""
    for part in ("caption", "note"):
        _compare_text(f"{name}, {part}", getattr(theirs, part), getattr(ours, part), comparison)
    spare = len(ours.rows) - len(theirs.rows)
    if spare < 0 or (spare and comparison.by_words):
        raise EmotionError(f"{name}: {len(theirs.rows)} rows are printed, {len(ours.rows)} follow from the artefacts")
    rest = iter(ours.rows)
    for number, printed in enumerate(theirs.rows, start=1):
        first = found = next(rest)
        while not (agree := comparison.agree("\n".join(printed), "\n".join(found))) and spare:
            found, spare = next(rest), spare - 1
        if not agree:
            _refuse_row(f"{name}, row {number} ({' '.join(first[:1])})", ours.rows[0], printed, first, comparison)
        comparison.cells += sum(map(ne, map(squeeze_text, printed), map(squeeze_text, found)))


def _refuse_row(place: str, head: list[str], printed: list[str], found: list[str], comparison: Comparison) -> None:
    """Raises EmotionError that names the first cell that differs."""
    for number, (cell, expected) in enumerate(zip_longest(printed, found, fillvalue=""), start=1):
        column = f"column {head[number - 1]!r}" if len(found) == len(head) == len(printed) else f"cell {number}"
        if not comparison.agree(cell, expected):
            raise _contradiction(f"{place}, {column}", cell, expected)
    raise _contradiction(place, " ".join(printed), " ".join(found))


def _compare_text(place: str, printed: str, expected: str, comparison: Comparison) -> None:
    if not comparison.agree(printed, expected):
        raise _contradiction(place, printed, expected)
    comparison.cells += squeeze_text(printed) != squeeze_text(expected)


def _contradiction(place: str, printed: str, expected: str) -> EmotionError:
    return EmotionError(f"{place}: {printed!r} is printed, {expected!r} follows from the artefacts")
