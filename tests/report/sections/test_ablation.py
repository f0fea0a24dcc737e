"""Ablations in the report: which there are, what they are compared by, and that none differs in more than its part."""

import fake_run
import numpy as np
import pytest

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.evaluation.statistics import mcnemar_p, sign_flip_p
from emotion_utils.files import read_json, write_json
from emotion_utils.report.claims import check_claim
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.ablation import ablation_table, write_ablation

PRE, SCRATCH = "r18_pre_emotion", "r18_scratch_emotion"


PARTS = ("augmentation", "pretraining", "unfreezing")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two models, from two seeds each; no test changes it."""
    root = tmp_path_factory.mktemp("ablation") / "run"
    return fake_run.make_run(root, skills={PRE: 0.95, SCRATCH: 0.6}, seeds=2, ablate=PARTS)


@pytest.fixture(scope="module")
def results(run):
    return read_results(run)


def right(run):
    test = run.read("predictions", PRE).query("split == 'test'").sort_values("id")
    return (test["label"] == test["predicted"]).to_numpy(float)


def test_table_has_the_paired_difference_of_each_part_that_a_model_has(run, results):
    assert [(each.model, each.part) for each in results.ablations] == [
        (PRE, "augmentation"), (PRE, "pretraining"), (PRE, "unfreezing"), (SCRATCH, "augmentation"),
    ]  # fmt: skip
    without = run.variant("without-pretraining")
    difference = np.mean([right(run), right(run.replicas()[0])]) - np.mean(
        [right(without), right(without.replicas()[0])]
    )
    found = results.ablation_comparisons.iloc[1]
    assert found["difference"] == pytest.approx(difference)
    assert found["low"] < difference < found["high"]
    assert found["p_value"] <= found["p_holm"] <= 4 * found["p_value"]
    assert f"{100 * difference:+.1f}" in ablation_table(results).html


def test_sentences_name_what_differs_what_does_not_and_what_does_not_apply(results):
    claims = write_ablation(results).claims
    for claim in claims:
        check_claim(claim)
    text = " ".join(claim.text for claim in claims)
    assert f"Without pretraining the accuracy of {PRE} is" in text
    assert "lower" in text
    assert "does not differ significantly" in text
    assert f"Ablation of pretraining does not apply to {SCRATCH}, which starts from random weights." in text


def test_ablation_that_differs_in_more_than_its_part_or_is_missing_is_refused(make_run):
    run = make_run(skills={PRE: 0.9}, images=60, ablate=PARTS[:1])
    folder = run.variant("without-augmentation").model_dir(PRE)
    card = read_json(folder / "model.json")
    card["training"]["edits"].append("epochs: 3 in place of 8")
    write_json(folder / "model.json", card)
    with pytest.raises(EmotionError, match="differs from the model in more than augmentation: run `emotion train"):
        read_results(run)
    (folder / "model.json").unlink()
    with pytest.raises(InputError, match=r"without-augmentation/model\.json is missing"):
        read_results(run)


def test_without_an_ablation_nothing_is_shown(make_results):
    results = make_results(skills={PRE: 0.9}, images=60)
    assert write_ablation(results).claims == []
    assert ablation_table(results).html == ""


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 0), (9, 3), (40, 61)])
def test_permutation_test_of_single_trainings_is_mcnemars(only_a, only_b):
    differences = np.array([1] * only_a + [-1] * only_b + [0] * 7)
    assert sign_flip_p(differences) == pytest.approx(mcnemar_p(only_a, only_b), abs=1e-12)


def test_permutation_test_counts_all_signs_of_larger_differences():
    differences = np.array([3, 2, 2, -1])
    signs = np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1)
    assert sign_flip_p(differences) == pytest.approx(np.mean(np.abs(differences @ signs) >= 6))
