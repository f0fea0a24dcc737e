"""What the report says of robustness to corruptions, from a table worked out by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from emotion_utils.errors import EmotionError
from emotion_utils.evaluation.corruptions import CORRUPTIONS
from emotion_utils.figures.corruptions import name_condition
from emotion_utils.report.claims import check_claim
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.page.page_tables import parse_html, read_tables
from emotion_utils.report.results import read_results
from emotion_utils.report.sections import corruptions

WAYS = [("as they are", 0.0), ("blur", 0.01), ("blur", 0.04), ("dark", 0.5), ("dark", 0.1)]
RIGHT = {"angry": [9, 9, 2, 9, 8], "happy": [10, 10, 10, 10, 10], "sad": [8, 8, 0, 8, 6]}


@pytest.fixture
def results(make_results):
    rows = [(*way, name, 10, right[place]) for place, way in enumerate(WAYS) for name, right in RIGHT.items()]
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    return replace(make_results(skills={"r18_pre_emotion": 0.9}), robustness={"r18_pre_emotion": table})


def test_what_costs_most_and_least_is_named_with_its_accuracy(results):
    text = " ".join(claim.text for claim in corruptions.write_corruptions(results).claims)
    assert "on 30 test images" in text
    assert (
        "The corruption blur costs r18_pre_emotion most accuracy: 40.0% at the highest severity, against 90.0%" in text
    )
    assert "dark costs least (80.0%)" in text


@pytest.mark.parametrize(("right", "is_shown"), [(17, True), (18, False), (26, False)])
def test_a_loss_within_the_intervals_is_not_said_to_be_one(results, right, is_shown):
    """Of 30: Wilson's interval of 27 begins at 0.744, that of 17 ends at 0.726, that of 18 at 0.754."""
    rows = [("as they are", 0.0, "happy", 30, 27), ("blur", 0.1, "happy", 30, right)]
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    said = [claim.text for claim in corruptions.write_corruptions(replace(results, robustness={"m": table})).claims]
    assert said[1] == "Of blur there is one severity."
    assert ("blur costs m most accuracy" in said[-1]) == is_shown
    assert ("no corruption is shown to cost" in said[-1] and "against 90.0%" in said[-1]) == (not is_shown)


@pytest.mark.parametrize(("low", "is_said"), [(26, True), (27, False), (30, False)])
def test_what_a_lower_severity_costs_is_not_passed_over(results, low, is_said):
    rows = [("as they are", 0.0, "happy", 30, 27), ("noise", 0.1, "happy", 30, low), ("noise", 0.2, "happy", 30, 28)]
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    prose = corruptions.write_corruptions(replace(results, robustness={"m": table}))
    text = " ".join(claim.text for claim in prose.claims)
    assert "At the highest severity no corruption costs m accuracy." in text
    assert ("At a lower severity its accuracy is 86.7% (noise, 0.1 of the range)." in text) == is_said
    for claim in prose.claims:
        check_claim(claim)


def test_neither_most_nor_least_is_named_where_intervals_overlap_and_chance_is(results):
    counts = {"as they are": 27, "blur": 12, "dark": 10, "noise": 11}
    rows = [(kind, float(kind != "as they are"), "happy", 30, right) for kind, right in counts.items()]
    table = pd.DataFrame(rows, columns=["kind", "amount", "label", "count", "correct"])
    said = [claim.text for claim in corruptions.write_corruptions(replace(results, robustness={"r18": table})).claims]
    assert said[3] == (
        "Corruptions cost r18 accuracy: it is between 33.3% and 40.0% at the highest severity, against 90.0% on the "
        "same clean images; which costs most is not shown, as intervals overlap."
    )
    assert said[4] == "Under blur, dark and noise it is then not shown to exceed the chance level of 33.3%."


def test_figure_has_a_panel_a_model_that_says_what_it_shows(results):
    html = corruptions.corruptions_figure(results).html
    assert "each corruption at its highest severity: clean 0.90; blur 0.40; dark 0.80." in html
    assert html.count("<svg") == 1
    assert "fig-corruptions" in number_exhibits(results)


def test_tables_hold_each_step_and_each_class_at_its_worst(results):
    page = corruptions.corruptions_table(results).html + corruptions.corrupted_classes_table(results).html
    steps, classes = read_tables(parse_html(page)).values()
    assert [row[:-1] for row in steps.rows[1:]] == [
        ["clean", "\N{EN DASH}"], ["blur", "0.01 of the side"], ["0.04 of the side"], ["dark", "0.5 of the brightness"],
        ["0.1 of the brightness"],
    ]  # fmt: skip
    assert [row[-1].split()[0] for row in steps.rows[1:]] == ["0.9000", "0.9000", "0.4000", "0.9000", "0.8000"]
    assert [row[-2:] for row in classes.rows[4:7]] == [["angry", "0.2000"], ["happy", "1.0000"], ["sad", "0.0000"]]


def test_every_severity_has_a_unit_and_what_another_version_measured_is_shown_as_it_is():
    assert all(len(name_condition(kind, amounts[0])[1].split()) > 1 for kind, amounts in CORRUPTIONS.items())
    assert name_condition("fog", 0.5) == ("fog", "0.5")


def test_run_without_measurements_says_so_and_has_no_such_table(results):
    bare = replace(results, robustness={})
    assert "was not measured" in corruptions.write_corruptions(bare).claims[0].text
    assert corruptions.corruptions_table(bare).html == corruptions.corruptions_figure(bare).html == ""
    assert "tbl-robustness" not in number_exhibits(bare)


def test_models_measured_in_other_ways_are_refused(make_run):
    run = make_run()
    table = run.read("robustness", "VGG16_emotion")
    run.write("robustness", table[table["kind"] != "blur"], "r18_pre_emotion")
    with pytest.raises(EmotionError, match=r"r18_pre_emotion/robustness\.csv: measured in other ways"):
        read_results(run)
