"""The tables print what the artefacts hold, with the study's decimals."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest
from fake_run import HOSTILE

from emotion_utils.config import resolve_config
from emotion_utils.evaluation.metrics import classification_table
from emotion_utils.report import model_tables, tables
from emotion_utils.report.exhibits import number_exhibits
from emotion_utils.report.names import safe
from emotion_utils.report.results import read_results
from emotion_utils.report.sections import classification, data_card, metrics, published, reproduce, settings, training


def cells(html):
    """Rows of cell texts of all tables in `html`."""
    rows = [re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", html, re.S)]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).replace("\xa0", " ") for cell in row] for row in rows]


def test_table_1_is_the_studys_with_the_first_best_epoch_marked(make_results):
    results = make_results()
    html = training.epochs_table(results).html
    rows = cells(html)
    assert rows[0] == ["Model", "Epoch", "tr", "val", "Best val"]
    assert len(rows) == 1 + 3 * 8
    history = results.histories["r18_scratch_emotion"]
    first = rows[9]
    assert first[0] == "r18_scratch_emotion"
    assert first[-1] == f"{history['val_acc'].max():.3f}"
    assert [float(row[-1]) for row in rows[10:17]] == [round(value, 3) for value in history["val_acc"][1:]]
    marked = re.findall(r'class="best">([\d.]+)<', html)
    assert marked == [f"{h['val_acc'].max():.3f}" for h in results.histories.values()]


def test_epoch_that_is_not_finite_is_shown_as_missing_and_never_marked(make_results):
    history = make_results().histories["VGG16_emotion"].copy()
    history.loc[2, "val_acc"] = np.nan
    assert tables.MISSING in model_tables.show_history(history).html


def test_classification_report_has_four_decimals_and_every_row(make_results):
    results = make_results()
    model = results.models[0]
    rows = cells(model_tables.show_classification(results.reports[model]).html)
    expected = classification_table(results.tests[model], results.class_names)
    assert [row[0] for row in rows[1:]] == [*results.class_names, "Accuracy", "Macro avg", "Weighted avg"]
    for row, name in zip(rows[1:4], results.class_names, strict=True):
        assert row[1:4] == [f"{expected.at[name, column]:.4f}" for column in ("precision", "recall", "f1-score")]
        assert row[4] == str(expected.at[name, "support"])
    assert rows[4][1:] == ["–", "–", f"{expected.at['accuracy', 'f1-score']:.4f}", "60"]  # noqa: RUF001


def test_class_called_accuracy_is_a_class(make_results):
    results = make_results(classes=("accuracy", "macro avg"))
    rows = cells(classification.report_tables(results).html)
    assert [row[0] for row in rows[1:6]] == ["accuracy", "macro avg", "Accuracy", "Macro avg", "Weighted avg"]
    assert len(rows[1]) == 5


def test_tables_are_numbered_as_in_the_study(make_results):
    results = make_results()
    names = number_exhibits(results)
    assert names["tbl-epochs"] == "Table 1"
    assert [names[f"tbl-report-{model}"] for model in results.models] == ["Table 2", "Table 3", "Table 4"]
    assert [names["tbl-data"], names["tbl-splits"]] == ["Table B1", "Table B2"]


def test_hostile_names_come_out_as_text(make_results):
    results = make_results(classes=HOSTILE)
    html = "".join(
        shown.html
        for shown in (
            classification.report_tables(results),
            data_card.split_tables(results),
            metrics.metrics_table(results),
        )
    )
    assert "<script" not in html
    assert safe("<script>alert(1)</script>") in html
    assert "new line" in html


def test_published_figures_stand_beside_ours(make_results):
    results = make_results(skills={"r18_pre_emotion": 0.9})
    rows = cells(published.published_comparison(results).html)
    assert rows[1] == ["VGG16_emotion", "0.958", "–", "0.9630", "–", "0.9630", "–"]  # noqa: RUF001
    ours = results.reports["r18_pre_emotion"].at["accuracy", "f1-score"]
    assert rows[3][:5] == ["r18_pre_emotion proxy", "0.991", rows[3][2], "0.9977", f"{ours:.4f}"]


def test_quarantined_images_are_listed_up_to_a_limit_and_counted(make_results):
    html = data_card.split_tables(make_results(broken=23)).html
    assert html.count("broken_") == data_card.QUARANTINED_SHOWN
    assert "And 3 more" in html


@pytest.mark.parametrize(
    ("changes", "overrides", "command"),
    [
        ([], {}, "./run_all.sh --profile demo"),
        (
            ["epochs=3", "recipes.VGG16_emotion.lr=0.01"],
            {"data": "/home/someone/my faces.zip", "classes": ("happy", "sad")},
            "./run_all.sh --profile demo --data 'my faces.zip' --classes happy,sad --set epochs=3"
            " --set recipes.VGG16_emotion.lr=0.01",
        ),
    ],
)
def test_command_holds_what_differs_from_the_profile_and_no_path(changes, overrides, command):
    assert reproduce.repeat_command(resolve_config("demo", changes, **overrides)) == command


@pytest.mark.parametrize("weights", ["proxy", "official"])
def test_weights_table_says_what_each_model_started_from_and_what_it_takes(make_results, weights):
    results = make_results(weights=weights)
    rows = {row[0]: row[1:] for row in cells(settings.weights_table(results).html)}
    assert len(rows["What"]) == 3
    origins = [results.cards[model]["provenance"] for model in results.models]
    assert rows["Starts from"] == [origin["sentence"] for origin in origins]
    assert rows["Kind"] == [weights, "random", weights]
    assert rows["SHA-256"] == [origin["sha256"] or "none" for origin in origins]
    assert rows["Size"] == ["48 px"] * 3
    assert rows["Channels, range"] == ["RGB, 0, 1"] * 3
    assert rows["Mean"] == ["0.5, 0.5, 0.5"] * 3
    assert "Licence" in rows


def test_settings_left_to_the_machine_are_shown_with_what_became_of_them(make_results):
    results = make_results()
    recipes = {**results.config.recipes}
    recipes["r18_pre_emotion"] = recipes["r18_pre_emotion"].model_copy(update={"precision": "float32"})
    results = replace(results, config=results.config.model_copy(update={"recipes": recipes}))
    rows = {row[0]: row[1:] for row in cells(settings.settings_table(results).html)}
    assert rows["precision"] == ["auto: bfloat16", "auto: bfloat16", "float32"]
    assert rows["compile"] == ["auto: never"] * 3


def test_paths_of_this_machine_stay_out_of_the_command_and_of_the_weights_table(make_results):
    results = make_results()
    start = "/home/somebody/fer/models/r18_scratch_emotion"
    recipes = dict(results.config.recipes)
    recipes["r18_pre_emotion"] = recipes["r18_pre_emotion"].model_copy(update={"weights": start})
    assert "/home" not in reproduce.repeat_command(results.config.model_copy(update={"recipes": recipes}))
    results.cards["r18_pre_emotion"]["provenance"].update(kind="file", source=start)
    assert "/home" not in settings.weights_table(results).html


SUMMARY = {
    "trials": 3, "complete": 2, "epochs": 4, "val_count": 60, "seconds": 125.0, "best": 7, "val_acc": 0.8,
    "corrected_val_acc": 0.75,
}  # fmt: skip


def add_search(run, model="r18_pre_emotion"):
    rows = [(2, 0.001, "complete", 0.7), (5, 0.1, "pruned", 0.3), (7, 0.004, "complete", 0.8)]
    table = pd.DataFrame(rows, columns=["trial", "lr", "state", "val_acc"])
    others = {
        "key": "0f",
        "sampler": "tpe",
        "weight_decay": 0.01,
        "augment_strength": 1.5,
        "epochs": 4,
        "best_epoch": 3,
    }
    run.write("search", table.assign(**others, seconds=41.7, reason=""), model)
    run.write("search_summary", SUMMARY, model)
    return run


def test_search_table_says_what_it_cost_what_it_found_and_what_of_it_is_luck(make_run):
    results = read_results(add_search(make_run()))
    ((_, *row),) = cells(settings.search_table(results).html)[1:]
    assert row == ["3", "1", "125", "0.004", "0.01", "1.5", "0.800", "0.750"]
    assert number_exhibits(results)["tbl-search"] == "Table C3"


def test_without_a_search_no_table_and_no_number_is_left_out(make_results):
    results = make_results()
    assert settings.search_table(results).html == ""
    names = number_exhibits(results).values()
    for letter in ("", *"ABCDEF"):
        numbers = [name for name in names if re.fullmatch(rf"Table {letter}\d+", name)]
        assert numbers == [f"Table {letter}{place}" for place in range(1, len(numbers) + 1)] != []


def test_notebook_shows_the_best_complete_trials_first_or_how_to_search(make_run):
    assert "emotion search" in model_tables.show_search(None).html
    shown = model_tables.show_search(add_search(make_run()).read_search("r18_pre_emotion"))
    assert [(row[0], row[3]) for row in cells(shown.html)[1:]] == [("0.004", "0.800"), ("0.001", "0.700")]
    assert "3 trials took 2 min 5 s" in shown.html
    assert "about 0.750" in shown.html


def test_notebook_shows_phases_with_their_time_and_events_in_words():
    row = {
        "phase": "conv1-head",
        "first_epoch": 1,
        "last_epoch": 3,
        "trainable_parameters": 14_700_000,
        "seconds": 61.25,
    }
    assert cells(model_tables.show_phases(pd.DataFrame([row])).html)[1] == [
        "conv1-head",
        "1 to 3",
        "14,700,000",
        "61.2",
    ]
    events = [{"kind": "started"}, {"kind": "early_stop", "epoch": 3, "reason": "no better val_acc for <2> epochs"}]
    html = model_tables.show_events(events).html
    assert html.count("<li>") == 1
    assert "stopped after epoch 3: no better val_acc for &lt;2&gt; epochs" in html
