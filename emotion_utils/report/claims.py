"""Sentences that carry the figures they rest on, and the rules that none may break. No torch.

A claim is a template with fields, `"{model} names {accuracy:pct} right"`, and the values of the fields. No digit is
written in a template; what a field shows is made from its value. Formats: count, words and Words (small numbers
spelled out), pct, pct0, points, rate, plain, p, duration, times; none for names.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from emotion_utils.errors import EmotionError
from emotion_utils.evaluation.statistics import ALPHA
from emotion_utils.progress import format_duration
from emotion_utils.report.names import safe, safe_markdown, safe_model
from emotion_utils.run import Run

TOLERANCE = 0.0005  # what rounding to one decimal of a percent may hide
NUMBER_WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
NUMBERED = {"Table", "Figure", "Section"}  # of which several are Tables 1 and 2
NUMERAL = re.compile(r"\d(?:[\d,]*\d)?(?:\.\d+)?")
# Words that make one model a winner; a claim may use them only where a test stands behind it.
WINNER = re.compile(
    r"\b(ahead of|outperform\w*|better than|best model|more accurate than|superior|dominat\w+|beats?|wins?|winner)\b",
    re.I,
)
# Comparisons: a model is ahead of another; no difference is significant; how the report decides; what a test can show.
AHEAD, UNDECIDED, RULE, POWER = "ahead", "undecided", "rule", "power"


class Model(str):
    """A model's name."""


class Label(str):
    """The name of a class."""


class Lead(str):
    """What a sentence is about, at its beginning."""


class Ref(str):
    """The key of a figure or table."""


