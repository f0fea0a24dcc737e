"""Is a printed table consistent with itself? Tables come from random confusion matrices, and from hand."""

import copy
import csv
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import classification_report

from emotion_utils.errors import InputError
from emotion_utils.published.audit import audit_file, audit_report, audit_results
from emotion_utils.published.finding import summarise_findings
from emotion_utils.published.integer_counts import attainable_sizes, compatible_matrices
from emotion_utils.published.study import published_results
from emotion_utils.published.tables import parse_json, read_printed_results

CLASSES = ("angry", "happy", "sad", "fear", "neutral")


def print_table(matrix, decimals=4):
    """What scikit-learn reports for a confusion matrix (label by prediction), rounded, in the form of the JSON."""
    names = CLASSES[: len(matrix)]
    cells = [(row, column) for row in range(len(matrix)) for column in range(len(matrix))]
    labels = [names[row] for row, column in cells for _ in range(matrix[row][column])]
    predicted = [names[column] for row, column in cells for _ in range(matrix[row][column])]
    report = classification_report(labels, predicted, labels=names, output_dict=True, zero_division=0)
    report = {"accuracy": np.trace(matrix) / np.sum(matrix)} | report  # absent where a class has no image
    rate = lambda value: f"{value:.{decimals}f}"  # noqa: E731
    table = {"accuracy": [rate(report["accuracy"]), str(len(labels))]}
    for name in (*names, "macro avg", "weighted avg"):
        row = report[name]
        table[name] = [*(rate(row[key]) for key in ("precision", "recall", "f1-score")), str(int(row["support"]))]
    return table


def read_tables(**tables):
    """As from a file; figures given as text stand in the JSON as numbers, with all their zeros."""
    return parse_json(json.dumps(tables), "test")


def failed(results):
    return [finding for finding in audit_results(results) if finding.ok is False]


matrices = st.integers(2, 3).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 40), min_size=k, max_size=k), min_size=k, max_size=k)
)


@settings(max_examples=40, deadline=None)
@given(matrices)
def test_table_of_a_random_confusion_matrix_always_passes(matrix):
    assume(all(sum(row) for row in matrix))
    results = read_tables(table_2_any=print_table(matrix))
    assert [finding.sentence for finding in failed(results)] == []
    found = compatible_matrices(results.reports[0])
    if found is not None and found[1]:
        assert any((each == np.array(matrix)).all() for each in found[0])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_changed_digit_is_found(data):
    k = data.draw(st.integers(2, 4))
    counts = st.lists(st.integers(1, 40), min_size=k, max_size=k)
    table = print_table(data.draw(st.lists(counts, min_size=k, max_size=k)))
    name = data.draw(st.sampled_from(sorted(table)))
    place = data.draw(st.integers(0, len(table[name]) - 1))
    text = table[name][place]
    digit = data.draw(st.integers(0, len(text) - 1))
    assume(text[digit] != "." and digit < 5)  # the last decimal of a rate is within what rounding can explain
    changed = (
        text[:digit]
        + data.draw(st.sampled_from([each for each in "0123456789" if each != text[digit]]))
        + text[digit + 1 :]
    )
    assume(float(changed) <= 1 or "." not in text)
    table[name][place] = changed
    results = read_tables(table_2_any=table)
    assert failed(results)


def consistent():
    return print_table([[50, 3, 2], [4, 40, 1], [0, 5, 30]])


@pytest.mark.parametrize(
    ("row", "place", "value", "check"),
    [
        ("angry", 2, "0.9100", "f1"),
        ("angry", 1, "0.9000", "recall"),  # 49.5 of 55 images
        ("angry", 0, "0.9333", "precision"),  # 50 of 53.57
        ("macro avg", 0, "0.8800", "average"),
        ("weighted avg", 2, "0.8800", "average"),
        ("accuracy", 0, "0.9000", "accuracy"),
        ("accuracy", 1, "136", "support"),
    ],
)  # fmt: skip
def test_each_check_names_the_figure_that_is_wrong(row, place, value, check):
    table = consistent()
    table[row][place] = value
    findings = failed(read_tables(table_2_any=table))
    assert check in {finding.check for finding in findings}
    found = next(finding for finding in findings if finding.check == check)
    assert found.printed == value
    assert found.recomputed != value
    assert found.place.startswith("any")
    if row != "accuracy":
        assert row in found.place


