"""The two files: complete, self-contained, the same numbers in both, the same bytes each time."""

import re
from html import unescape
from html.parser import HTMLParser

import nbformat
import pytest
from fake_run import HOSTILE, NOTEBOOK
from pypdf import PdfReader

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.page import pdf
from emotion_utils.report.page.render import check_page, make_page, render_report
from emotion_utils.report.results import read_results

WITHOUT_RESULTS = (
    "fig-balance", "tbl-data", "tbl-splits", "tbl-quarantine", "tbl-environment", "tbl-times", "tbl-audit",
    "tbl-matrices",
)  # fmt: skip


class Page(HTMLParser):
    """Elements with their attributes, the text, and the cells of tables."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts, self.cells, self._open = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = [] if tag == "svg" else self._open
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        self.texts.append(data)
        if self.cells:
            self.cells[-1] += data


def plain(text):
    return re.sub(r"\s+", "", unescape(text).replace("\u2060", ""))


def alternatives(node):
    """How many figures of a PDF's structure tree have a text alternative."""
    node = node.get_object()
    if isinstance(node, list):
        return sum(map(alternatives, node))
    if not isinstance(node, dict):
        return 0
    return ("/Alt" in node and node["/S"] == "/Figure") + (alternatives(node["/K"]) if "/K" in node else 0)


@pytest.fixture(scope="module")
def html(report):
    return report[2]["html"].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(report):
    return PdfReader(report[2]["pdf"])


def test_page_loads_nothing_from_elsewhere(html):
    for tag, attributes in Page(html).elements:
        for name, value in attributes.items():
            if name in ("src", "srcset", "data", "poster", "action", "xlink:href") or (name == "href" and tag != "a"):
                assert value.startswith(("data:", "#")), (tag, name, value)
            if name == "style":
                assert not re.search(r"url\((?!['\"]?(#|data:))", value)
    assert not re.search(r"url\(\s*['\"]?(?!#|data:)", html)
    assert "@import" not in html


def test_page_that_would_load_something_is_refused(report, html):
    for spoiled in (
        '<img src="https://e.org/a.png">',
        "<script src='x.js'></script>",
        "<style>a{b:url(//e.org)}</style>",
    ):
        with pytest.raises(EmotionError, match="elsewhere"):
            check_page(report[1], html.replace("</main>", spoiled + "</main>"))


def test_page_that_lacks_a_table_or_has_a_reference_to_nowhere_is_refused(report, html):
    with pytest.raises(EmotionError, match="tbl-epochs"):
        check_page(report[1], html.replace('id="tbl-epochs"', 'id="gone"'))
    with pytest.raises(EmotionError, match="nowhere"):
        check_page(report[1], html.replace("</main>", '<a href="#nowhere">x</a></main>'))


def test_every_figure_and_table_is_there_in_order_with_caption_and_alternative(report, html):
    names = number_exhibits(report[1])
    captions = re.findall(r'<figure class="[^"]*" id="([^"]+)">.*?<figcaption><b>([^<]+)\.</b>', html, re.S)
    assert dict(captions) == names
    for tag, attributes in Page(html).elements:
        if tag == "svg":
            assert attributes["aria-label"]
        if tag == "img":
            assert attributes["alt"]


def test_contents_name_every_heading(html):
    headings = re.findall(r'<h[23] id="([^"]+)"', html)
    assert headings[0] == "sec-abstract"
    assert headings[-1] == "sec-reproducibility-checklist"
    linked = re.findall(r'href="#(sec-[^"]+)"', html.split("</nav>")[0])
    assert linked == headings


def test_study_sections_keep_their_numbers(html):
    shown = re.findall(r'<h2 id="[^"]+"><span class="number">(\w+)</span> ([^<]+)</h2>', html)
    assert shown[3:7] == [
        ("4", "Training and validation accuracy"), ("5", "Accuracy analysis"), ("6", "Classification report analysis"),
        ("7", "Challenges faced in training"),
    ]  # fmt: skip


def test_numbers_of_every_table_and_sentence_are_the_same_on_paper(report, html, pages):
    paper = plain(" ".join(page.extract_text() for page in pages.pages))
    figures = {plain(cell) for cell in Page(html).cells if re.fullmatch(r"[\d.,]+", plain(cell))}
    assert len(figures) > 100
    assert [figure for figure in figures if figure not in paper] == []
    unmarked = re.sub(r'&nbsp;<span class="proxy">proxy</span>|<sup class="cite">.*?</sup>', "", html)
    text = plain("".join(Page(unmarked).texts))
    for claim in collect_claims(report[1]):
        said = plain(claim.text)
        assert said in text
        assert [number for number in re.findall(r"\d[\d.,]*\d", said) if number not in paper] == []


