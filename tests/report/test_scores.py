"""The scores that a run ends with: the figures of the report, in lines that fit a terminal."""

import re

from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.proportion import proportion_confint

from emotion_utils.report.scores import score_lines


def test_each_model_has_a_line_with_both_scores_and_their_intervals(report):
    _, results, _ = report
    heading, columns, *rows = score_lines(results)
    assert heading == f"{results.test_size} test images, 95% intervals in brackets:"
    assert columns.split() == ["model", "accuracy", "macro", "F1"]
    assert len(rows) == len(results.models)
    for row, (model, table) in zip(rows, results.tests.items(), strict=True):
        assert row.startswith(results.label(model))
        assert len(row) <= 80
        accuracy, low, high, f1, f1_low, f1_high = map(float, re.findall(r"\d\.\d{3}", row))
        hits = accuracy_score(table["label"], table["predicted"], normalize=False)
        expected = [hits / len(table), *proportion_confint(hits, len(table), method="wilson")]
        assert [accuracy, low, high] == [round(each, 3) for each in expected]
        assert f1 == round(f1_score(table["label"], table["predicted"], average="macro"), 3)
        assert f1_low <= f1 <= f1_high
