"""Numbered figures and tables: what a notebook cell shows, with caption, and what the text calls it. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from emotion_utils.config import RunConfig
from emotion_utils.report.tables import table_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from emotion_utils.report.results import Results

SALIENCY_FIGURES = ("fig-saliency", "fig-random", "fig-occlusion")
# The tables of each appendix.
APPENDICES = {
    "A": (
        "tbl-intervals", "tbl-events", "tbl-differences", "tbl-seeds", "tbl-calibration", "tbl-robustness",
        "tbl-robustness-classes", "tbl-covered",
    ),
    "B": ("tbl-data", "tbl-splits", "tbl-quarantine", "tbl-fairness"),
    "C": ("tbl-weights", "tbl-settings", "tbl-search"),
    "D": ("tbl-environment", "tbl-times", "tbl-openings"),
    "E": ("tbl-published-cells",),
    "F": ("tbl-audit", "tbl-matrices"),
}  # fmt: skip


class Exhibited(Protocol):
    """What a page shows: the models that rest on proxy weights, and what its text calls each figure and table."""

    @property
    def proxies(self) -> list[str]: ...

    @property
    def exhibits(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Shown:
    """A piece of the report as HTML; a notebook displays it as it is."""

    html: str = ""

    def _repr_html_(self) -> str:
        return self.html

    def __add__(self, other: Shown) -> Shown:
        return Shown(self.html + other.html)


FACES_OFF = Shown("<p>No image of a person is shown, as <code>show_faces</code> is off.</p>")


def show_images(config: RunConfig, plot: Callable[..., Figure | None], *arguments: Any, **more: Any) -> Figure | Shown:
    """What `plot` draws of people; a sentence instead where the run shows no faces, or there is nothing to draw."""
    if not config.show_faces:
        return FACES_OFF
    return plot(*arguments, **more) or Shown("<p>There are no such images.</p>")


def number_exhibits(results: Results) -> dict[str, str]:
    """What the text calls each figure and table of this run, in the order in which they appear.

    The tables are numbered as in the study: 1 is the accuracy per epoch, then one classification report per model.
    Those of an appendix have its letter.
    """
    many, measured = len(results.models) > 1, results.saliency is not None
    tables = ["tbl-epochs", *(report_key(model) for model in results.models)]
    tables += ["tbl-metrics", *["tbl-strata"] * results.has_shortcuts, *["tbl-pairs"] * many]
    tables += [*["tbl-ablation"] * bool(results.ablations), "tbl-published"]
    figures = [
        "fig-summary",
        "fig-balance",
        "fig-curves",
        "fig-confusion",
        "fig-metrics",
        "fig-reliability",
        "fig-risk",
    ]
    figures += ["fig-corruptions"] if results.robustness else []
    figures += [*map(image_key, results.images), *(SALIENCY_FIGURES if measured else ())]
    figures += ["fig-video"] * (results.video is not None)
    is_there = {
        "tbl-quarantine": len(results.quarantined), "tbl-openings": results.openings, "tbl-search": results.searches,
        "tbl-differences": many, "tbl-seeds": results.seeds is not None, "tbl-robustness": results.robustness,
        "tbl-robustness-classes": results.robustness, "tbl-covered": measured,
        "tbl-fairness": results.config.fairness,
    }  # fmt: skip
    names = {key: f"Table {number}" for number, key in enumerate(tables, start=1)}
    for letter, keys in APPENDICES.items():
        there = [key for key in keys if is_there.get(key, True)]
        names |= {key: f"Table {letter}{number}" for number, key in enumerate(there, start=1)}
    return names | {key: f"Figure {number}" for number, key in enumerate(figures, start=1)}


def report_key(model: str) -> str:
    return f"tbl-report-{model}"


def image_key(name: str) -> str:
    return "fig-" + name.replace("_", "-")


def show_figure(
    results: Exhibited, key: str, panels: Iterable[str], caption: str, *, columns: int, width_px: int
) -> Shown:
    """`panels` (elements with a text alternative of their own), up to `columns` side by side; the caption below.

    `width_px` is how wide a panel may grow. `caption` is HTML: what comes from data in it must be escaped.
    """
    panels = list(panels)
    name = results.exhibits[key]
    scrolls = f' role="region" tabindex="0" aria-label="{name}"'  # an image may be wider than a telephone
    body = "".join(
        f'<div class="panel" style="--width:{width_px}px"{scrolls * panel.startswith("<img")}>{panel}</div>'
        for panel in panels
    )
    across = ("one", "two", "three")[columns - 1]
    large = " large" if len(panels) > 6 else ""  # more than a page holds
    return Shown(
        f'<figure class="figure{large}" id="{escape(key)}"><div class="panels {across}">{body}</div>'
        f"<figcaption><b>{name}.</b> {caption}</figcaption></figure>"
    )


def show_table(
    results: Exhibited,
    key: str,
    table: pd.DataFrame | str,
    caption: str,
    note: str = "",
    *,
    may_break: bool = False,
    **options: Any,
) -> Shown:
    """A table (a <table>, or a frame and the `options` of `table_html`), its caption above and a note below.

    It scrolls sideways where it is too wide. On paper it stays on one page unless it `may_break` between its groups of
    rows. `caption` and `note` are HTML: what comes from data in them must be escaped.
    """
    body = table if isinstance(table, str) else table_html(table, proxies=results.proxies, **options)
    below = f'<p class="note">{note}</p>' if note else ""
    name, large = results.exhibits[key], " large" if may_break else ""
    return Shown(
        f'<figure class="table{large}" id="{escape(key)}"><figcaption><b>{name}.</b> {caption}</figcaption>'
        f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">{body}</div>{below}</figure>'
    )