def test_single_confusion_matrix_is_reconstructed():
    """Margins fix all six errors of three classes but one, and that one is bounded by empty cells here."""
    matrix = [[153, 0, 0], [0, 145, 0], [1, 0, 133]]
    found, complete = compatible_matrices(read_tables(table_2_any=print_table(matrix)).reports[0])
    assert complete
    assert found.tolist() == [matrix]
    finding = next(
        each
        for each in audit_report(read_tables(t=0, table_2_any=print_table(matrix)).reports[0])
        if each.check == "matrix"
    )
    assert finding.sentence == "Exactly one confusion matrix gives all printed figures: 1 sad as angry."


def test_counts_of_predictions_are_those_of_every_matrix():
    for matrix, decimals in (([[153, 0, 0], [0, 145, 0], [1, 0, 133]], 4), ([[20, 5], [6, 31]], 1)):
        report = read_tables(table_2_any=print_table(matrix, decimals)).reports[0]
        (finding,) = [each for each in audit_report(report) if each.check == "predictions"]
        sums = compatible_matrices(report)[0].sum(axis=1)
        ends = zip(sums.min(axis=0), sums.max(axis=0), strict=True)
        assert finding.recomputed == ", ".join(f"{low} to {high}" if low < high else f"{low}" for low, high in ends)
    assert "the confusion matrices that give" in finding.sentence.lower()
    line = summarise_findings(audit_results(published_results()))[6]
    assert line.endswith(" all printed figures predicts 154 as angry, 145 as happy and 133 as sad.")


def test_matrices_are_all_that_trying_every_one_finds():
    matrix = np.array([[4, 2, 1], [1, 5, 1], [2, 0, 3]])
    table = print_table(matrix)
    found, complete = compatible_matrices(read_tables(table_2_any=table).reports[0])
    rows = [[(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)] for n in matrix.sum(axis=1)]
    every = [[one, two, three] for one in rows[0] for two in rows[1] for three in rows[2]]
    same = [each for each in every if np.array_equal(np.sum(each, axis=0), matrix.sum(axis=0)) and np.trace(each) == 12]
    expected = sorted(each for each in same if print_table(each) == table)
    assert complete
    assert sorted(tuple(map(tuple, each)) for each in found.tolist()) == [tuple(each) for each in expected]


def test_figures_right_by_themselves_but_not_together_are_found():
    """Two classes: whatever one of them lost, the other one got."""
    table = print_table([[40, 10], [5, 45]])
    other = print_table([[40, 10], [6, 44]])
    mixed = {name: table[name] for name in table if name != "happy"} | {"happy": other["happy"]}
    del mixed["macro avg"], mixed["weighted avg"], mixed["accuracy"]
    assert [finding.check for finding in failed(read_tables(table_2_any=mixed))] == ["matrix"]


def test_too_many_possibilities_are_said_and_not_tried():
    matrix = np.full((5, 5), 3000) + np.diag([9000] * 5)
    report = read_tables(table_2_any=print_table(matrix, decimals=2)).reports[0]
    assert compatible_matrices(report) is None
    finding = next(each for each in audit_report(report) if each.check == "matrix")
    assert finding.ok is None


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 999), st.data())
def test_the_true_size_is_among_the_attainable_ones(size, data):
    hits = data.draw(st.lists(st.integers(0, size), min_size=1, max_size=8))
    assert size in attainable_sizes([round(hit / size, 3) for hit in hits], 3)


@pytest.mark.parametrize("rate", [0.0, 0.958, 0.333, 0.501, 1.0])
def test_attainable_sizes_are_those_that_trying_every_count_finds(rate):
    every = [n for n in range(1, 1000) if np.any(np.abs(np.arange(n + 1) / n - rate) <= 0.0005 + 1e-12)]
    assert attainable_sizes([rate], 3) == every


def test_one_count_is_not_printed_in_two_ways():
    """1 of 8 is 0.125, which is 0.12 or 0.13 to two decimals, but not both."""
    assert 8 in attainable_sizes([0.12], 2)
    assert 8 in attainable_sizes([0.13], 2)
    assert 8 not in attainable_sizes([0.12, 0.13], 2)


