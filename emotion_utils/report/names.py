"""Names that came with the data, as HTML and as Markdown. No torch."""

from __future__ import annotations

import re
from collections.abc import Container
from html import escape
from pathlib import Path

from emotion_utils.printable import printable

# What begins markup, a link or a heading in CommonMark and its extensions, wherever it stands or at a start of a line.
MARKUP = re.compile(r"[\\`*_\[\]<>&|~$#!{}@]|(?<=www)\.|:(?=//)|^[-+=]|(?<=^\d)[.)](?=\s|$)", re.IGNORECASE)


def safe(text: object) -> str:
    """Text that came with the data: escaped, on one line, its direction of writing kept to itself."""
    return f"<bdi>{escape(printable(' '.join(str(text).split())))}</bdi>"


def safe_model(model: str, proxies: Container[str]) -> str:
    """A model's name, marked where proxy weights stand behind it."""
    mark = '&nbsp;<span class="proxy">proxy</span>' if model in proxies else ""
    return f'<span class="model">{safe(model).replace("_", "_<wbr>")}{mark}</span>'


def short_path(folder: str) -> str:
    """The end of the path of a model, RUN/models/MODEL: what lies before it is the machine's own business."""
    return "/".join(Path(folder).parts[-3:])


def safe_markdown(text: object) -> str:
    """The same as Markdown, on one line: nothing in it is markup, HTML or a link, nor ends a cell of a table."""
    return MARKUP.sub(r"\\\g<0>", printable(" ".join(str(text).split())))
