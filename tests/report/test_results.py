"""Artefacts that do not belong together are refused, each with the file at fault."""

import pandas as pd
import pytest

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import write_csv, write_json
from emotion_utils.report.results import read_results


def test_run_without_models_says_what_to_run_first(make_run):
    run = make_run(skills={"r18_pre_emotion": 0.9})
    (run.model_dir("r18_pre_emotion") / "predictions.csv").unlink()
    with pytest.raises(InputError, match="notebooks 02 to 04"):
        read_results(run)


def test_model_that_is_not_trained_yet_is_left_out(make_run):
    run = make_run()
    (run.model_dir("VGG16_emotion") / "predictions.csv").unlink()
    assert read_results(run).models == ["r18_scratch_emotion", "r18_pre_emotion"]


def test_other_class_order_is_refused(make_run):
    run = make_run()
    card = run.read("model_card", "r18_pre_emotion")
    write_json(run.model_dir("r18_pre_emotion") / "model.json", card | {"class_names": ["sad", "happy", "angry"]})
    with pytest.raises(EmotionError, match=r"model\.json.*train r18_pre_emotion again"):
        read_results(run)


def test_fewer_predictions_than_images_are_refused(make_run):
    run = make_run()
    write_csv(run.model_dir("VGG16_emotion") / "predictions.csv", run.read("predictions", "VGG16_emotion").iloc[1:])
    with pytest.raises(EmotionError, match=r"predictions\.csv: 119 images, but the manifest has 120"):
        read_results(run)


def test_predictions_of_another_split_are_refused(make_run):
    run = make_run()
    manifest = run.read("manifest")
    places = manifest.index[manifest["split"] == "test"][:1].union(manifest.index[manifest["split"] == "val"][:1])
    manifest.loc[places, "split"] = manifest.loc[places, "split"].map({"val": "test", "test": "val"})
    run.write("manifest", manifest)
    with pytest.raises(EmotionError, match="is not in val or test with that label"):
        read_results(run)


def test_test_rows_of_all_models_are_in_one_order(make_run):
    tables = list(read_results(make_run()).tests.values())
    assert all(table["id"].equals(tables[0]["id"]) for table in tables)
    assert tables[0]["id"].is_monotonic_increasing


def test_history_of_another_training_is_refused(make_run):
    run = make_run()
    history = run.read("history", "VGG16_emotion")
    run.write("history", history.assign(val_acc=history["val_acc"] * 0.8), "VGG16_emotion")
    with pytest.raises(EmotionError, match=r"history\.csv: the best val_acc is .* not of one training"):
        read_results(run)


def test_more_epochs_than_the_run_has_are_refused(make_run):
    run = make_run(epochs=4)
    history = run.read("history", "VGG16_emotion")
    run.write("history", pd.concat([history, history.tail(1).assign(epoch=5)]), "VGG16_emotion")
    with pytest.raises(EmotionError, match=r"history\.csv: 5 epochs, but the run has 4"):
        read_results(run)


def test_rate_that_is_not_its_counts_is_refused_by_row(make_run):
    run = make_run()
    history = run.read("history", "VGG16_emotion").assign(val_count=60)
    history["val_correct"] = (history["val_acc"] * 60).round() + (history["epoch"] == 3)
    run.write("history", history, "VGG16_emotion")
    with pytest.raises(EmotionError, match=r"history\.csv, row 4: val_acc is not val_correct of val_count"):
        read_results(run)


def test_history_that_is_not_finite_is_refused_by_row(make_run):
    run = make_run()
    path = run.model_dir("VGG16_emotion") / "history.csv"
    lines = path.read_text().splitlines()
    for spoiled in ("nan", "", "NaN", "none"):
        cells = lines[3].split(",")
        cells[5] = spoiled
        path.write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]) + "\n")
        with pytest.raises(EmotionError, match=r"history\.csv, row 4: val_loss is not a number"):
            read_results(run)


@pytest.mark.parametrize("file", ["history.csv", "predictions.csv"])
@pytest.mark.parametrize("cut", [1, 30, 200])
def test_truncated_csv_is_refused_with_its_file(make_run, file, cut):
    run = make_run()
    path = run.model_dir("VGG16_emotion") / file
    path.write_text(path.read_text().strip()[:-cut])
    with pytest.raises(EmotionError, match=file):
        read_results(run)


def test_audit_of_an_earlier_version_is_refused_with_what_it_lacks(make_run):
    run = make_run()
    audit = run.read("audit")
    del audit["faces"]
    run.write("audit", audit)
    with pytest.raises(EmotionError, match=r"audit\.json: holds nothing on faces.*--fresh"):
        read_results(run)
