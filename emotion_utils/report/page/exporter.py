"""nbconvert's HTML exporter, with the report's template and nothing that rewrites what the cells show."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import nbconvert
from nbconvert import HTMLExporter
from nbconvert.exporters import TemplateExporter
from nbconvert.filters import Highlight2HTML
from traitlets.config import Config

from emotion_utils.report.claims import join_words

EXHIBIT = re.compile(r"<figcaption><b>((?:Figure|Table) [A-H]?\d+)\.</b>")
PROSE = re.compile(r'<div class="prose[^>]*><\w')  # that says something
LABEL_LETTERS = 60  # of a line of code
PREPROCESSOR = "nbconvert.preprocessors.TagRemovePreprocessor"


class PageExporter(HTMLExporter):
    """Cells to one page; the tags remove-cell and remove-input do what they say."""

    @classmethod
    def make(cls, template_dir: Path, hidden_cells: Iterable[str]) -> PageExporter:
        """An exporter for the template in `template_dir` that leaves out the cells with a tag of `hidden_cells`."""
        tags = {"enabled": True, "remove_cell_tags": set(hidden_cells), "remove_input_tags": {"remove-input"}}
        return cls(
            template_name=template_dir.name,
            extra_template_basedirs=[str(template_dir.parent)],
            config=Config({"TagRemovePreprocessor": tags, "PageExporter": {"preprocessors": [PREPROCESSOR]}}),
        )

    def from_notebook_node(self, nb: Any, resources: dict | None = None, **kwargs: Any) -> tuple[str, dict]:
        """The page and its resources. HTMLExporter's own way would parse the page again and lower-case its SVG."""
        self.register_filter("label_code", label_code)
        self.register_filter("highlight_code", Highlight2HTML(pygments_lexer="python3", parent=self))
        return TemplateExporter.from_notebook_node(self, nb, resources, **kwargs)

    def get_prefix_root_dirs(self) -> list[str]:
        """Where templates are: also where nbconvert was installed, which may be below another Python than this one.

        A folder that pip filled with --target has them beside the package, and tells another place.
        """
        files = metadata.files("nbconvert") or []  # nothing where its package does not tell
        installed = {str(file.locate().resolve().parents[3]) for file in files if file.match("templates/base/*.j2")}
        beside = Path(nbconvert.__file__).parents[1] / "share" / "jupyter"
        return [*super().get_prefix_root_dirs(), *sorted(installed), str(beside)]


def label_code(cell: Any) -> str:
    """What the code of a cell makes: the exhibits or the text above it, or else its first line."""
    shown = "".join(str(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", []))
    if names := EXHIBIT.findall(shown):
        return f"Code of {join_words(names)}"
    if PROSE.search(shown):
        return "Code of the text above"
    line = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")
    return f"Code: {line[:LABEL_LETTERS]}{'…' * (len(line) > LABEL_LETTERS)}"
