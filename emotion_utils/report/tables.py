"""Tables: a DataFrame in, HTML out, in one way for the report and the notebooks. No torch.

A cell is shown by what it is: words and names are escaped and stand on the left, numbers on the right; whole numbers
get separators of thousands, others the format of their column, an Estimate has its interval below it, and what is
missing is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby, takewhile
from numbers import Integral
from operator import itemgetter
from typing import Any, NamedTuple

import pandas as pd

from emotion_utils.report.claims import Model
from emotion_utils.report.names import safe, safe_model

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


class Estimate(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float


class Best(float):
    """The figure that a table points out as the best of its kind."""


class Markup(str):
    """Text that is HTML already."""


class Figures(str):
    """Text made of figures, which is aligned as they are: `53 of 60`."""


def frame_of(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame whose cells and column names stay the objects that they are (a Model, an Estimate)."""
    return pd.DataFrame(rows, columns=pd.Index(columns, dtype=object), dtype=object)


def p_value(value: float) -> Figures:
    """A p-value with three decimals, or `< 0.001`."""
    return Figures("< 0.001" if value < 0.001 else f"{value:.3f}")


def table_html(
    frame: pd.DataFrame,
    *,
    decimals: int = 3,
    formats: Mapping[str, str] | None = None,
    groups: Iterable[Any] | None = None,
    headings: bool = False,
    merge: Sequence[str] = (),
    proxies: Container[str] = (),
    css: str = "",
) -> str:
    """`frame` without its index as a <table>.

    Numbers have `decimals`, or the format of their column in `formats` (as of `format`). Rows are set apart by a rule
    where `groups` (a value for each row) changes; with `headings` that value stands in a row of its own above them.
    In the columns `merge`, equal cells of a group that follow each other are one. Models in `proxies` are marked.
    """
    specs = [(formats or {}).get(name) for name in frame]
    kinds = [' class="word"' if any(map(_is_words, frame.iloc[:, place])) else "" for place in range(frame.shape[1])]
    merged = [name in merge for name in frame]
    head = "".join(
        f'<th scope="col"{kind}>{_show(name, None, decimals, proxies)}</th>'
        for name, kind in zip(frame, kinds, strict=True)
    )
    bodies = ""
    keys = [0] * len(frame) if groups is None else groups
    for key, members in groupby(zip(keys, frame.itertuples(index=False), strict=True), key=itemgetter(0)):
        rows = [
            [_show(value, spec, decimals, proxies) for value, spec in zip(row, specs, strict=True)]
            for _, row in members
        ]
        lines = ["".join(_cells(rows, place, kinds, merged)) for place in range(len(rows))]
        if headings:
            title = _show(key, None, decimals, proxies)
            lines.insert(0, f'<th class="word" scope="rowgroup" colspan="{len(specs)}">{title}</th>')
        bodies += f"<tbody>{''.join(f'<tr>{line}</tr>' for line in lines)}</tbody>"
    return f'<table class="{css}"><thead><tr>{head}</tr></thead>{bodies}</table>'


def _cells(rows: list[list[str]], place: int, kinds: list[str], merged: list[bool]) -> Iterator[str]:
    """The cells of the row at `place`, without those that belong to a cell further up."""
    for column, (cell, kind) in enumerate(zip(rows[place], kinds, strict=True)):
        if not merged[column]:
            yield f"<td{kind}>{cell}</td>"
        elif not place or rows[place - 1][column] != cell:
            rest = [row[column] for row in rows[place:]]
            span = f'{kind} rowspan="{len(list(takewhile(cell.__eq__, rest)))}"'
            yield f"<td{span}>{cell}</td>" if column else f'<th scope="rowgroup"{span}>{cell}</th>'


def _show(value: Any, spec: str | None, decimals: int, proxies: Container[str]) -> str:
    """One cell as HTML."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, Model):
        return safe_model(value, proxies)
    if isinstance(value, str):
        return escape(value) if isinstance(value, Figures) else safe(value)
    if isinstance(value, Estimate):
        figure, low, high = (_number(each, spec or f".{4 - bool(place)}f") for place, each in enumerate(value))
        return f'{figure}<br><span class="interval">[{low}, {high}]</span>'
    if value is None or not math.isfinite(value):
        return MISSING
    shown = _number(value, spec or ("," if isinstance(value, Integral) else f".{decimals}f"))
    return f'<strong class="best">{shown}</strong>' if isinstance(value, Best) else shown


def _number(value: float, spec: str) -> str:
    shown = format(value, spec)
    return MINUS + shown[1:] if shown.startswith("-") else shown  # not in an exponent, which is copied


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Figures)
