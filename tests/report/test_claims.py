"""A sentence may say no more than the figures it carries."""

import json

import pytest

from emotion_utils.errors import EmotionError
from emotion_utils.report.claims import (
    AHEAD,
    Claim,
    Label,
    Model,
    Ref,
    check_claim,
    join_words,
    show_number,
    write_claims,
)  # fmt: skip


def claim(template, comparison="value", **values):
    return Claim("section", template, values, comparison=comparison, names={"tbl-a": "Table 1", "tbl-b": "Table 2"})


def test_number_written_by_hand_is_refused():
    check_claim(claim("It names {accuracy:pct} right.", accuracy=0.9631))
    with pytest.raises(EmotionError, match="96"):
        check_claim(claim("It names 96% right.", accuracy=0.5))


def test_digits_of_names_are_no_numbers():
    check_claim(claim("{model} calls {label} so.", model=Model("VGG16_emotion"), label=Label("7")))


@pytest.mark.parametrize("words", ["is more accurate than", "outperforms", "beats", "is ahead of", "dominates"])
def test_winner_without_a_test_is_refused(words):
    with pytest.raises(EmotionError, match="winner"):
        check_claim(claim(f"{{a}} {words} {{b}}.", a=Model("a"), b=Model("b")))


@pytest.mark.parametrize(("difference", "p_holm"), [(0.1, 0.051), (0.0, 0.001), (-0.1, 0.001)])
def test_winner_that_is_none_is_refused(difference, p_holm):
    values = {"a": Model("a"), "b": Model("b"), "difference": difference, "p_holm": p_holm}
    with pytest.raises(EmotionError, match="none"):
        check_claim(claim("{a} is more accurate than {b}.", AHEAD, **values))


def test_winner_that_is_one_is_accepted():
    values = {"a": Model("a"), "b": Model("b"), "difference": 0.1, "p_holm": 0.05}
    check_claim(claim("{a} is more accurate than {b} (adjusted {p_holm:p}).", AHEAD, **values))


def test_significance_needs_a_test():
    with pytest.raises(EmotionError, match="significance"):
        check_claim(claim("{a} differs significantly.", a=Model("a")))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_value_that_is_not_finite_is_refused(value):
    with pytest.raises(EmotionError, match="finite"):
        check_claim(claim("It names {accuracy:pct} right.", accuracy=value))


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (0.9634, "pct", "96.3%"), (0.05, "pct0", "5%"), (0.01, "points", "1.0 point"),
        (0.125, "points", "12.5 points"), (3, "words", "three"), (2, "Words", "Two"), (13, "words", "13"),
        (12345, "count", "12,345"), (1, "times", "once"), (0.0004, "p", "p < 0.001"), (0.0312, "p", "p = 0.031"),
        (125, "duration", "2 min 5 s"), (9.4, "duration", "9 s"),
    ],
)  # fmt: skip
def test_numbers_are_shown_as_a_person_writes_them(value, form, shown):
    assert show_number(value, form) == shown


def test_references_are_named_and_linked():
    tables = claim("{both} and {one}.", both=[Ref("tbl-a"), Ref("tbl-b")], one=Ref("tbl-a"))
    assert tables.text == "Tables 1 and 2 and Table 1."
    assert '<a class="ref" href="#tbl-b">2</a>' in tables.html(set())


def test_names_are_escaped_and_a_proxy_is_marked_once():
    html = claim("{m} and {m} see {l}.", m=Model("<m>"), l=Label("<script>")).html({"<m>"})
    assert "<script>" not in html
    assert "<m>" not in html
    assert html.count(">proxy<") == 1


def test_claims_are_written_with_their_figures(make_run):
    run = make_run()
    write_claims(run, [claim("{m} names {rate:pct} right.", m=Model("a"), rate=0.5)])
    written = json.loads(run.path("claims").read_text(encoding="utf-8"))
    assert written[0]["text"] == "a names 50.0% right."
    assert written[0]["values"] == {"m": "a", "rate": 0.5}
    assert written[0]["models"] == ["a"]


def test_lists_read_as_a_person_writes_them():
    assert [join_words("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
