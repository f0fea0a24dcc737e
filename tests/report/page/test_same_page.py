"""Two pages are the same, or the first thing is named in which a browser or a reader would tell them apart."""

import re

import pytest

from emotion_utils.report.page.same_page import find_difference, read_pieces

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Run</title>
<style>
p { color: red; }
</style></head>
<body>
<h2 id="sec-a"><span class="number">1</span> Accuracy</h2>
<div class="prose"><p>The accuracy is 0.712, <bdi>happy</bdi> &amp; all.</p></div>
<table class="x"><tr><td class="word">sad</td><td>3</td></tr></table>
<details class="code"><summary>Code</summary>
<pre><span></span><span class="n">show</span><span class="p">(</span></pre></details>
<figure id="fig-a"><svg role="img" aria-label="One bar: 3.0" width="10" height="10">
<g><path d="M 0.01 7" style="fill: #000; opacity: 0.5"/>
<text x="1.5" transform="translate(3 4) scale(0.02 1)">three</text><text x="2.5">0.71 each</text></g></svg>
<figcaption><b>Figure 1.</b> Bars.</figcaption></figure>
<img alt="" src="data:image/png;base64,AAAA">
<script>
one < two;
</script>
</body></html>"""
CHANGES = {
    "a sentence": ("all.</p>", "all. It is the best.</p>"),
    "a word": ("accuracy is", "precision is"),
    "a digit": ("0.712", "0.812"),
    "a paragraph": ("</div>", "<p>New.</p></div>"),
    "an empty element": ("</div>", "<p></p></div>"),
    "a hidden element": ("</div>", "<p hidden>New.</p></div>"),
    "a comment": ("</div>", "<!-- New. --></div>"),
    "a comment that is none to a browser": ("</div>", "<!--><p>New.</p>--></div>"),
    "a lost sentence": ("The accuracy is 0.712, ", ""),
    "a lost element": ("<bdi>happy</bdi>", "happy"),
    "another element": ("<b>Figure 1.</b>", "<i>Figure 1.</i>"),
    "a title": ("<bdi>", '<bdi title="New.">'),
    "an attribute without a value": ("<bdi>", "<bdi hidden>"),
    "a class": ('class="word"', 'class="words"'),
    "data of a script": ('<table class="x"', '<table class="x" data-of="new"'),
    "an attribute twice": ('class="prose"', 'class="new" class="prose"'),
    "an attribute without quotes": ('class="prose"', "class=prose"),
    "an attribute after a slash": ('<div class="prose"', '<div/onclick="x" class="prose"'),
    "a handler": ("<p>The", '<p onclick="x">The'),
    "a hidden row": ("<tr>", '<tr style="display:none"><td>9</td></tr><tr>'),
    "an open element": ('<figure id="fig-a">', '<figure id="fig-a"/>'),
    "a script": ("<script>", "<script>x()</script><script>"),
    "a byte of a script": ("one <", "one  <"),
    "a style": ("color: red", "color: blue"),
    "a further style": ("</style>", "</style><style>p{opacity:0}</style>"),
    "refresh": ("<title>", '<meta http-equiv="refresh" content="0;url=https://e.org"><title>'),
    "an image": ("AAAA", "AAAB"),
    "a text of an image": ('alt=""', 'alt="New."'),
    "a word of a drawing": (">three<", ">four<"),
    "what a drawing says to the ear": ("One bar: 3", "One bar: 4"),
    "a hair's breadth of what a drawing says": ("One bar: 3.0", "One bar: 3.01"),
    "a hundredth in a word of a drawing": ("0.71 each", "0.72 each"),
    "a further word of a drawing": ("</g></svg>", '</g><text x="1">New.</text></svg>'),
    "a further part of a drawing": ("</g></svg>", '</g><use href="#x"></use></svg>'),
    "a further attribute in a drawing": ("<g>", '<g opacity="0">'),
    "code": ('"n">show', '"n">hide'),
    "a title within code": ('<span class="n">', '<span class="n" title="New.">'),
    "an element within code": ("<pre>", "<pre><b>New.</b>"),
    "something after the end": ("</html>", "</html>New."),
    "a cut end": ("</body></html>", ""),
    "a hidden word": ("The accuracy", '<span class="skip">New.</span> The accuracy'),
    "a hidden word behind code": ("Bars.", '<span class="skip">Bars.</span>'),
    "a class without a meaning behind code": ("Bars.", '<span class="n">Bars.</span>'),
    "a hidden word of code": ('class="n">show', 'class="skip">show'),
    "a hidden summary of code": (">Code<", '><span class="n">Code</span><'),
    "the end of a span behind code": ("</pre>", "</pre></span>"),
    **{f"an end tag with a blank: {name}": (f"</{name}>", f"</ {name}>") for name in ("title", "details", "style")},
    "an end of a script with a blank": ("</script>", "</ script>"),
    "an end tag with words": ("</details>", '</details class="x">'),
    "a comment in a script": ("one <", "<!-- <script> one <"),
    "markup in a title": ("<title>Run", '<title>Run<b class="</title><script>x()</script>">'),
    "a blank that is none to a browser": ('<path d="', '<path\u00a0d="'),
    "another blank that is none to a browser": ('x="1.5"', '\u2003x="1.5"'),
    "a letter that lower case turns into k": ("<td>3", "<t\u212a>3"),
    "an unseen character": ('d="M', 'd="&#1;M'),
    "an unseen character in a class": ('class="word"', 'class="word&#x1;"'),
    "an unseen character in a text": ("0.712", "0.7&#1;12"),
    "a character that is none": ('class="word"', 'class="word&#xFFFE;"'),
    "a character of no number": ('class="word"', f'class="word&#{"9" * 5000};"'),
    "a reference without its end": ("&amp; all", "&amp all"),
    "a reference without its end in a value": ('id="sec-a"', 'id="sec-a&amp"'),
    "an unknown reference": ("&amp; all", "&notit; all"),
}  # fmt: skip


def compare(page, **options):
    return find_difference(read_pieces(page), read_pieces(PAGE), **options)


@pytest.mark.parametrize("same_drawings", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_found(change, same_drawings):
    old, new = CHANGES[change]
    assert PAGE.count(old) >= 1
    found = compare(PAGE.replace(old, new, 1), same_drawings=same_drawings)
    assert found
    assert "follows from the artefacts" in found


def test_the_same_page_is_the_same_however_it_is_written():
    assert compare(PAGE) is None
    assert compare(PAGE.replace("\n<table", "\n\n  <table")) is None
    assert compare(PAGE.replace("&amp;", "&#38;")) is None
    assert (
        compare(PAGE.replace('alt="" src="data:image/png;base64,AAAA"', 'src="data:image/png;base64,AAAA" alt=""'))
        is None
    )
    assert compare(PAGE.replace("<span></span>", "").replace('class="p"', 'class="o"')) is None


def test_lines_of_a_drawing_count_only_where_the_same_library_drew_it():
    other = PAGE.replace("M 0.01 7", "M 0.01 9")
    assert 'in a drawing, \'<path d="M 0.01 9"' in compare(other)
    assert compare(other, same_drawings=False) is None
    assert compare(PAGE.replace("M 0.01 7", "M 0.02 7")) is None  # rounded differently
    assert compare(PAGE.replace("translate(3 4)", "translate(3.01 4)")) is None
    for old, new in (
        ("0.01 7", "0.01 \u0667"),
        ("scale(0.02", "scale(0.01"),
        ("scale(0.02 1)", "matrix(0.02 0 0 1 0 0)"),
    ):
        assert compare(PAGE.replace(old, new)), new  # a digit that no browser reads; no coordinates
    assert compare(PAGE.replace("#000", "#fff"))
    assert compare(PAGE.replace("opacity: 0.5", "opacity: 0.51"))  # no coordinate


def test_place_is_told_by_the_heading_above():
    assert compare(PAGE.replace("0.712", "0.812")).startswith("near '1 Accuracy', 'The accuracy is 0.812,'")
    assert compare(re.sub("<title>.*?</title>", "<title>Other</title>", PAGE)).startswith("near its beginning, 'Other'")
