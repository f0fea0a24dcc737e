"""Numbered figures and tables: what a notebook cell shows, with caption, and what the text calls it. No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from emotion_utils.report.results import Results

LOOK_FIGURES = ("fig-looks", "fig-random", "fig-covered")
APPENDIX_TABLES = (
    "tbl-data", "tbl-splits", "tbl-quarantine", "tbl-weights", "tbl-settings", "tbl-search", "tbl-environment",
    "tbl-times",
    "tbl-published-cells", "tbl-audit", "tbl-matrices",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A piece of the report as HTML; a notebook displays it as it is."""

    html: str

    def _repr_html_(self) -> str:
        return self.html

    def __add__(self, other: Shown) -> Shown:
        return Shown(self.html + other.html)


def number_exhibits(results: Results) -> dict[str, str]:
    """What the text calls each figure and table of this run, in the order in which they appear.

    The tables are numbered as in the study: 1 is the accuracy per epoch, then one classification report per model.
    """
    many = len(results.models) > 1
    tables = ["tbl-epochs", *(report_key(model) for model in results.models), "tbl-intervals"]
    tables += ["tbl-events", "tbl-metrics", *(["tbl-pairs", "tbl-differences"] if many else [])]
    tables += ["tbl-seeds"] * (results.seeds is not None)
    robustness = ["tbl-robustness", "tbl-robustness-classes"] if results.robustness else []
    measured = results.looks is not None
    tables += ["tbl-calibration", *robustness, "tbl-published"] + ["tbl-covered"] * measured
    figures = ["fig-balance", "fig-curves", "fig-confusion", "fig-metrics", "fig-reliability", "fig-risk"]
    figures += ["fig-robustness"] if results.robustness else []
    figures += [*map(image_key, results.images), *(LOOK_FIGURES if measured else ())]
    is_there = {"tbl-quarantine": len(results.quarantined), "tbl-search": len(results.searches)}
    appendix = [key for key in APPENDIX_TABLES if is_there.get(key, True)]
    names = {key: f"Table {number}" for number, key in enumerate(tables, start=1)}
    names |= {key: f"Table A{number}" for number, key in enumerate(appendix, start=1)}
    return names | {key: f"Figure {number}" for number, key in enumerate(figures, start=1)}


def report_key(model: str) -> str:
    return f"tbl-report-{model}"


def image_key(name: str) -> str:
    return "fig-" + name.replace("_", "-")


def safe(text: object) -> str:
    """Text that came with the data, as HTML: escaped, on one line, its direction of writing kept to itself."""
    return f"<bdi>{escape(' '.join(str(text).split()))}</bdi>"


def safe_model(results: Results, model: str) -> str:
    """A model's name as HTML, marked where proxy weights stand behind it."""
    mark = '&nbsp;<span class="proxy">proxy</span>' if model in results.proxies else ""
    return f'<span class="model">{safe(model)}{mark}</span>'


def show_figure(
    results: Results, key: str, panels: Iterable[str], caption: str, *, columns: int, width_px: int
) -> Shown:
    """`panels` (elements with a text alternative of their own), up to `columns` side by side; the caption below.

    `width_px` is how wide a panel may grow. `caption` is HTML: what comes from data in it must be escaped.
    """
    panels = list(panels)
    body = "".join(f'<div class="panel" style="--width:{width_px}px">{panel}</div>' for panel in panels)
    across = ("one", "two", "three")[columns - 1]
    large = " large" if len(panels) > 6 else ""  # more than a page holds
    return Shown(
        f'<figure class="figure{large}" id="{escape(key)}"><div class="panels {across}">{body}</div>'
        f"<figcaption><b>{_name(results, key)}.</b> {caption}</figcaption></figure>"
    )


def show_table(
    results: Results, key: str, table: str, caption: str, note: str = "", *, may_break: bool = False
) -> Shown:
    """`table` (an element) with its caption above and a note below, scrolling sideways where it is too wide.

    On paper a table stays on one page unless it `may_break` between its groups of rows. `caption` and `note` are HTML:
    what comes from data in them must be escaped.
    """
    below = f'<p class="note">{note}</p>' if note else ""
    name, large = _name(results, key), " large" if may_break else ""
    return Shown(
        f'<figure class="table{large}" id="{escape(key)}"><figcaption><b>{name}.</b> {caption}</figcaption>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">{table}</div>{below}</figure>'
    )


def html_table(
    head: Sequence[str], groups: Iterable[Sequence[Sequence[str]]], *, words: Collection[int] = (0,), css: str = ""
) -> str:
    """A <table> of cells that are HTML already; `groups` of rows are set apart by a rule.

    The columns `words` hold words, the others figures. A cell that is a whole <td> or <th> is taken as it is.
    """
    top = "".join(f'<th scope="col"{_kind(place, words)}>{cell}</th>' for place, cell in enumerate(head))
    bodies = "".join(f"<tbody>{''.join(_row(row, words) for row in rows)}</tbody>" for rows in groups)
    return f'<table class="{css}"><thead><tr>{top}</tr></thead>{bodies}</table>'


def _row(row: Sequence[str], words: Collection[int]) -> str:
    cells = "".join(
        cell if cell.startswith(("<td", "<th")) else f"<td{_kind(place, words)}>{cell}</td>"
        for place, cell in enumerate(row)
    )
    return f"<tr>{cells}</tr>"


def _kind(place: int, words: Collection[int]) -> str:
    return ' class="word"' if place in words else ""


def _name(results: Results, key: str) -> str:
    return number_exhibits(results)[key]
