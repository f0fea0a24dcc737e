"""The one look of all figures: colours that stay apart for colour-blind readers, and SVG that is the same each time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from html import escape

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from emotion_utils.model_table import STUDY_MODELS

INK, MUTED, RULE, PAPER = "#1b1d22", "#5b6068", "#d9dce1", "#ffffff"
SHADE = "#0a6aa6"  # of a cell in a matrix, the more opaque the more images it holds
# Each colour with the one that takes its place on a dark page. Okabe and Ito's set, darkened until text in it reads.
MODEL_COLORS = (
    ("#0a6aa6", "#6db9f2"), ("#bf4b00", "#ff9d66"), ("#00795a", "#4fd0a5"), ("#9a3d86", "#e79ad5"),
    ("#7d6200", "#dcbc4e"), ("#4f5bb5", "#a6b0ff"), ("#8a4a2f", "#d9a288"), ("#4a7a1f", "#a5d074"),
    ("#b0305c", "#ff94b4"), ("#4d5661", "#b4bdc9"),
)  # fmt: skip
MODEL_MARKERS = "osD^vPX*<>"
NAME_LETTERS = 14  # of a class name in a figure; the tables have it in full
SPLIT_COLORS = {"train": "#44617f", "val": "#a9c4dd", "test": "#e3b667"}
DARK = {INK: "#e7e8ea", MUTED: "#a7adb6", RULE: "#3a4048", PAPER: "#16181c", **dict(MODEL_COLORS)}
FONTS = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

_RC = {
    "font.family": "sans-serif", "font.size": 8.5, "text.color": INK, "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED, "axes.linewidth": 0.7, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.labelsize": 8.5,
    "axes.axisbelow": True, "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "xtick.major.width": 0.7, "ytick.major.width": 0.7, "xtick.major.size": 3, "ytick.major.size": 0,
    "grid.color": RULE, "grid.linewidth": 0.6, "lines.linewidth": 1.7, "lines.markersize": 3.6,
    "legend.frameon": False, "legend.fontsize": 8, "figure.dpi": 110, "savefig.dpi": 150, "text.parse_math": False,
    "figure.facecolor": PAPER, "axes.facecolor": "none",
}  # fmt: skip


@contextmanager
def figure_style() -> Iterator[None]:
    """Figures made inside have the report's look; the settings outside stay as they are."""
    with plt.rc_context():
        plt.rcdefaults()  # whatever a person's own matplotlibrc says
        plt.rcParams.update(_RC)
        yield


def model_colors(models: Iterable[str]) -> dict[str, str]:
    """A colour of its own for each of up to ten models; the study's three keep theirs whoever stands beside them."""
    return {model: MODEL_COLORS[place][0] for model, place in _places(models).items()}


def model_markers(models: Iterable[str]) -> dict[str, str]:
    """The second mark of each model, for print without colour."""
    return {model: MODEL_MARKERS[place] for model, place in _places(models).items()}


def _places(models: Iterable[str]) -> dict[str, int]:
    models = list(models)
    kept = len(STUDY_MODELS)
    free = [*range(kept, len(MODEL_COLORS)), *range(kept)]
    places = {model: STUDY_MODELS.index(model) for model in models if model in STUDY_MODELS}
    for model in models:
        if model not in places:
            places[model] = next((p for p in free if p not in places.values()), len(places) % len(MODEL_COLORS))
    return places


def spread_labels(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """`positions` moved as little as a simple sweep allows so that they lie `gap` apart, within `low` to `high`."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = dict.fromkeys(order, low)
    floor = low
    for index in order:
        placed[index] = max(positions[index], floor)
        floor = placed[index] + gap
    ceiling = high
    for index in reversed(order):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return [placed[index] for index in range(len(positions))]


def shorten(name: str) -> str:
    """A class name as figures show it: on one line, cut after NAME_LETTERS."""
    name = " ".join(str(name).split())
    return name if len(name) <= NAME_LETTERS else name[: NAME_LETTERS - 1] + "…"


def figure_svg(figure: Figure, key: str, alt: str) -> str:
    """The figure as an <svg> element whose text stays text; `key` keeps its ids apart from those of other figures.

    The same figure gives the same bytes. `alt` is what somebody hears who cannot see it.
    """
    buffer = io.StringIO()
    with figure_style(), plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's own fonts draw the text
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = buffer.getvalue()
    body = svg[svg.index("<defs>") : svg.rindex("</svg>")]
    width, height = (float(size) * 4 / 3 for size in re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', svg).groups())
    view = re.search(r'viewBox="[^"]*"', svg)[0]
    said = escape(alt)
    return (
        f'<svg role="img" aria-label="{said}" width="{width:.0f}" height="{height:.0f}" {view} '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"<title>{said}</title>{_tidy(body, key)}</svg>"
    )


def _tidy(body: str, key: str) -> str:
    """Without the ids that nothing refers to, with those that remain made unique, and with short numbers."""
    body = re.sub(r'<style type="text/css">.*?</style>', "", body)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda found: f' id="{key}-{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{key}-", body)
    body = re.sub(r"font-family: [^;\"]+", f"font-family: {FONTS}", body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", body)
    body = re.sub(r' (?:d|x|y|transform|width|height)="[^"]*"', lambda found: _shorten(found[0]), body)
    return re.sub(r">\s+<", "><", body)


def _shorten(attribute: str) -> str:
    on_one_line = " " + " ".join(attribute.split())
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", on_one_line)


def theme_svgs(html: str) -> str:
    """The page with the colours and fonts of its figures replaced by the variables that its style sheet sets."""

    def theme(svg: re.Match[str]) -> str:
        themed = re.sub("<title>.*?</title>", "", svg[0])  # for paper; a browser would show it beside the pointer
        themed = themed.replace(f"font-family: {FONTS}", "font-family: var(--sans)")
        return re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda c: f"var(--c-{c[0][1:]})" if c[0] in DARK else c[0], themed)

    return re.sub(r'<svg role="img".*?</svg>', theme, html, flags=re.DOTALL)


def theme_css() -> str:
    """The variables of `theme_svgs`, for light and dark pages."""
    light = "".join(f"--c-{color[1:]}:{color};" for color in DARK)
    dark = "".join(f"--c-{color[1:]}:{other};" for color, other in DARK.items())
    by_system = f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
    return f":root{{{light}}}\n{by_system}\n@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
