"""The checklist says what this run has, and nothing of what it has not; a rubric is matched by words or not at all."""

from dataclasses import replace

import nbformat
import pytest
from fake_run import NOTEBOOK

from emotion_utils.report.claims import check_claim
from emotion_utils.report.page.html import number_headings
from emotion_utils.report.places import SECTIONS, TOPICS, match_topics
from emotion_utils.report.sections.checklist import write_checklist, write_rubric


@pytest.fixture(scope="module")
def results(report):
    return report[1]


def items(prose):
    for claim in prose.claims:
        check_claim(claim)
    return dict(claim.text.split(": ", 1) for claim in prose.claims)


def test_sections_are_called_what_the_page_calls_them():
    headings = number_headings(nbformat.read(NOTEBOOK, as_version=4))
    numbers = {
        each.id: f"Appendix {each.number}" if each.number.isalpha() else f"Section {each.number}"
        for each in headings
        if each.number
    }
    assert {key: name for key, name in SECTIONS.items() if name[0].isupper()}.items() <= numbers.items()
    assert set(SECTIONS) <= {each.id for each in headings}


def test_places_of_topics_are_sections_or_exhibits(results):
    sometimes = {"tbl-seeds", "tbl-ablation", "tbl-search", "tbl-fairness", "fig-video"}
    places = {place for topic in TOPICS for place in topic.places}
    assert places - set(SECTIONS) - set(results.exhibits) <= sometimes


def test_what_the_run_has_is_said_with_its_place_and_what_it_has_not_was_not_measured(results):
    found = items(write_checklist(results))
    kept = results.kept
    assert found["Data"].startswith(f"{len(kept):,} images of three classes (Section 2 and Table B1)")
    assert found["Looks at the test images"] == "each one is counted (Table D3)."
    for item in (
        "Variation over seeds",
        "Ablation",
        "Energy",
        "Groups of persons compared",
        "Ranges of settings tried",
    ):
        assert found[item] == "not measured."
    assert "licence" not in found["Access to the data"]
    own = replace(results, config=results.config.model_copy(update={"data": "/home/me/faces"}))
    assert items(write_checklist(own))["Access to the data"].startswith("faces, not part of this report; licence: not")


def test_single_model_has_no_test_between_models(make_results):
    found = items(write_checklist(make_results(skills={"r18_pre_emotion": 0.9}, images=60)))
    assert found["Tests"] == "not measured."
    assert "Table" not in found["Claims"]


def test_criteria_are_matched_by_their_words_and_what_matches_nothing_says_so(results):
    criteria = ["Confusion matrices for 3 models", "An ablation", "Neat <b>handwriting</b> of 12 pt in Table 9"]
    prose = write_rubric(replace(results, rubric={"file": "r.md", "criteria": criteria}))
    first, *rest = prose.claims
    assert "r.md" in first.text
    said = items(type("Rest", (), {"claims": rest}))
    assert said[criteria[0]].endswith("Figure 4 and Section 6.1 (by confusion).")
    assert said[criteria[1]] == "not measured in this run (by ablation)."
    assert said[criteria[2]] == "matched to no part of this report."
    assert "<b>handwriting" not in prose.show().html
    assert '<a class="ref" href="#fig-confusion">' in prose.show().html
    assert write_rubric(results).claims == []


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ("Cross-validated hyperparameters", ["hyperparameters"]),
        ("database", []),
        ("Transfer  learning", ["transfer  learning"]),
        ("The optimiser and the licence", ["optimiser", "licence"]),
        ("pre-training", ["pre-training"]),
    ],
)
def test_words_are_whole_ones(criterion, words):
    assert match_topics(criterion, {}).words == words
