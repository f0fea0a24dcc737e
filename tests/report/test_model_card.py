"""The model card: its head is what Hugging Face reads, its figures are the run's, and names in it stay names."""

import re
from html import unescape

import pytest
import yaml
from fake_run import HOSTILE
from nbconvert.filters import markdown2html
from sklearn.metrics import accuracy_score, f1_score

from emotion_utils.errors import EmotionError
from emotion_utils.report import verify
from emotion_utils.report.card_head import licences
from emotion_utils.report.model_card import make_card, write_cards
from emotion_utils.report.names import safe_markdown
from emotion_utils.report.results import read_results
from emotion_utils.report.verify import Comparison, _compare_cards

MODEL = "r18_pre_emotion"


def head_of(card):
    start, head, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(head)


def test_head_has_the_metrics_in_the_form_of_the_hub(report):
    run, results, _ = report
    card = run.read("readme", MODEL)
    assert card == make_card(results, MODEL)
    head, test = head_of(card), results.tests[MODEL]
    (index,) = head["model-index"]
    (found,) = index["results"]
    assert (index["name"], found["task"]["type"], found["dataset"]["split"]) == (MODEL, "image-classification", "test")
    values = {each["type"]: each["value"] for each in found["metrics"]}
    assert set(values) == set(head["metrics"]) == {"accuracy", "precision", "recall", "f1"}
    assert values["accuracy"] == round(accuracy_score(test["label"], test["predicted"]), 4)
    assert values["f1"] == round(f1_score(test["label"], test["predicted"], average="macro"), 4)
    assert head["license"] == "mit"  # of synthetic faces and proxy weights
    assert {"synthetic-data", "proxy-weights"} <= set(head["tags"])


def test_what_it_is_not_for_comes_first(report):
    headings = re.findall("^## (.*)", make_card(report[1], MODEL), re.MULTILINE)
    assert headings[:2] == ["Uses that it is not for", "Intended uses"]
    assert "**Proxy weights**" in make_card(report[1], MODEL)
    assert "**Proxy weights**" not in make_card(report[1], "r18_scratch_emotion")


def test_weights_have_the_licences_of_what_made_them(make_run, tmp_path):
    run = make_run(skills={MODEL: 0.9}, weights="official")
    config = run.config.model_copy(update={"data": str(tmp_path / "faces.zip")})
    object.__setattr__(run, "config", config)
    assert head_of(make_card(read_results(run), MODEL))["license"] == "unknown"
    object.__setattr__(run, "config", config.model_copy(update={"licence": "Non-commercial: research\nonly"}))
    results = read_results(run)
    results.cards[MODEL]["provenance"] |= {"name": "resnet18_imagenet", "licence": "BSD-3-Clause"}
    head = head_of(make_card(results, MODEL))
    assert (head["license"], head["base_model"]) == ("other", "timm/resnet18.tv_in1k")
    assert head["license_name"] == "non-commercial-research-only-and-bsd-3-clause"
    assert licences(results, MODEL)["the data"] == "Non-commercial: research\nonly"


def test_names_are_text_and_nothing_else(make_run):
    hostile = (*HOSTILE[:3], "[a](http://b.c)", "**x** ![y](z)")
    card = make_card(read_results(make_run(classes=hostile, skills={MODEL: 0.7}, images=900)), MODEL)
    html = markdown2html(card.split("---\n", 2)[2])
    assert not re.search(r'<script|<img|<strong>x|<a (?!class="anchor-link")', html)
    first = [unescape(cell) for cell in re.findall(r"<tr>\s*<td[^>]*>(.*?)</td>", html)]
    for name in hostile:
        assert first.count(name) == 2, "a row of the split and one of the classes"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("1. a", r"1\. a"), ("- a", r"\- a"), ("10.5", "10.5"), ("a\nb", "a b"), ("\x1b[0m", r"\\x1b\[0m")],
)
def test_names_that_would_begin_a_list_do_not(name, shown):
    assert safe_markdown(name) == shown


@pytest.mark.parametrize("revision", ["0123456789ab", "another"])
def test_changed_figure_of_a_card_is_found(make_run, revision):
    run = make_run(skills={MODEL: 0.9})
    results = read_results(run)
    write_cards(run, results)
    comparison = Comparison("0123456789ab", revision, [MODEL, *results.class_names])
    _compare_cards(run, results, comparison)
    card = run.read("readme", MODEL)
    number = re.search(r"\| Accuracy \| 0\.(\d)", card)
    run.write("readme", card[: number.start(1)] + str((int(number[1]) + 1) % 10) + card[number.end(1) :], MODEL)
    with pytest.raises(EmotionError, match=r"README\.md, line \d+: .*Accuracy .* does not follow"):
        _compare_cards(run, results, comparison)


def test_run_of_an_earlier_version_needs_none(make_run):
    run = make_run(skills={MODEL: 0.9})
    results = read_results(run)
    comparison = Comparison("0123456789ab", "another", [MODEL])
    verify._compare_cards(run, results, comparison)
    assert comparison.added == [f"the card of {MODEL}"]