def test_the_study_contradicts_itself_nowhere_but_leaves_its_test_set_open():
    findings = audit_results(published_results())
    assert [finding.sentence for finding in findings if finding.ok is False] == []
    sizes = next(finding for finding in findings if finding.check == "validation size")
    assert sizes.recomputed.startswith("432, 568, 800, 850")
    tested = {finding.place: finding.recomputed for finding in findings if finding.check == "test set"}
    assert tested["VGG16_emotion"] == "no epoch"
    assert tested["r18_scratch_emotion"] == "epoch 4"
    assert [finding.recomputed for finding in findings if finding.check == "split"] == ["2160", "432"]
    matrices = {finding.place: finding.recomputed for finding in findings if finding.check == "matrix"}
    assert matrices == {"VGG16_emotion": "2", "r18_scratch_emotion": "11", "r18_pre_emotion": "1"}


def test_best_epoch_that_is_not_the_best_is_found():
    curves = {"any": {"train": ["0.5", "0.9"], "val": ["0.800", "0.700"], "best_val": "0.700"}}
    (finding,) = failed(read_tables(table_1=curves))
    assert finding.check == "best"
    assert (finding.printed, finding.recomputed) == ("0.700", "0.800")


def test_accuracies_of_no_set_size_are_said_to_be():
    """A thousand different accuracies, as means over batches may be, are no counts of fewer images."""
    curves = {"any": {"train": [], "val": [f"{rate / 1000:.3f}" for rate in range(1000)], "best_val": "0.999"}}
    findings = audit_results(read_tables(table_1=curves))
    finding = next(each for each in findings if each.check == "validation size")
    assert finding.sentence.startswith("No validation set of fewer than 1,000 images")


def test_models_tested_on_other_images_are_told_apart():
    one, other = print_table([[5, 1], [2, 7]]), print_table([[5, 2], [2, 7]])
    (finding,) = failed(read_tables(table_2_one=one, table_3_other=other))
    assert (finding.check, finding.place) == ("support", "all reports")


def test_findings_are_told_with_what_is_wrong_first():
    table = consistent()
    table["angry"][2] = "0.9100"
    lines = summarise_findings(audit_results(read_tables(table_2_any=table)))
    wrong = len(failed(read_tables(table_2_any=table)))
    assert lines[0] == f"{20 - wrong} of 20 checks agree within the rounding of the printed decimals."
    assert lines[1].startswith("Does not agree: any, angry: F1 is printed as 0.9100, but precision")
    assert len(lines) == 1 + wrong


# -- files -----------------------------------------------------------------------------------------


def write_csv(path, table, curves=()):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["table", "row", "precision", "recall", "f1-score", "support", "train", "val"])
        for name, cells in table.items():
            writer.writerow(["any", name, *([""] * (4 - len(cells))), *cells, "", ""])
        for row, train, val in curves:
            writer.writerow(["any", row, "", "", "", "", train, val])
    return path


def test_csv_and_json_of_the_same_tables_have_the_same_findings(tmp_path):
    curves = {"any": {"train": ["0.500", "0.900"], "val": ["0.600", "0.700"], "best_val": "0.700"}}
    rows = [("1", "0.500", "0.600"), ("2", "0.900", "0.700"), ("best", "", "0.700")]
    expected = audit_results(read_tables(table_1=curves, table_2_any=consistent()))
    found = audit_file(write_csv(tmp_path / "tables.csv", consistent(), rows))
    key = lambda finding: (finding.check, finding.place)  # noqa: E731
    assert sorted(found, key=key) == sorted(expected, key=key)


def test_report_saved_by_pandas_is_read_as_it_is(tmp_path):
    labels, predicted = ["a"] * 50 + ["b"] * 30, ["a"] * 45 + ["b"] * 33 + ["a"] * 2
    report = classification_report(labels, predicted, output_dict=True)
    path = tmp_path / "report.csv"
    pd.DataFrame(report).T.to_csv(path)
    results = read_printed_results(path)
    assert results.reports[0].name == "report"
    assert not failed(results)
    found, _ = compatible_matrices(results.reports[0])
    assert found.tolist() == [[[45, 5], [2, 28]]]


