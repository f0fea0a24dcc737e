"""Works are marked where they are named, once a section, and the list holds those that are marked."""

import re

import pytest
import yaml
from bs4 import BeautifulSoup

from emotion_utils import __version__
from emotion_utils.provenance import PROJECT_DIR
from emotion_utils.report.page.page_tables import squeeze
from emotion_utils.report.references import REFERENCES, list_references, mark_references


def page_of(*sections):
    """A page of sections and the list of references, marked."""
    body = "".join(f'<h2 id="s{n}">McNemar test</h2>{section}' for n, section in enumerate(sections))
    return mark_references(f'<html><main id="content">{body}{list_references().html}</main></html>')


def marks(html):
    return re.findall(r'(\w+)<sup class="cite"><a href="#ref-(\w+)">\[(\d+)\]</a></sup>', html)


def test_first_use_in_each_section_is_marked_and_the_list_follows():
    page = page_of("<p>ResNet18, Holm and ResNet18</p>", '<div class="prose"><p>the McNemar test, Holm</p></div>')
    assert marks(page) == [
        ("ResNet18", "he", "1"),
        ("Holm", "holm", "2"),
        ("test", "mcnemar", "3"),
        ("Holm", "holm", "2"),
    ]
    assert re.findall(r'<p id="ref-(\w+)"><code>', page) == ["he", "holm", "mcnemar"]


@pytest.mark.parametrize(
    "html",
    [
        "<table><td>Holm</td></table>", '<a href="#x">Holm</a>', "<pre>Holm</pre>", "<svg><text>Holm</text></svg>",
        '<img alt="Holm > 1">', "<p>Holmes</p>", "<p>r-Holm</p>",
    ],
)  # fmt: skip
def test_cells_links_code_drawings_and_longer_words_are_left_alone(html):
    assert marks(page_of(html)) == []


def test_mark_is_no_part_of_a_sentence():
    assert squeeze('<p>Holm<sup class="cite"><a href="#ref-holm">[2]</a></sup> says.</p>') == "Holmsays."


def test_report_lists_what_it_marks_and_names_nothing_that_it_does_not_list(report):
    page = BeautifulSoup((report[0].root / "report.html").read_text(encoding="utf-8"), "html.parser")
    listed = [item["id"] for item in page.select(".references p")]
    marked = [mark["href"][1:] for mark in page.select("sup.cite a")]
    assert set(listed) == set(marked)
    assert {"ref-gupta", "ref-parkhi", "ref-he", "ref-russakovsky", "ref-selvaraju", "ref-holm"} <= set(listed)
    assert {"ref-mcnemar", "ref-wilson"} <= set(listed)
    for mark in page.select("sup.cite a"):
        assert mark.get_text() == f"[{listed.index(mark['href'][1:]) + 1}]"


def test_references_are_in_the_order_of_their_authors_and_citation_file_names_the_study():
    assert [each.authors for each in REFERENCES] == sorted(each.authors for each in REFERENCES)
    citation = yaml.safe_load((PROJECT_DIR / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["references"][0]["authors"][0]["family-names"] in {
        each.authors.split(",")[0] for each in REFERENCES
    }
