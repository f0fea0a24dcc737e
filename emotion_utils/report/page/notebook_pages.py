"""The executed notebooks as pages beside the report: the same template, with their code and whatever they showed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from emotion_utils.figures.style import theme_svgs
from emotion_utils.files import replacing
from emotion_utils.report.page.html import HIDDEN_IN_NOTEBOOKS, fill_template, number_headings
from emotion_utils.run import Run

OLD_LOOK = re.compile(r'<style scoped>.*?</style>| border="1"', re.DOTALL)  # of pandas, with every table
INDEX_NAMES = re.compile(  # which pandas puts in a row of their own, below those of the columns
    r"<tr[^>]*>\s*(?:<th></th>\s*)+((?:<th>.+?</th>\s*)+)</tr>\s*<tr>\s*((?:<th>.+?</th>\s*)+)(?:<th></th>\s*)+</tr>"
)


def export_notebooks(run: Run) -> list[Path]:
    """Writes notebooks/<name>.html for each executed notebook of the run, and returns the paths in order."""
    pages = []
    sources = sorted(run.notebooks_dir.glob("*.ipynb"))
    for source in sources:
        page = notebook_page(source, [each.stem for each in sources])
        target = source.with_suffix(".html")
        with replacing(target) as temporary:
            temporary.write_text(page, encoding="utf-8")
        pages.append(target)
    return pages


def notebook_page(source: Path, names: Sequence[str] = ()) -> str:
    """One executed notebook as a self-contained page; `names` are those of all notebooks, in order."""
    import nbformat

    return fill_notebook(nbformat.read(source, as_version=4), source.stem, names)


def fill_notebook(notebook: Any, name: str, names: Sequence[str] = ()) -> str:
    """`notebook_page` of what was read, which this changes; `name` is its title where it has none."""
    title = next((line[2:].strip() for line in notebook.cells[0].source.splitlines() if line[:2] == "# "), name)
    notebook.cells[0].source = re.sub(r"^# .*$", "", notebook.cells[0].source, count=1, flags=re.MULTILINE)
    for cell in notebook.cells:
        cell.metadata["tags"] = [tag for tag in cell.metadata.get("tags", []) if tag in HIDDEN_IN_NOTEBOOKS]
    _name_outputs(notebook)
    front = (
        '<header class="title"><p class="kicker"><a href="../report.html">Report</a></p>'
        f"<h1>{escape(title)}</h1>{_link_neighbours(name, names)}</header>"
    )
    headings = number_headings(notebook, numbered=False)
    return theme_svgs(fill_template(notebook, title, title, front, headings))


def _link_neighbours(name: str, names: Sequence[str]) -> str:
    """Links to the pages before and after that of the notebook `name`; nothing where `names` lacks it."""
    if name not in names:
        return ""
    place = list(names).index(name)
    before, after = names[:place][-1:], names[place + 1 :][:1]
    links = [f'<a href="{escape(each)}.html">\u2190 {_spell(each)}</a>' for each in before] or ["<span></span>"]
    links += [f'<a href="{escape(each)}.html">{_spell(each)} \u2192</a>' for each in after]
    return f'<p class="pages">{"".join(links)}</p>'


def _spell(name: str) -> str:
    return escape(name.replace("_", " "))


def _name_outputs(notebook: Any) -> None:
    """Images get a text alternative, tables a frame that scrolls, both named after the heading above them."""
    heading = "this notebook"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = [line.lstrip("# ") for line in cell.source.splitlines() if line.startswith("##")]
            heading = titles[-1] if titles else heading
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                output.setdefault("metadata", {})["image/png"] = {"alt": f"Figure: {heading}"}
            shown = data.get("text/html", "")
            if 'class="dataframe"' in shown or shown.startswith("<table"):  # of pandas, or of this project
                frame = f'<div class="scroll" role="region" tabindex="0" aria-label="Table: {escape(heading)}">'
                table = INDEX_NAMES.sub(r"<tr>\2\1</tr>", OLD_LOOK.sub("", shown))
                data["text/html"] = f"{frame}{table}</div>"
