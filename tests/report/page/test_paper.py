"""What only paper has: added lines, and what would do something."""

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText, Link
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, TextStringObject

from emotion_utils.errors import InputError
from emotion_utils.report.page import paper as papers
from emotion_utils.report.page.paper import Paper, find_garbled, read_paper
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


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["It is also hard. It", "takes long."], None),
        (["It is", "also hard. It takes lo", "ng."], None),  # broken wherever there was room
        (["Run", "It is", "2", "is"], None),  # the number of a sheet, and a word
        (["e"], "e"),
        (["t", "a", "k", "e", "s"], "t"),  # any text can be spelt so
        (["It is also hard.", "ta", "ke"], "ta"),
        (["also . . . 1"], "also . . . 1"),
        (["0.5 \u0443\u0434"], "0.5 \u0443\u0434"),
        (["VGG16_emotion"], "VGG16_emotion"),
    ],
)
def test_line_must_be_one_of_the_page(lines, named):
    found = list(papers.find_additions(PageText(PAGE), Paper(lines, [], 2)))
    assert found[:1] == [f"the line '{named}'"] * (named is not None)


def test_letters_that_a_font_lacks_are_told_apart():
    page = PageText("<h1>Run</h1><p>0.5 \u0443\u0434 0.7 sad</p>")
    for line, garbled in (("0.5 \u0443 0.7", True), ("0.50.7", True), ("0.5 sad", False), ("\u0443\u0434", False)):
        paper = Paper([line], [], 1)
        assert bool(list(find_garbled(page, paper))) == garbled, line
    assert list(find_garbled(page, Paper(["\ufffd"], [], 1))) == ["the line '\ufffd'"]


def action(kind, **more):
    entries = {"S": NameObject(f"/{kind}"), **more}
    return DictionaryObject({NameObject(f"/{name}"): value for name, value in entries.items()})


SCRIPT = action("JavaScript", JS=TextStringObject("app.alert(1)"))
ELSEWHERE = action("URI", URI=TextStringObject("https://e.org"))
HERE = ArrayObject([NumberObject(0), NameObject("/Fit")])


def put(place, key, value):
    """A change of a PDF: `value` under `key` in its root, a new link or a new bookmark."""

    def change(pdf):
        held = pdf.root_object
        if place == "link":
            held = pdf.add_annotation(0, Link(rect=(0, 0, 9, 9), target_page_index=0))
        elif place == "bookmark":
            held = pdf.add_outline_item(title="Run", page_number=0).get_object()
        held[NameObject(f"/{key}")] = pdf._add_object(value)

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put("root", "URI", DictionaryObject({NameObject("/Base"): TextStringObject("https://e.org/")})), "/URI"),
        (put("root", "OpenAction", SCRIPT), "/OpenAction"),
        (lambda pdf: pdf.add_attachment("a.txt", b"x"), "/EmbeddedFiles"),
        (lambda pdf: pdf.add_annotation(0, Link(rect=(0, 0, 9, 9), url="https://e.org")), "https://e.org"),
        (lambda pdf: pdf.add_annotation(0, FreeText(text="the best", rect=(0, 0, 9, 9))), "/FreeText"),
        (put("link", "A", action("GoTo", D=HERE, Next=SCRIPT)), "/GoTo /Next"),
        (put("link", "A", action("GoTo", D=HERE, Next=action("Launch"))), "/Launch"),
        (put("link", "A", action("Unknown")), "/A /Unknown"),
        (put("link", "AA", DictionaryObject({NameObject("/E"): SCRIPT})), "/AA"),
        (put("link", "PA", ELSEWHERE), "/PA"),
        (put("bookmark", "A", SCRIPT), "/JavaScript"),
        (put("bookmark", "A", ELSEWHERE), "https://e.org"),
        (put("root", "AF", ArrayObject([DictionaryObject()])), "/AF"),
        (lambda pdf: pdf._add_object(SCRIPT), "/JavaScript"),  # that nothing leads to
    ],
)
def test_what_would_do_something_is_told(small, tmp_path, change, told):
    writer = PdfWriter(clone_from=PdfReader(small))
    change(writer)
    writer.write(tmp_path / "report.pdf")
    assert told in " ".join(find_additions(PAGE, tmp_path / "report.pdf"))


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"\x00" * 99])
def test_what_is_no_pdf_is_one_line(tmp_path, content):
    (tmp_path / "report.pdf").write_bytes(content)
    with pytest.raises(InputError, match="not a PDF as this project writes it"):
        read_paper(tmp_path / "report.pdf")
