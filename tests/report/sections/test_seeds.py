"""Several seeds: where they lie, what the report makes of them, and that the first one stays the one shown."""

import re

import numpy as np
import pytest

from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import write_json
from emotion_utils.report.contents import collect_claims
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.seeds import seeds_table
from emotion_utils.run import Run
from emotion_utils.stages import stages_of


@pytest.fixture
def run(make_run):
    return make_run(skills={"r18_pre_emotion": 0.9, "r18_scratch_emotion": 0.6}, seeds=3)


def accuracy(run, model):
    test = run.read("predictions", model).query("split == 'test'")
    return float(np.mean(test["label"] == test["predicted"]))


def test_replicas_share_the_data_and_have_folders_and_seeds_of_their_own(tmp_path):
    run = Run(tmp_path, resolve_config("smoke", ["seeds=3", "seed=5"]))
    assert [each.config.seed for each in run.replicas()] == [6, 7]
    assert run.replicas()[0].model_dir("m") == tmp_path / "models" / "m" / "seed-6"
    assert run.replicas()[0].path("manifest") == run.path("manifest")
    assert Run(tmp_path, resolve_config("smoke")).replicas() == []


def test_pipeline_expects_the_files_of_every_seed():
    (stage,) = [s for s in stages_of(resolve_config("smoke", ["seeds=3"])) if s.model == "VGG16_emotion"]
    assert {"models/VGG16_emotion/history.csv", "models/VGG16_emotion/seed-2/predictions.csv"} <= set(stage.writes)
    assert len(stage.writes) == 3 * 4 + 1  # robustness is measured for the first training alone


def test_table_has_each_training_mean_and_spread_with_the_best_one_marked(run):
    found = [accuracy(each, "r18_pre_emotion") for each in [run, *run.replicas()]]
    html = seeds_table(read_results(run)).html
    assert f"{np.mean(found):.4f} ± {np.std(found, ddof=1):.4f}" in html
    assert re.search(rf"\d, best of 3</bdi></td><td>{max(found):.4f}<", html)
    assert all(f"{value:.4f}" in html for value in found)


def test_sentences_give_mean_and_spread_and_the_first_training_is_the_one_shown(run):
    results = read_results(run)
    assert results.reports["r18_pre_emotion"].at["accuracy", "f1-score"] == accuracy(run, "r18_pre_emotion")
    text = " ".join(claim.text for claim in collect_claims(results))
    assert "trained three times, with the random seeds 0 to 2" in text
    found = [accuracy(each, "r18_scratch_emotion") for each in [run, *run.replicas()]]
    assert f"r18_scratch_emotion has a mean accuracy of {np.mean(found):.1%} on the test images over three" in text


def test_missing_training_says_what_to_run(run):
    (run.replicas()[1].model_dir("r18_pre_emotion") / "predictions.csv").unlink()
    with pytest.raises(InputError, match=r"seed-2/predictions\.csv is missing: run the notebook of r18_pre_emotion"):
        read_results(run)


@pytest.mark.parametrize("change", ["edits", "data", "recipe_used"])
def test_trainings_of_another_network_recipe_or_data_are_never_averaged(run, change):
    recipe = run.recipe("r18_pre_emotion").model_dump(mode="json")
    facts = {
        "network": "n",
        "recipe": "r",
        "data": "d",
        "folder": "edited-01234567",
        "edits": [],
        "recipe_used": recipe,
    }
    other = {"edits": ["network: fc edited in the notebook"], "data": "e", "recipe_used": recipe | {"lr": 0.5}}
    for each in (run, *run.replicas()):
        card = each.read("model_card", "r18_pre_emotion")
        own = facts | ({change: other[change]} if each.model_folder == "seed-2" else {})
        write_json(each.path("model_card", "r18_pre_emotion"), card | {"training": own})
    with pytest.raises(EmotionError, match=r"seed-2: trained with another network, recipe or data than the first seed"):
        read_results(run)
