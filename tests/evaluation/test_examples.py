"""Which images are shown: worked out by hand on four images and two models."""

import pandas as pd
import pytest

from emotion_utils.errors import InputError
from emotion_utils.evaluation.examples import agreement_table, choose_examples, confidence_table


def table(**angry):
    rows = {"sure": "angry", "split": "happy", "missed": "happy", "close": "angry"}
    frame = pd.DataFrame({"split": "test", "label": rows, "angry": angry})
    frame["happy"] = 1 - frame["angry"]
    frame["predicted"] = ["angry" if prob >= 0.5 else "happy" for prob in frame["angry"]]
    return frame.rename_axis("id").reset_index()[["id", "split", "label", "predicted", "angry", "happy"]]


@pytest.fixture
def predictions():
    return {
        "one": table(sure=0.9, split=0.2, missed=0.7, close=0.52),
        "two": table(sure=1.0, split=0.6, missed=0.95, close=0.54),
    }


def test_confidence_is_that_of_the_hand_computed_case(predictions):
    found = confidence_table(predictions)
    assert dict(found["models_right"]) == {"sure": 2, "split": 1, "missed": 0, "close": 2}
    assert dict(found["wrong_prob"].round(9)) == {"sure": 0, "split": 0.6, "missed": 0.95, "close": 0}
    assert found.loc["missed", "label_prob"] == pytest.approx((0.3 + 0.05) / 2)
    assert found.loc["close", "margin"] == pytest.approx((0.04 + 0.08) / 2)


def test_galleries_rank_by_what_they_promise(predictions):
    assert choose_examples(predictions, "certain", 9) == ["sure", "close"]
    assert choose_examples(predictions, "mistaken", 9) == ["missed", "split"]
    assert choose_examples(predictions, "borderline", 1) == ["close"]
    alone = {model: rows[rows["id"] != "sure"] for model, rows in predictions.items()}
    assert choose_examples(alone, "certain", 1) == ["close"]
    assert choose_examples(alone, "borderline", 1) == ["split"], "shown as the most certain and as the least"
    with pytest.raises(InputError):
        choose_examples(predictions, "pretty", 1)


def test_agreement_counts_every_image_once(predictions):
    found = agreement_table(predictions)
    assert list(found.index) == ["2 of 2 right", "1 of 2 right", "0 of 2 right"]
    assert list(found["all"]) == [2, 1, 1]
    assert list(found["angry"]) == [2, 0, 0]