def test_paper_has_title_contents_bookmarks_language_and_tags(pages):
    assert len(pages.pages) > 5
    assert plain("Multiclass Emotion Recognition") in plain(pages.pages[0].extract_text())
    contents = pages.pages[0].extract_text()
    assert re.search(r"Conclusion[ .]*\d+", contents)
    bookmarks = [entry["/Title"] for entry in pages.outline if not isinstance(entry, list)]
    assert bookmarks[0] == "Abstract"
    assert bookmarks[-1] == "G Reproducibility checklist"
    assert pages.trailer["/Root"]["/Lang"] == "en"
    assert (
        alternatives(pages.trailer["/Root"]["/StructTreeRoot"]) == 1 + 1 + 2 + 3 + 4 + 2 + 3 + 3 + 3 + 1
    )  # one for each panel
    assert pages.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert all("Multiclass Emotion Recognition" in page.extract_text() for page in pages.pages[1:])


def test_proxy_is_named_wherever_a_result_shows(report, html, make_run, execute):
    for key in number_exhibits(report[1]):
        if key in WITHOUT_RESULTS:
            continue
        figure = re.search(rf'<figure class="[^"]*" id="{key}">.*?</figure>', html, re.S)[0]
        assert "proxy" in figure or "scratch" in key, key
    run = make_run("official", weights="official")
    assert "proxy" not in re.sub(r"<style>.*?</style>", "", make_page(read_results(run), execute(run)), flags=re.S)


def test_page_holds_no_path_of_this_machine(report, html):
    assert str(report[0].root.parent) not in html


def test_same_run_gives_the_same_bytes(report, html, monkeypatch):
    run, _, outcome = report
    monkeypatch.setattr("emotion_utils.report.page.render.print_pdf", lambda *_: (None, []))  # it alone takes a time
    again = render_report(run, run.notebooks_dir / NOTEBOOK.name)
    assert again["html"].read_text(encoding="utf-8") == html
    assert again["html"] == outcome["html"]


def test_hostile_names_are_text_in_the_page(make_run, execute):
    run = make_run(classes=HOSTILE, skills={"VGG16_emotion": 0.5, "r18_pre_emotion": 0.3}, images=300)
    page = make_page(read_results(run), execute(run))
    check_page(read_results(run), page)
    assert page.count("<script") == 1  # the page's own
    assert "alert(1)" in page
    assert "&lt;script&gt;" in page


@pytest.mark.fault("ten classes by ten models", "R", "compared and reported like three by three", group="runs")
@pytest.mark.parametrize("k", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_one_to_ten_models_and_two_to_ten_classes_fit(make_run, execute, k):
    skills = {f"model_{number}": 0.4 + 0.05 * number for number in range(10)} if k == 10 else {"r18_pre_emotion": 0.9}
    run = make_run(classes=tuple(f"c{number}" for number in range(k)), skills=skills, images=400, epochs=1, broken=0)
    results = read_results(run)
    check_page(results, make_page(results, execute(run)))


def test_html_stays_where_no_printer_works_and_the_notes_say_so(make_run, execute, monkeypatch):
    run = make_run(skills={"r18_pre_emotion": 0.9}, epochs=1)
    (run.root / "report.pdf").write_bytes(b"of an earlier page")

    def broken(page, target):
        raise OSError("cannot load library 'pango'")

    monkeypatch.setattr(pdf, "_print_weasyprint", broken)
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    outcome = render_report(run, execute(run))
    assert outcome["html"].exists()
    assert outcome["pdf"] is None
    assert not (run.root / "report.pdf").exists()
    notes = " ".join(outcome["notes"])
    assert "pango" in notes
    assert "no Chromium" in notes
    assert "there is no report.pdf" in notes


def test_notebook_that_was_not_run_is_refused(report):
    with pytest.raises(InputError, match="run it first"):
        make_page(report[1], NOTEBOOK)


def test_notebook_06_is_clean_short_and_has_stable_ids():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    ids = [cell.id for cell in notebook.cells]  # a cell that comes between two others takes a letter: theirs stay
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"06-\d\d[a-z]?", name) for name in ids)
    own = [cell for cell in code if "installation" not in cell.metadata.get("tags", [])]
    assert max(len(cell.source.splitlines()) for cell in own) <= 15
    assert [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    shown = [cell for cell in notebook.cells if "remove-cell" not in cell.metadata.get("tags", [])]
    prose = " ".join(cell.source for cell in shown if cell.cell_type == "markdown")
    assert not re.findall(r"\b\d[\d.%]*\b", prose)  # findings are computed
