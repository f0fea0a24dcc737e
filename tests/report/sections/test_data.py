"""What the report says of the data."""

import pytest
from fake_run import make_run

from emotion_utils.config import AugmentConfig
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
