"""What only paper has: added lines, and what would do something."""

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText, Link
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from emotion_utils.errors import InputError
from emotion_utils.report.page import paper as papers
from emotion_utils.report.page.paper import read_paper
from emotion_utils.report.page.pdf import print_pdf
from emotion_utils.report.page.reread import PageText


def find_additions(page, pdf):
    return papers.find_additions(PageText(page), read_paper(pdf))


PAGE = "<h1>Run</h1><main><p>It is also hard. It takes long.</p></main>"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """PAGE as a PDF."""
    pdf, _ = print_pdf(PAGE, tmp_path_factory.mktemp("paper") / "report.pdf")
    assert list(find_additions(PAGE, pdf)) == []
    return pdf


@pytest.fixture(scope="module")
def paper(report):
    """The page of the finished run and its PDF."""
    html = report[2]["html"]
    if report[2]["pdf"] is None:
        pytest.skip("no PDF can be printed here")
    return html.read_text(encoding="utf-8"), report[2]["pdf"]


def test_paper_of_the_page_has_nothing_of_its_own(paper):
    assert list(find_additions(*paper)) == []


@pytest.mark.parametrize("added", ["VGG16_emotion is the best.", "<table><tr><td>sad</td><td>0.99</td></tr></table>"])
def test_added_words_are_told(tmp_path, added):
    pdf, _ = print_pdf(PAGE.replace("</main>", f"{added}</main>"), tmp_path / "report.pdf")
    assert next(find_additions(PAGE, pdf)).startswith("the line '")


def open_with_script(pdf):
    action = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject("app.alert(1)")}
    pdf.root_object[NameObject("/OpenAction")] = DictionaryObject(action)


def lead_away(pdf):
    base = DictionaryObject({NameObject("/Base"): TextStringObject("https://e.org/")})
    pdf.root_object[NameObject("/URI")] = base  # of all links


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lead_away, "/URI"),
        (open_with_script, "/OpenAction"),
        (lambda pdf: pdf.add_attachment("a.txt", b"x"), "/EmbeddedFiles"),
        (lambda pdf: pdf.add_annotation(0, Link(rect=(0, 0, 9, 9), url="https://e.org")), "https://e.org"),
        (lambda pdf: pdf.add_annotation(0, FreeText(text="the best", rect=(0, 0, 9, 9))), "/FreeText"),
    ],
    ids=["base", "script", "file", "link", "note"],
)
def test_what_would_do_something_is_told(small, tmp_path, change, told):
    writer = PdfWriter(clone_from=PdfReader(small))
    change(writer)
    writer.write(tmp_path / "report.pdf")
    assert told in next(find_additions(PAGE, tmp_path / "report.pdf"))


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"\x00" * 99])
def test_what_is_no_pdf_is_one_line(tmp_path, content):
    (tmp_path / "report.pdf").write_bytes(content)
    with pytest.raises(InputError, match="not a PDF as this project writes it"):
        read_paper(tmp_path / "report.pdf")
