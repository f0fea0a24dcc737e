"""What the report says of the data."""

import pytest
from fake_run import make_run

from emotion_utils.recipe import AugmentConfig
from emotion_utils.report.results import read_results
from emotion_utils.report.sections.data import write_data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "shifted by up to 5% and changed in colour by up to 20%."),
        ({"contrast": 0.4}, "changed in colour by up to 40%."),
        ({"erase": 0.25}, "changed in colour by up to 20% and partly covered with a probability of 25%."),
        ({"brightness": 0, "contrast": 0, "saturation": 0}, "scaled by up to 10% and shifted by up to 5%."),
    ],
)
def test_augmentation_is_told_as_it_is_set(tmp_path, changes, said):
    run = make_run(tmp_path / "study", skills={"r18_pre_emotion": 0.9}, images=60)
    run.config = run.config.model_copy(update={"augment": AugmentConfig(**changes)})
    texts = [claim.text for claim in write_data(read_results(run)).claims]
    assert next(text for text in texts if "randomly" in text).endswith(said)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ("votes", "learn the shares of the votes for each class, not the label"),
        ("both", "learn the mean of the label and"),
    ],
)
def test_what_is_learned_in_place_of_labels_is_told(tmp_path, targets, said):
    run = make_run(tmp_path / "study", skills={"r18_pre_emotion": 0.9}, images=60)
    told = [claim.text for claim in write_data(read_results(run)).claims]
    assert not any("In training the networks learn" in text for text in told)
    run.config = run.config.model_copy(update={"targets": targets})
    told = [claim.text for claim in write_data(read_results(run)).claims]
    assert [said in text for text in told if "In training the networks learn" in text] == [True]


def test_validation_images_that_judge_are_told(tmp_path):
    run = make_run(tmp_path / "study", skills={"r18_pre_emotion": 0.9}, images=60)
    results = read_results(run)
    assert not any("theirs for validation are the test" in claim.text for claim in write_data(results).claims)
    results.audit["splits"]["val_judges"] = True
    assert any("theirs for validation are the test" in claim.text for claim in write_data(results).claims)
