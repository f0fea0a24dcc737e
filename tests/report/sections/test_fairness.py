"""Groups of persons in report and card: each group's figures, the test, and that nothing was measured."""

import numpy as np
import pytest

from emotion_utils.report.claims import check_claim
from emotion_utils.report.model_card import make_card
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.fairness import fairness_table
from emotion_utils.report.sections.metrics import write_metrics

MODEL = "r18_pre_emotion"


@pytest.fixture
def grouped(grouped_run):
    return read_results(grouped_run)


@pytest.fixture
def grouped_run(make_run):
    """A run of which `old` are mistaken; `x|y` are too few."""
    run = make_run(skills={MODEL: 0.95}, images=1800)
    manifest, predictions = run.read("manifest"), run.read("predictions", MODEL)
    right = manifest["id"].map(predictions.set_index("id").eval("label == predicted")).fillna(True).astype(bool)
    number = np.arange(len(manifest))
    manifest["fairness"] = np.where(number % 12 == 0, "x|y", np.where(right & (number % 2 == 0), "young", "old"))
    run.write("manifest", manifest)
    run.config = run.config.model_copy(update={"fairness": "age"})
    return run


def test_every_group_is_shown_and_small_ones_are_not_judged(grouped):
    html = fairness_table(grouped).html
    assert "too few" in html
    assert "<bdi>old</bdi>" in html
    card = make_card(grouped, MODEL)
    assert r"| x\|y | 15 of 15 | too few | too few |" in card
    (said,) = [claim for claim in write_metrics(grouped).claims if "By age" in claim.text]
    check_claim(said)
    assert said.text in card.replace("\\", "")
    assert "between young (100.0%) and old" in said.text


def test_images_of_no_group_are_counted(grouped_run):
    assert "no value of" not in make_card(read_results(grouped_run), MODEL)
    manifest = grouped_run.read("manifest")
    manifest.loc[manifest["fairness"] == "old", "fairness"] = ""
    grouped_run.write("manifest", manifest)
    unknown = int(((manifest["split"] == "test") & (manifest["fairness"] == "")).sum())
    results = read_results(grouped_run)
    sentence = f"{unknown} of {results.test_size} test images have no value of age: they are in no group."
    (said,) = [claim for claim in write_metrics(results).claims if "no value of" in claim.text]
    check_claim(said)
    assert unknown > 20
    assert said.text == sentence
    assert sentence in make_card(results, MODEL)


def test_without_the_setting_nothing_is_claimed(report):
    assert fairness_table(report[1]).html == ""
    assert "was not measured" in " ".join(claim.text for claim in write_metrics(report[1]).claims)
    assert "Not measured: whether it is as accurate for one group" in make_card(report[1], MODEL)
