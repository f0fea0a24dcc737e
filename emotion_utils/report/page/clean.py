"""What a page may hold: an allow-list for what the cells of an executed notebook say, wherever the notebook came from.

Scripts, frames, forms and style sheets are left out, and so is whatever would load something or lead the reader away
without a click. Text, tables, images and SVG stay.
"""

from __future__ import annotations

import re

import nh3

SHAPES = {
    "circle", "clipPath", "defs", "desc", "ellipse", "g", "image", "line", "linearGradient", "marker", "mask", "path",
    "pattern", "polygon", "polyline", "radialGradient", "rect", "stop", "svg", "symbol", "text", "title", "tspan",
    "use",
}  # fmt: skip
SHAPE_ATTRIBUTES = {
    "clip-path", "clip-rule", "clipPathUnits", "cx", "cy", "d", "dominant-baseline", "dx", "dy", "fill", "fill-opacity",
    "fill-rule", "font-family", "font-size", "font-style", "font-weight", "fx", "fy", "gradientTransform",
    "gradientUnits", "height", "href", "marker-end", "marker-mid", "marker-start", "markerHeight", "markerUnits",
    "markerWidth", "mask", "offset", "opacity", "orient", "patternTransform", "patternUnits", "points",
    "preserveAspectRatio", "r", "refX", "refY", "rotate", "rx", "ry", "spreadMethod", "stop-color", "stop-opacity",
    "stroke", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
    "stroke-opacity", "stroke-width", "text-anchor", "textLength", "transform", "version", "viewBox", "width", "x",
    "x1", "x2", "xlink:href", "xmlns", "xmlns:xlink", "y", "y1", "y2",
}  # fmt: skip
FORMULAS = {
    "math", "mfrac", "mi", "mn", "mo", "mover", "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup",
    "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
}  # fmt: skip
ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    **dict.fromkeys(SHAPES, SHAPE_ATTRIBUTES),
    "*": {"class", "dir", "id", "lang", "role", "style", "tabindex", "title"},
    "details": {"open"},
    "td": nh3.ALLOWED_ATTRIBUTES["td"] | {"valign"},
    "th": nh3.ALLOWED_ATTRIBUTES["th"] | {"valign"},
}
STYLES = {
    "background", "background-color", "border", "border-bottom", "border-collapse", "border-color", "border-left",
    "border-right", "border-spacing", "border-style", "border-top", "border-width", "clip-path", "color", "display",
    "fill", "fill-opacity", "fill-rule", "font", "font-family", "font-size", "font-style", "font-weight", "height",
    "line-height", "margin", "margin-bottom", "margin-left", "margin-right", "margin-top", "max-width", "min-width",
    "opacity", "padding", "stroke", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin",
    "stroke-miterlimit", "stroke-opacity", "stroke-width", "text-align", "text-anchor", "text-decoration",
    "vertical-align", "white-space", "width", "--width",
}  # fmt: skip
WITHIN = re.compile(r"data:image/|#")  # the page itself
ELSEWHERE = re.compile(r"""\\|@|\bimage\b|image-set|src\s*\(|url\s*\((?!\s*["']?(?:data:image/|\#))""", re.IGNORECASE)
PROPERTY = re.compile(r"(?:^|;)\s*([-\w]+)\s*:")

_CLEANER = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS | SHAPES | FORMULAS | {"main"},
    clean_content_tags={"script", "style", "iframe", "object", "noscript", "template", "foreignObject"},
    attributes=ATTRIBUTES,
    attribute_filter=lambda tag, name, value: _keep_within(tag, name, value),
    generic_attribute_prefixes={"aria-", "data-"},
    link_rel=None,
    url_schemes={"data", "http", "https", "mailto"},
)


def clean_html(html: str) -> str:
    """`html` with what is allowed alone; a link that a reader may follow stays."""
    return _CLEANER.clean(html)


def _keep_within(tag: str, name: str, value: str) -> str | None:
    """The value of an attribute, or None where a browser or printer would load something for it."""
    if name in ("src", "href", "xlink:href") and tag != "a":
        return value if WITHIN.match(value) else None
    if name == "href":
        return None if value.startswith("data:") else value
    if name == "style" and not set(PROPERTY.findall(value)) <= STYLES:
        return None
    said = name in ("alt", "title", "class", "id") or name.startswith(("aria-", "data-"))
    return None if not said and ELSEWHERE.search(value) else value
