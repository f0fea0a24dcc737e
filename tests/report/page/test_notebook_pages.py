"""Executed notebooks as pages: everything they show, readable, and nothing from elsewhere."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from PIL import Image

from emotion_utils.report.page.clean import clean_html
from emotion_utils.report.page.html import LOADING
from emotion_utils.report.page.notebook_pages import export_notebooks, notebook_page

PROJECT = Path(__file__).parents[2]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
HOSTILE = r"""<meta http-equiv="refresh" content="0;url=https://e.org/1"><base href="//e.org/2">
<style>@import "//e.org/3"</style><p style="background:u\72l(https://e.org/4)">a</p><p style="position:fixed">b</p>
<img src="//e.org/5" alt="" onerror="alert(1)">
<svg><use href="//e.org/6"/><set attributeName="href" to="//e.org/7"/></svg><form action="//e.org/8"><input></form>
<a href="https://e.org/9" ping="//e.org/10" onclick="alert(1)">c</a><a href="javascript:alert(1)">d</a>
<iframe srcdoc="x"></iframe>"""


def output(**data):
    return nbformat.v4.new_output("execute_result", data={key.replace("_", "/"): text for key, text in data.items()})


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook with a table, an image and printed text, and returns its path."""
    image = io.BytesIO()
    Image.new("RGB", (4, 4)).save(image, "PNG")
    table = pd.DataFrame({"<b>": [1.5]}).to_html()
    code = nbformat.v4.new_code_cell("show()", metadata={"tags": ["remove-input"]})
    code.outputs = [
        output(text_html="<style scoped>td {}</style>" + table),
        output(image_png=base64.b64encode(image.getvalue()).decode(), text_plain="<Figure>"),
        nbformat.v4.new_output("stream", text="3 < 4"),
    ]
    hidden = nbformat.v4.new_code_cell("run_dir = '/home/somebody'", metadata={"tags": ["injected-parameters"]})
    cells = [nbformat.v4.new_markdown_cell("# 07 A title\n\n*Why?*"), hidden, nbformat.v4.new_markdown_cell("## Faces")]
    path = tmp_path / "07_title.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells, code]), path)
    return path


def test_page_has_title_way_back_code_and_named_outputs(notebook):
    page = notebook_page(notebook)
    assert page.count("<h1") == 1
    assert "<h1>07 A title</h1>" in page
    assert 'href="../report.html"' in page
    assert "show" in page.split('<details class="code">')[1]
    assert 'alt="Figure: Faces"' in page
    assert 'aria-label="Table: Faces"' in page
    assert "3 &lt; 4" in page
    assert "<style scoped>" not in page
    assert "/home/somebody" not in page


def test_names_of_an_index_stand_in_the_head_of_its_table(notebook):
    frame = pd.DataFrame({"a": ["x", "x"], "b": [1, 2], "c": [3, 4], "d": [5, 6]}).set_index(["a", "b"])
    cells = nbformat.read(notebook, as_version=4)
    cells.cells[-1].outputs = [output(text_html=frame.to_html())]
    nbformat.write(cells, notebook)
    head = re.search(r"<thead>(.*?)</thead>", notebook_page(notebook), re.DOTALL)[1]
    assert head.count("<tr") == 1
    assert re.findall(r"<th>(.*?)</th>", head) == ["a", "b", "c", "d"]


def test_tables_of_this_project_scroll_in_a_frame_with_the_drawing_below_them(tmp_path):
    wide = "<table><tbody><tr><td>a</td></tr></tbody></table><svg width='691'></svg>"
    cells = [nbformat.v4.new_markdown_cell("## Losses"), nbformat.v4.new_code_cell("show()")]
    cells[1].outputs = [output(**{"text/html": wide})]
    path = tmp_path / "02_a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    frame = '<div class="scroll" role="region" tabindex="0" aria-label="Table: Losses">'
    assert re.search(f"{frame}<table>.*</table><svg.*</svg></div>", notebook_page(path), re.DOTALL)


def test_whatever_a_notebook_holds_its_page_loads_runs_and_leads_nowhere(notebook):
    document = nbformat.read(notebook, as_version=4)
    pixel = document.cells[-1].outputs[1]["data"]["image/png"]
    document.cells[-1].outputs += [
        output(text_html=f"</main>{HOSTILE}"),
        output(image_svg="<svg><script>1</script><image href='//e.org/6'/></svg>", text_html=HOSTILE),
        output(image_png=f'{pixel}"><meta http-equiv=refresh content=0>'),
        output(text_markdown=HOSTILE, text_latex=HOSTILE, application_javascript="alert(1)"),
        nbformat.v4.new_output("stream", text=HOSTILE + " download_url(path)"),
    ]
    document.cells += [nbformat.v4.new_markdown_cell(HOSTILE), nbformat.v4.new_code_cell("url(path)")]
    nbformat.write(document, notebook)
    page = notebook_page(notebook)
    body = page[page.index('<main id="content">') : page.rindex("<script>")]
    for spoiled in re.findall(r"<[a-z][^>]*>", body):
        assert not re.match(
            "<(script|meta|base|style|link|iframe|object|embed|form|input|template|set|animate)", spoiled
        )
        assert "e.org" not in spoiled or spoiled == '<a href="https://e.org/9">'
        assert " on" not in spoiled
    assert body.count('<a href="https://e.org/9">') >= 3  # a reader may follow it
    assert not LOADING.search(page)


def test_tables_formulas_and_drawings_stay_as_they_were(notebook):
    kept = (
        '<table class="dataframe"><thead><tr style="text-align: right;"><th scope="col">a</th></tr></thead></table>',
        '<svg viewBox="0 0 9 9" role="img" aria-label="x"><defs><clipPath id="q"><rect width="1" height="1"></rect>'
        '</clipPath><linearGradient id="r"><stop offset="1"></stop></linearGradient></defs><g clip-path="url(#q)">'
        '<path d="M0 0" style="fill: none; stroke: #1b1d22; stroke-linecap: square"></path>'
        f'<image xlink:href="data:image/png;base64,{PIXEL}" width="1" height="1"></image></g></svg>',
        "<math><mfrac><mi>a</mi><mn>2</mn></mfrac></math>",
        f'<img alt="url(a) @ 3" src="data:image/png;base64,{PIXEL}">',
        "<p>\\(x &lt; 1\\), $\\frac{1}{2}$, a&nbsp;b, url(path), @import</p>",
        '<details open=""><summary>more</summary><bdi dir="rtl">x</bdi></details>',
        '<a href="#sec-faces">down</a>',
    )
    for html in kept:
        assert clean_html(html) == html


def test_every_executed_notebook_of_a_run_gets_a_page_that_the_report_links_to(report):
    run, _, outcome = report
    pages = export_notebooks(run)
    names = ["01_data_preparation.html", "02_vggface_finetuned.html", "06_comparison.html"]
    assert [page.name for page in pages] == names
    linked = outcome["html"].read_text(encoding="utf-8")
    assert all(f'href="notebooks/{name}"' in linked for name in names)


ELSEWHERE = """
import sys
sys.prefix = sys.argv[1]
import nbformat
from emotion_utils.report.page.html import fill_template
cell = nbformat.v4.new_markdown_cell("A *word*")
print(fill_template(nbformat.v4.new_notebook(cells=[cell]), "Title", "", "", []))
"""


def test_a_page_is_made_where_nbconvert_lies_below_another_python(tmp_path):
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=60)
    assert "<em>word</em>" in result.stdout, result.stderr
