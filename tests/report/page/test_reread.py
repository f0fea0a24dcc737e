"""The finished files are read back, and whatever went missing on the way is named."""

import pytest
from pypdf import PdfReader, PdfWriter

from emotion_utils.errors import EmotionError
from emotion_utils.report.page import reread
from emotion_utils.report.page.reread import PageText, check_files


def test_page_is_read_as_a_reader_sees_it():
    page = PageText(
        "<h2 id='a'><span>1</span> Begin</h2><p>It is <b>0.75</b> of 1,204.5.</p><svg><text>0.99</text></svg>"
        "<figure><figcaption><b>Table 1.</b> Rates</figcaption>"
        "<table><tr><td>0.750</td><td>7</td></tr></table></figure>"
        "<details class='code'><pre><p>0.11</p></pre></details><p>0.5</p><script>0.22</script>"
    )
    assert page.headings == ["1 Begin"]
    assert page.captions == ["Table 1. Rates"]
    assert dict(page.numerals) == {"0.75": 1, "1,204.5": 1, "0.99": 1, "0.750": 1, "0.5": 1}


def test_finished_report_agrees_with_itself(report):
    _, results, outcome = report
    assert check_files(results, outcome["html"], outcome["pdf"]) == []
    page = PageText(outcome["html"].read_text(encoding="utf-8"))
    assert page.numerals.total() > 150


def test_paper_that_ends_too_early_is_noticed(report, tmp_path):
    _, results, outcome = report
    writer = PdfWriter()
    for page in PdfReader(outcome["pdf"]).pages[:-3]:
        writer.add_page(page)
    writer.write(tmp_path / "short.pdf")
    (note,) = check_files(results, outcome["html"], tmp_path / "short.pdf")
    assert note.startswith("short.pdf is not what report.html says: ")


def test_number_that_differs_on_paper_is_noticed(report, monkeypatch):
    _, results, outcome = report
    paper = reread.read_paper(outcome["pdf"])
    accuracy = f"{results.reports['VGG16_emotion'].at['accuracy', 'f1-score']:.4f}"
    monkeypatch.setattr(reread, "read_paper", lambda pdf: paper.replace(accuracy, "0.0000", 1))
    (note,) = check_files(results, outcome["html"], outcome["pdf"])
    assert f": {accuracy} stands there less often than in the page" in note


def test_page_cut_short_is_noticed(report, tmp_path):
    _, results, outcome = report
    html = outcome["html"].read_text(encoding="utf-8")
    (tmp_path / "short.html").write_text(html[: len(html) * 2 // 3], encoding="utf-8")
    with pytest.raises(EmotionError, match=r"short\.html: (Table|Figure)"):
        check_files(results, tmp_path / "short.html", None)