@dataclass(frozen=True)
class Claim:
    """One sentence: its template, the values of its fields (finite numbers, names, lists of them), what it compares.

    `values` may hold more than the template shows: a p-value, say, that the sentence rests on.
    """

    section: str
    template: str
    values: Mapping[str, Any]
    metric: str = ""
    comparison: str = "value"
    names: Mapping[str, str] = field(default_factory=dict)  # what Refs are called: key -> Table 1

    @property
    def text(self) -> str:
        return _Plain(self.names).vformat(self.template, (), self.values)

    @property
    def markdown(self) -> str:
        return _Markdown(self.names).vformat(self.template, (), self.values)

    def html(self, proxies: set[str]) -> str:
        """The sentence as HTML; a name in `proxies` is marked and then taken out, so that it is marked once."""
        return _Html(self.names, proxies).vformat(self.template, (), self.values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for claims.json."""
        shown = {key: value for key, value in self.values.items() if not isinstance(value, Ref)}
        return {
            "section": self.section, "text": self.text, "metric": self.metric,
            "models": sorted({str(value) for value in flat(self.values) if isinstance(value, Model)}),
            "comparison": self.comparison, "values": shown, "tolerance": TOLERANCE,
        }  # fmt: skip


def check_claim(claim: Claim) -> None:
    """Raises EmotionError where a sentence says more than its own values carry."""
    if not all(math.isfinite(value) for value in flat(claim.values) if isinstance(value, int | float)):
        raise EmotionError(f"claim {claim.template!r} rests on a value that is not finite: {dict(claim.values)}")
    text = _Nameless(claim.names).vformat(claim.template, (), claim.values)
    unknown = unknown_numerals(text, claim.values)
    if unknown:
        raise EmotionError(f"claim {text!r}: {unknown[0]} is none of its values {dict(claim.values)}")
    tested, smallest = claim.values.get("p_holm"), claim.values.get("p")
    if re.search(r"\bsignifican", text, re.I) and tested is smallest is None and claim.comparison not in (RULE, POWER):
        raise EmotionError(f"claim {text!r} speaks of significance without a test")
    if WINNER.search(text) and claim.comparison != AHEAD:
        raise EmotionError(f"claim {text!r} names a winner, but compares nothing")
    if claim.comparison == UNDECIDED and not smallest > ALPHA:
        raise EmotionError(f"claim {text!r} denies a significant difference: {dict(claim.values)}")
    if claim.comparison == AHEAD and not (tested is not None and tested <= ALPHA and claim.values["difference"] > 0):
        raise EmotionError(f"claim {text!r} names a winner that is none: {dict(claim.values)}")


def unknown_numerals(text: str, values: Mapping[str, Any]) -> list[str]:
    """The numerals of `text` (without names) that show none of the numbers in `values`."""
    numbers = [value for value in flat(values) if isinstance(value, int | float)]
    known = {numeral for number in numbers for shown in _all_forms(number) for numeral in NUMERAL.findall(shown)}
    return [numeral for numeral in NUMERAL.findall(text) if numeral not in known]


def write_claims(run: Run, claims: Iterable[Claim]) -> None:
    """Checks each claim and writes claims.json."""
    claims = list(claims)
    for claim in claims:
        check_claim(claim)
    run.write("claims", [claim.as_dict() for claim in claims])


# -- how a value is shown --------------------------------------------------------------------------


def show_number(value: float, form: str) -> str:
    """A number as text in one of the formats of this module."""
    if form in ("words", "Words"):
        word = NUMBER_WORDS[value] if 0 <= value < len(NUMBER_WORDS) else f"{value:,}"
        return word.capitalize() if form == "Words" else word
    if form == "times":
        return {1: "once", 2: "twice"}.get(value) or f"{show_number(value, 'words')} times"
    if form == "duration":
        return format_duration(value)
    if form == "p":
        return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
    forms = {"count": "{:,.0f}", "pct": "{:.1%}", "pct0": "{:.0%}", "rate": "{:.3f}", "plain": "{:g}"}
    if form == "points":
        shown = f"{100 * value:.1f}"
        return f"{shown} point" if shown == "1.0" else f"{shown} points"
    return forms[form].format(value)


def join_words(words: Iterable[str], last_by: str = "and") -> str:
    """a; a and b; a, b and c."""
    *first, last = words
    return f"{', '.join(first)} {last_by} {last}" if first else last


class _Plain(string.Formatter):
    """Fields as plain text."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, list | tuple):
            return self.show_list(value, format_spec)
        if isinstance(value, str):
            return self.show_name(value)
        return show_number(value, format_spec)

    def show_list(self, values: Sequence[Any], form: str) -> str:
        """Joined by commas and `and`; references of one kind as `Tables 2, 3 and 4`."""
        kinds = {self.names[value].split()[0] for value in values if isinstance(value, Ref)}
        if len(values) == 1 or len(kinds) != 1 or not kinds <= NUMBERED:
            return join_words(self.format_field(value, form) for value in values)
        return f"{kinds.pop()}s " + join_words(self.show_reference(ref, self.names[ref].split()[1]) for ref in values)

    def show_name(self, value: str) -> str:
        return self.show_reference(value, self.names[value]) if isinstance(value, Ref) else " ".join(value.split())

    def show_reference(self, key: str, name: str) -> str:
        return name


class _Markdown(_Plain):
    """Fields as Markdown; whatever is a name is escaped."""

    def show_name(self, value: str) -> str:
        return safe_markdown(super().show_name(value))


class _Html(_Plain):
    """Fields as HTML; whatever is a name is escaped. Templates themselves hold no markup."""

    def __init__(self, names: Mapping[str, str], proxies: set[str]) -> None:
        super().__init__(names)
        self.proxies = proxies

    def format_field(self, value: Any, format_spec: str) -> str:
        shown = super().format_field(value, format_spec)
        return escape(shown).replace(" ", "&nbsp;") if isinstance(value, int | float) else shown

    def show_name(self, value: str) -> str:
        if isinstance(value, Ref):
            return super().show_name(value)
        if isinstance(value, Model):
            shown = safe_model(value, self.proxies)
            self.proxies.discard(value)
            return shown
        if isinstance(value, Lead):
            return f"<b>{safe(value)}</b>"
        return f"<em>{safe(value)}</em>" if isinstance(value, Label) else safe(value)

    def show_reference(self, key: str, name: str) -> str:
        shown = escape(name).replace(" ", "&nbsp;")
        return f'<a class="ref" href="#{escape(key)}">{shown}</a>'


def flat(values: Any) -> list[Any]:
    """The leaves of nested lists and mappings."""
    if isinstance(values, Mapping):
        values = values.values()
    return [leaf for v in values for leaf in (flat(v) if isinstance(v, list | tuple | Mapping) else [v])]


def _all_forms(number: float) -> list[str]:
    forms = ["count", "pct", "pct0", "points", "rate", "plain", "duration", "p"]
    return [show_number(number, form) for form in (*forms, *["words"] * isinstance(number, int))]


class _Nameless(_Plain):
    """Without the names, which may hold digits and words of their own."""

    def show_list(self, values: Sequence[Any], form: str) -> str:
        return join_words(self.format_field(value, form) for value in values)

    def show_name(self, value: str) -> str:
        return ""
