"""Counts and rates against scikit-learn, which works them out in its own way."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report, confusion_matrix

from emotion_utils.errors import InputError
from emotion_utils.evaluation.metrics import accuracy, classification_table, confusion


@st.composite
def predictions(draw):
    """Between 2 and 10 classes, some of them without images or never predicted."""
    names = [f"class {number}" for number in range(draw(st.integers(2, 10)))]
    answers = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), min_size=1, max_size=60))
    return pd.DataFrame(answers, columns=["label", "predicted"]), names


@given(predictions())
@settings(max_examples=60, deadline=None)
def test_classification_table_is_that_of_scikit_learn(case):
    table, names = case
    found = classification_table(table, names)
    expected = classification_report(
        table["label"], table["predicted"], labels=names, target_names=names, output_dict=True, zero_division=0
    )
    for row in [*names, "macro avg", "weighted avg"]:
        for column in found.columns:
            assert found.at[row, column] == pytest.approx(expected[row][column], abs=1e-12)
    assert found.at["accuracy", "f1-score"] == pytest.approx(np.mean(table["label"] == table["predicted"]))
    assert found.at["accuracy", "support"] == len(table)


@given(predictions())
@settings(max_examples=40, deadline=None)
def test_confusion_is_that_of_scikit_learn(case):
    table, names = case
    found = confusion(table, names)
    assert list(found.index) == list(found.columns) == names
    assert (found.to_numpy() == confusion_matrix(table["label"], table["predicted"], labels=names)).all()


def test_no_images_have_accuracy_zero():
    assert accuracy(pd.DataFrame({"label": [], "predicted": []})) == 0.0


def test_class_of_another_run_is_refused_by_name():
    table = pd.DataFrame({"label": ["angry"], "predicted": ["bored"]})
    with pytest.raises(InputError, match="'bored'"):
        confusion(table, ["angry", "happy"])