def test_zeros_at_the_end_count_as_printed_decimals():
    assert published_results().reports[0].decimals == 4
    assert published_results().curves[2].decimals == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["table_2_any"]["angry"].pop(), "angry: expected 4 figures, found 3"),
        (lambda t: t["table_2_any"]["angry"].__setitem__(0, "98.62"), "divide percentages by 100"),
        (lambda t: t["table_2_any"]["angry"].__setitem__(1, "NaN"), "'NaN' is not a number"),
        (lambda t: t["table_2_any"]["angry"].__setitem__(3, "12.5"), "12.5 is not a number of images"),
        (lambda t: t["table_2_any"]["angry"].__setitem__(3, None), "None is not a number"),
        (lambda t: t["table_2_any"].__setitem__("angry", "0.9"), "angry: expected a list"),
        (lambda t: t["table_2_any"].__setitem__("samples avg", ["0.1", "0.1", "0.1", "3"]), "samples avg is not"),
        (lambda t: t["table_2_any"].__setitem__("micro avg", ["0.1", "0.1", "0.1", "3"]), "both accuracy and micro"),
        (lambda t: t["table_2_any"].clear(), "two classes are needed"),
        (lambda t: t.__setitem__("table_1", {"any": {"train": ["0.1"], "val": ["0.1", "0.2"]}}), "1 epochs of"),
        (lambda t: t.__setitem__("table_1", ["0.1"]), "table_1: expected an object"),
        (lambda t: t.__setitem__("split", {"val": "20"}), "divide percentages by 100"),
    ],
)  # fmt: skip
def test_bad_json_is_refused_by_its_place(change, message):
    tables = {"table_2_any": copy.deepcopy(consistent())}
    change(tables)
    with pytest.raises(InputError, match=message):
        read_tables(**tables)


def save_report(predicted, class_names, path):
    """scikit-learn's own report of these classes as pandas saves it, with the names of scikit-learn 0.20."""
    labels = ["angry"] * 4 + ["happy"] * 4 + ["sad"] * 4
    report = classification_report(labels, predicted, labels=class_names, output_dict=True, zero_division=0)
    pd.DataFrame(report).T.rename(index={"accuracy": "micro avg"}).to_csv(path)


@pytest.mark.fault(
    "`micro avg` in a saved report of scikit-learn", "R", "read as the accuracy where it is one", group="data"
)
def test_micro_average_is_read_as_the_accuracy_where_it_is_one(tmp_path):
    predicted = ["angry"] * 3 + ["sad"] + ["happy"] * 4 + ["sad"] * 2 + ["angry"] * 2
    save_report(predicted, ["angry", "happy", "sad"], tmp_path / "saved.csv")
    read = read_printed_results(tmp_path / "saved.csv").reports[0]
    assert (read.accuracy, list(read.classes)) == (9 / 12, ["angry", "happy", "sad"])


def test_micro_average_of_some_classes_is_no_accuracy(tmp_path):
    """One image was taken for fear, which the report leaves out: precision is 9 of 11, recall 9 of 12."""
    predicted = ["angry"] * 3 + ["fear"] + ["happy"] * 4 + ["sad"] * 2 + ["angry"] * 2
    save_report(predicted, ["angry", "happy", "sad"], tmp_path / "saved.csv")
    with pytest.raises(InputError, match="micro avg is not an accuracy, as its precision and recall differ"):
        read_printed_results(tmp_path / "saved.csv")


def test_equal_keys_are_refused():
    with pytest.raises(InputError, match="'sad' appears twice"):
        parse_json('{"table_2_any": {"sad": [1, 1, 1, 1], "sad": [1, 1, 1, 1]}}', "test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns row"),
        ("{", "not readable as JSON"),
        ("a,b\n1,2\n", "expected the columns row"),
        ("row,precision,recall,f1-score,support\na,1,1,1,1\na,1,1,1,1\n", "line 3: this row appears twice"),
        ("row,precision,recall,f1-score,support\na,1,1,1,1,9\n", "line 2: too many cells"),
        ("row,precision,recall,f1-score,support\na,1,1,1,1\nb,1\n", "b: '' is not a number"),
        ("row,precision,recall,f1-score,support\na,1,1,1,\nb,1,1,1,3\n", "a: the support .* is missing"),
        ("row,train,val\n1,0.5,0.5\n3,0.5,0.5\n", "epochs must count 1, 2, 3"),
        ("row,train,val\n", "no table of results in it"),
        ('row,train,val\n1,"0.5,0.5\n', "not readable as CSV"),
    ],
)
def test_bad_file_is_refused_by_its_place(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_printed_results(path)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_printed_results(tmp_path / "none.json")
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(InputError, match="not UTF-8"):
        read_printed_results(tmp_path / "image.csv")
