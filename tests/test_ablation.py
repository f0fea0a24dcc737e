"""What an ablation leaves out, of which models, and what a run that makes some consists of."""

import pytest

from emotion_utils.ablation import ablation_lines, all_trainings
from emotion_utils.config import resolve_config
from emotion_utils.errors import InputError
from emotion_utils.run import Run
from emotion_utils.stages import stages_of

ALL = "ablate=[augmentation,pretraining,unfreezing]"
PRE, SCRATCH = "r18_pre_emotion", "r18_scratch_emotion"


def trainings(tmp_path, model, *settings):
    run = Run(tmp_path, resolve_config("demo", [ALL, *settings]))
    return {each.model_folder: each.config for each in all_trainings(run, model)}


def test_each_training_leaves_out_one_part_and_keeps_the_rest(tmp_path):
    found = trainings(tmp_path, PRE)
    assert list(found) == ["", "without-augmentation", "without-pretraining", "without-unfreezing"]
    whole = found.pop("").model_dump()
    changed = {name: config.model_dump() for name, config in found.items()}
    augment = changed["without-augmentation"]["augment"]
    assert not any(value for name, value in augment.items() if name not in ("flip_order", "erase_area"))
    assert changed["without-pretraining"]["recipes"][PRE].pop("weights") == "random"
    whole["recipes"][PRE].pop("weights")
    assert [phase["epoch"] for phase in changed["without-unfreezing"]["recipes"][PRE].pop("phases")] == [1]
    changed["without-augmentation"]["augment"] = whole["augment"]
    changed["without-unfreezing"]["recipes"][PRE]["phases"] = whole["recipes"][PRE]["phases"]
    for config in changed.values():
        config["recipes"][PRE].pop("weights", None)
        assert config == whole


def test_each_seed_is_trained_without_it(tmp_path):
    found = trainings(tmp_path, SCRATCH, "seeds=2", "seed=4")
    assert {name: config.seed for name, config in found.items()} == {
        "": 4, "seed-5": 5, "without-augmentation": 4, "without-augmentation/seed-5": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        (["recipes.r18_pre_emotion.weights=random"], "without-pretraining"),
        (["recipes.r18_pre_emotion.phases=[{epoch: 1, train_from: stem}]"], "without-unfreezing"),
        (["recipes.r18_pre_emotion.epochs=1"], "without-unfreezing"),
        (["augment.flip=0", "recipes.r18_pre_emotion.augment_strength=0"], "without-augmentation"),
    ],
)
def test_what_a_model_does_not_have_is_not_left_out_and_said(tmp_path, settings, left):
    assert left not in trainings(tmp_path, PRE, *settings)
    said = list(ablation_lines(resolve_config("demo", [ALL, "models=[r18_pre_emotion]", *settings])))
    assert len(said) == 1
    assert left.removeprefix("without-") in said[0]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ("pretrainig", "ablate: unknown part 'pretrainig'; did you mean 'pretraining'"),
        ("[augmentation, x]", "ablate: unknown part 'x'; choose from augmentation, pretraining, unfreezing"),
        ("[augmentation, augmentation]", "ablate: a part is named twice"),
        ("[3]", "ablate"),
    ],
)
def test_unknown_parts_are_refused(given, refusal):
    with pytest.raises(InputError, match=refusal):
        resolve_config("demo", [f"ablate={given}"])
    assert resolve_config("demo", ["ablate=augmentation"]).ablate == ("augmentation",)


def test_pipeline_expects_the_files_of_every_training():
    config = resolve_config("demo", [ALL, "seeds=2"])
    writes = {stage.model: stage.writes for stage in stages_of(config) if stage.model}
    assert "models/r18_pre_emotion/without-unfreezing/seed-1/predictions.csv" in writes[PRE]
    assert len(writes[PRE]) == 4 * 2 * 4 + 1
    assert len(writes[SCRATCH]) == 2 * 2 * 4 + 1
