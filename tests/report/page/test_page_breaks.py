"""Where the paper is cut: printed with WeasyPrint, wherever on a page an exhibit begins."""

import re
import subprocess
import sys

import pandas as pd
import pytest
from pypdf import PdfReader

from emotion_utils.figures.style import theme_css
from emotion_utils.report.page import pdf
from emotion_utils.report.page.html import STYLES, TEMPLATE_DIR
from emotion_utils.report.tables import table_html

CSS = theme_css() + "".join((TEMPLATE_DIR / name).read_text(encoding="utf-8") for name in STYLES)
HEIGHT_MM = 297 - 26 - 24  # of the text of a page
ROW = re.compile(r"row (\d+)-(\d+)\b")


def exhibit(words, table, *, large=False):
    """A table as `show_table` writes it."""
    css = "table large" if large else "table"
    return f'<figure class="{css}"><figcaption>{words}</figcaption><div class="scroll">{table}</div></figure>'


def rows(trial, count, **options):
    names = [f"row {trial}-{place}" for place in range(count)]
    frame = pd.DataFrame({"Name": names, "Value": 0.5})
    return table_html(frame, **options)


def pages(parts, tmp_path):
    """The text of each page of a paper on which each of `parts` begins a page."""
    sections = "".join(f'<section style="break-before: page">{part}</section>' for part in parts)
    page = f"<html lang='en'><title>T</title><style>{CSS}</style><body><main>{sections}</main></body></html>"
    command = [sys.executable, "-P", "-m", pdf.__name__, str(tmp_path / "a.pdf")]
    subprocess.run(command, input=page.encode(), check=True, timeout=300)
    return [" ".join(sheet.extract_text().split()) for sheet in PdfReader(tmp_path / "a.pdf").pages]


def below(space_mm, html):
    return f'<div style="height: {space_mm}mm"></div>{html}'


GROUPED = {
    "plain": {},
    "headed": {"groups": list("aaaaaabbbbbbcccccc"), "headings": True},
    "groups of one": {"groups": list("abccccccddddddddef")},
    "long": {"groups": list("aaaaaaaaabbbbbbbbb"), "css": "long"},
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "long" else pytest.mark.slow) for name in GROUPED]
)
def test_no_table_leaves_one_or_two_rows_alone(tmp_path, name):
    options = GROUPED[name]
    spaces = range(HEIGHT_MM - 110, HEIGHT_MM, 6)
    trials = []
    for trial, space in enumerate(spaces):
        table = exhibit(f"caption {trial}.", rows(trial, 18, **options), large=True)
        trials.append(below(space, f"<h2>Part</h2><p>Words.</p>{table}"))
    sheets, cut = pages(trials, tmp_path), 0
    for trial in range(len(spaces)):
        counts = [sum(int(of) == trial for of, _ in ROW.findall(sheet)) for sheet in sheets]
        counts = [count for count in counts if count]
        assert sum(counts) == 18
        assert min(counts) >= 3, (trial, counts)
        cut += len(counts) > 1
        (start,) = [sheet for sheet in sheets if f"caption {trial}." in sheet]
        assert f"row {trial}-0 " in start
    assert cut > 3


def test_only_the_heading_goes_over_with_what_it_heads(tmp_path):
    """Not the table above it, whatever the number of rows of its last group."""
    short = exhibit("short.", rows(0, 5, groups=list("aaabb")))
    long = exhibit("long.", rows(1, 18), large=True)
    sheets = pages([below(HEIGHT_MM - 80, f"{short}<h2>Part</h2>{long}")], tmp_path)
    assert len(sheets) == 2
    assert "row 0-4" in sheets[0]
    assert "Part" in sheets[1]
    assert "row 1-0" in sheets[1]


def test_exhibits_side_by_side_stay_where_their_first_row_has_room(tmp_path):
    beside = "".join(exhibit(f"one of three, {place}.", rows(place, 6)) for place in range(3))
    part = below(HEIGHT_MM - 100, f'<h2>Part</h2><p>Words.</p><div class="side-by-side">{beside}</div>')
    first, second = pages([part], tmp_path)
    assert "row 0-5" in first
    assert "row 1-5" in first
    assert "row 2-0" in second
