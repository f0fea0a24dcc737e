"""A page of another version: its words may differ; what runs, loads, leads away or hides is refused."""

import pytest

from emotion_utils.errors import EmotionError
from emotion_utils.figures.style import theme_css
from emotion_utils.report.page import other_version
from emotion_utils.report.page.html import SCRIPTS, STYLES, TEMPLATE_DIR
from emotion_utils.report.page.other_version import digest, other_words, refuse_strange
from emotion_utils.report.page.same_page import read_pieces

SCRIPT, STYLE = "one < two;", "p { color: red; }"
PAGE = f"""<!DOCTYPE html>
<html lang="en"><head><meta http-equiv="Content-Security-Policy" content="default-src 'none'"><title>Run</title>
<style>
{STYLE}
</style></head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<h2 id="sec-a"><span class="number">1</span> Accuracy</h2>
<p>Words of <a href="notebooks/01_data.html">01</a>.</p>
<div class="panel" style="--width:560px"><table><tr style="text-align: right;"><td>3</td></tr></table></div>
<svg role="img" aria-label="One bar" width="10"><g style="opacity: 0.5"><path d="M 0 7" style="opacity: 0"/>
<text x="1" style="font: 8.5px sans-serif">three</text></g></svg>
<img alt="" src="data:image/png;base64,AAAA">
<script>
{SCRIPT}
</script>
</body></html>"""
KNOWN = '<details class="code"><pre></pre></details><p class="note">'  # elements that this version has too
STRANGE = {
    "a script": ("<script>", "<script>x()</script><script>"),
    "a byte of a script": ("one <", "one <="),
    "a script from elsewhere": ("<script>", '<script src="https://e.org/x.js">'),
    "a style": ("red", "blue"),
    "a further style": ("</style>", "</style><style>p::after {content: 'best'}</style>"),
    "a handler": ("<p>", '<p onclick="x()">'),
    "a handler of a drawing": ("<g ", '<g onload="x()" '),
    "refresh": ("<title>", '<meta http-equiv="refresh" content="0;url=https://e.org"><title>'),
    "a base": ("<title>", '<base href="https://e.org"><title>'),
    "a link to elsewhere": ('href="notebooks/', 'href="https://e.org/'),
    "a link to a script": ('href="notebooks/01_data.html"', 'href="javascript:x()"'),
    "a link to another folder": ('href="notebooks/', 'href="../../'),
    "an image from elsewhere": ("data:image/png;base64,AAAA", "//e.org/x.png"),
    "a page as an image": ("data:image/png;base64,AAAA", "data:text/html,x"),
    "a frame": ("</p>", "</p><iframe></iframe>"),
    "a form": ("</p>", "</p><form></form>"),
    "display": ('style="--width:560px"', 'style="display:none"'),
    "visibility": ('style="text-align: right;"', 'style="visibility:hidden"'),
    "a small font": ('style="--width:560px"', 'style="--width:560px;font-size:1px"'),
    "a place outside": ('style="--width:560px"', 'style="position:absolute;left:-999em"'),
    "a small font of a drawing": ("font: 8.5px", "font: 0.5px"),
    "a small, bold font of a drawing": ("font: 8.5px", "font: bold 1px"),
    "an unseen part of a drawing": ("opacity: 0.5", "opacity: 0.0"),
    "hidden words of a drawing": ('style="font: 8.5px sans-serif"', 'style="display: none"'),
    "hidden": ("<p>", "<p hidden>"),
    "a title": ("<p>", '<p title="It is the best.">'),
    "the class of what the screen does not show": ("<p>", '<p class="skip">'),
    "a comment": ("<p>", "<!-- It is the best. --><p>"),
    "an unseen character": ('http-equiv="Content-Security-Policy"', 'http-equiv="Content-Security-Policy&#1;"'),
    "a class of what the screen does not show behind code": (
        "<p>",
        '<details class="code"><pre><span class="k">a</span></pre></details><p><span class="skip">not</span>',
    ),
    "an end tag that a browser takes for a comment": ("</style>", "</ style></style>"),
    "markup in a title": ("<title>Run", '<title>Run<a class="</title><script>x()</script>"></a>'),
    "an attribute that not every browser reads alike": ('class="panel"', "class=panel"),
}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The script and the style of the page are those of an earlier version."""
    monkeypatch.setattr(other_version, "SCRIPTS", (digest(SCRIPT),))
    monkeypatch.setattr(other_version, "STYLES", (digest(STYLE),))


@pytest.mark.parametrize("strange", STRANGE)
def test_what_no_version_writes_is_quoted(strange):
    old, new = STRANGE[strange]
    assert old in PAGE
    with pytest.raises(EmotionError, match="that no version of this project writes: ") as refused:
        refuse_strange(read_pieces(PAGE.replace(old, new, 1)), read_pieces(PAGE.replace("<p>", KNOWN)))
    assert "\n" not in str(refused.value)


def test_other_words_are_no_fault_and_are_told():
    page = PAGE.replace("Words of", "These words of").replace("One bar", "A bar").replace("three", "3 bars")
    theirs, ours = read_pieces(page), read_pieces(PAGE)
    refuse_strange(theirs, ours)
    assert other_words(theirs, ours, "") == ["These words of", "A bar", "3 bars"]
    assert other_words(theirs, ours, "and3bars,ofwhich") == ["These words of", "A bar"]
    assert other_words(ours, ours, "") == []
    assert other_words(read_pieces(PAGE.replace("red", "blue").replace("one <", "two <")), ours, "") == []
    assert other_words(read_pieces(PAGE.replace("</p>", "</p><p>three</p>")), ours, "") == ["three"]


@pytest.mark.parametrize(("kind", "names"), [("SCRIPTS", SCRIPTS), ("STYLES", STYLES)])
def test_this_version_is_known_to_the_next(kind, names, monkeypatch):
    monkeypatch.undo()
    text = "".join((TEMPLATE_DIR / name).read_text(encoding="utf-8") for name in names)
    text = theme_css() + text if kind == "STYLES" else text
    listed = getattr(other_version, kind)
    assert digest(text) in listed, f"add {digest(text)!r} to {kind}; those that are there stay"
