"""Counts and rates against scikit-learn and statsmodels, which work them out in their own way."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report, confusion_matrix
from statsmodels.stats.proportion import proportion_confint

from emotion_utils.errors import InputError
from emotion_utils.evaluation.metrics import accuracy, classification_table, confusion, wilson_interval


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


@given(st.integers(0, 400), st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_wilson_interval_is_that_of_statsmodels(correct, count):
    correct = min(correct, count)
    low, high = wilson_interval(correct, count)
    assert (low, high) == pytest.approx(proportion_confint(correct, count, method="wilson"), abs=1e-12)
    assert 0 <= low <= correct / count <= high <= 1


def test_no_images_leave_the_rate_unknown():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert accuracy(pd.DataFrame({"label": [], "predicted": []})) == 0.0


def test_class_of_another_run_is_refused_by_name():
    table = pd.DataFrame({"label": ["angry"], "predicted": ["bored"]})
    with pytest.raises(InputError, match="'bored'"):
        confusion(table, ["angry", "happy"])


def test_more_right_than_there_are_is_refused():
    with pytest.raises(InputError):
        wilson_interval(3, 2)
