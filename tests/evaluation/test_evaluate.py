"""`emotion evaluate`: images prepared as for training, classes matched, what was seen left out, figures that hold."""

import hashlib
import json
import re
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from emotion_utils.cli import main
from emotion_utils.config import resolve_config
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.evaluation.evaluate import evaluate_model
from emotion_utils.evaluation.vote_majority import MAJORITY_ACCURACY
from emotion_utils.models.card import load_model, save_model
from emotion_utils.models.zoo import build_model
from emotion_utils.run import Run
from emotion_utils.synthetic.faces import render_face

CLASSES = ("angry", "happy", "sad")
FILES = ["evaluation.html", "evaluation.json", "manifest.csv", "metrics.csv", "predictions.csv"]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A ResNet18 at 32 px for three classes, not trained, whose answers differ from face to face."""
    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
    with torch.no_grad():
        net.network.fc[1].weight.mul_(30)
    folder = tmp_path_factory.mktemp("somewhere") / "own_model"
    save_model(net, folder, CLASSES, crop="auto")
    return folder


def write_faces(root, names=CLASSES, persons=12, size_px=48):
    """Two images of each person: ones of a person are called alike."""
    for number in range(2 * persons):
        name = names[number % len(names)]
        path = root / name / f"person{chr(97 + number // 2)}_{number % 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        emotion = CLASSES[number % 3]
        Image.fromarray(render_face(emotion, number, number, size_px)).save(path)
    return root


@pytest.fixture
def faces(tmp_path):
    return write_faces(tmp_path / "faces")


def run_command(*arguments):
    result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def make_run(root, model_dir, rows):
    """A run folder with this model and manifest `rows`: path, split, status, reason; the file's hash is its id."""
    run = Run.create(root, resolve_config("smoke"))
    shutil.copytree(model_dir, root / "models" / "r18_scratch_emotion")
    manifest = pd.DataFrame(rows, columns=["id", "path", "split", "status", "reason"])
    run.write("manifest", manifest.assign(label="happy", group="", width=48, height=48))
    return root / "models" / "r18_scratch_emotion"


def test_predictions_are_those_of_predict_in_the_columns_of_a_run(model_dir, faces):
    found = evaluate_model(model_dir, str(faces))
    assert list(found.predictions) == ["id", "split", "label", "predicted", *CLASSES]
    assert found.predictions["split"].eq("test").all()
    kept = found.kept
    assert (kept["label"].to_numpy() == found.predictions["label"]).all()
    answers = predict_files(model_dir, [faces]).set_index("path")
    expected = answers.loc[[f"{faces}/{path}" for path in kept["path"]], [*CLASSES, "predicted"]]
    np.testing.assert_allclose(found.predictions[[*CLASSES]], expected[[*CLASSES]].to_numpy(float), atol=2e-6)
    assert found.predictions["predicted"].tolist() == expected["predicted"].tolist()
    assert found.training.unknown


def test_scene_is_cut_to_its_face_as_in_training(model_dir, tmp_path, monkeypatch):
    from emotion_utils.audit import scan
    from emotion_utils.audit.face_detectors import Box

    crop, boxes = scan.crop_faces, [Box(80, 30, 40, 40)]
    detector = type("Detector", (), {"find": lambda self, grey, least: boxes if grey.shape == (100, 200) else []})()
    monkeypatch.setattr(scan, "crop_faces", lambda image, mode: crop(image, mode, detector))
    rng = np.random.default_rng(0)
    for number in range(6):
        folder = tmp_path / "scenes" / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (100, 200, 3), dtype=np.uint8)).save(folder / f"x{number}.png")
    found = evaluate_model(model_dir, str(tmp_path / "scenes"))
    for row in found.kept.itertuples():
        scene = Image.open(tmp_path / "scenes" / row.path)
        scene.crop((76, 26, 124, 74)).save(tmp_path / "face.png")  # the square of 1.2 times the box
        answer = predict_files(model_dir, [tmp_path / "face.png"])[[*CLASSES]].to_numpy(float)[0]
        np.testing.assert_allclose(
            found.predictions.set_index("id").loc[row.id, [*CLASSES]].astype(float), answer, atol=2e-6
        )


def test_figures_equal_those_of_scikit_learn(model_dir, faces, tmp_path):
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    code, said, _ = run_command(model_dir, "--data", faces, "--output", tmp_path / "out")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    metrics = pd.read_csv(tmp_path / "out" / "metrics.csv", keep_default_na=False).query("stratum == ''")
    value = metrics.set_index(["class", "metric"])["value"]
    truth, answers, probs = predictions["label"], predictions["predicted"], predictions[[*CLASSES]].to_numpy()
    assert value["", "accuracy"] == accuracy_score(truth, answers)
    rates = precision_recall_fscore_support(truth, answers, labels=list(CLASSES), zero_division=0)
    for name, values in zip(("precision", "recall", "f1-score"), rates, strict=False):
        assert [value[each, name] for each in CLASSES] == pytest.approx(values)
        assert value["", f"macro {name}"] == pytest.approx(np.mean(values))
    one_hot = np.array([[label == name for name in CLASSES] for label in truth])
    assert value["", "brier score"] == pytest.approx(((probs - one_hot) ** 2).sum(axis=1).mean(), abs=1e-5)
    persons = pd.read_csv(tmp_path / "out" / "manifest.csv").set_index("id")["group"]
    by_person = (truth == answers).groupby(predictions["id"].map(persons)).mean()
    assert len(by_person) == 12
    assert value["", "accuracy per person"] == pytest.approx(by_person.mean())
    assert ((metrics["low"] <= metrics["high"]) & (metrics["persons"] == 12) & (metrics["images"] == 24)).all()
    assert f"24 images of 12 persons, classes {', '.join(CLASSES)}" in said
    assert "cannot be checked" in said


def test_classes_are_matched_by_name_and_probabilities_renormalised(model_dir, tmp_path):
    """Sadness and anger are the model's sad and angry; it has never heard of a fourth; happy does not occur."""
    whole = evaluate_model(model_dir, str(write_faces(tmp_path / "a"))).predictions.set_index("id")
    root = write_faces(tmp_path / "a_b", ("Anger", "boredom", "SADNESS"))
    found = evaluate_model(model_dir, str(root))
    assert (found.class_names, found.absent, dict(found.others)) == (("angry", "sad"), ("happy",), {"boredom": 8})
    assert set(found.predictions["label"]) == {"angry", "sad"}
    pair = whole.loc[found.predictions["id"], ["angry", "sad"]].to_numpy()
    expected = pair / pair.sum(axis=1, keepdims=True)
    clear = pair.sum(axis=1) > 0.05  # written with six decimals, smaller sums lose too many
    assert clear.sum() > 3
    np.testing.assert_allclose(found.predictions[["angry", "sad"]].to_numpy()[clear], expected[clear], atol=5e-5)
    code, said, _ = run_command(model_dir, "--data", root, "--output", tmp_path / "out")
    assert code == 0
    line = "boredom of the data, which the model does not know, are left out (8 images); happy of the model never occur"
    assert line in said
    facts = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (facts["left_out"], facts["absent"]) == ({"boredom": 8}, ["happy"])


def test_images_of_training_are_found_whatever_their_names(model_dir, faces, tmp_path):
    first = evaluate_model(model_dir, str(faces)).kept
    ids = first["id"].tolist()
    bitmap = tmp_path / "copy.bmp"  # the same pixels as a training image, set aside as such by the run
    Image.open(faces / first["path"].iloc[3]).save(bitmap)
    import hashlib

    rows = [
        [ids[0], "x/0.png", "train", "kept", ""],
        [ids[1], "x/1.png", "val", "kept", ""],
        [ids[2], "x/2.png", "test", "kept", ""],
        ["f" * 64, "x/3.png", "train", "kept", ""],
        [hashlib.sha256(bitmap.read_bytes()).hexdigest(), "x/4.bmp", "", "quarantined", "same pixels: of x/3.png"],
        [ids[5], "x/5.png", "", "quarantined", "two labels: the same image is x/5.png (sad)"],
    ]
    inside = make_run(tmp_path / "run", model_dir, rows)
    moved = faces / first["path"].iloc[0]
    moved.rename(moved.with_name("persona_renamed.png"))
    shutil.copy(bitmap, (faces / first["path"].iloc[3]).with_name("aaa_first.bmp"))
    found = evaluate_model(inside, str(faces))
    assert found.seen == {"train": 2, "val": 1}
    assert set(found.predictions["id"]) == set(ids) - {ids[0], ids[1], ids[3]}
    assert found.training.run == "run"
    reasons = found.manifest["reason"][found.manifest["reason"].str.startswith("seen")]
    assert sorted(reasons) == ["seen in training: of the run run"] * 2 + ["seen in validation: of the run run"]
    code, said, _ = run_command(inside, "--data", faces, "--output", tmp_path / "out")
    assert code == 0
    assert "Left out are 2 images that the model was trained on and 1 that chose its epoch" in said


def test_page_of_a_model_that_knows_grey_alone_says_so(model_dir, faces, tmp_path):
    net, card = load_model(model_dir)
    net.input_spec = replace(net.input_spec, colour="grey")
    save_model(net, tmp_path / "grey", CLASSES, crop=card["crop"])
    sentence = "The model knows grey images alone: colour is turned to grey."
    for folder in (model_dir, tmp_path / "grey"):
        status, _, errors = run_command(folder, "--data", faces, "--output", tmp_path / "out" / folder.name)
        assert status == 0, errors
        page = " ".join((tmp_path / "out" / folder.name / "evaluation.html").read_text().replace("&nbsp;", " ").split())
        assert (sentence in page) == (folder.name == "grey")


def test_run_whose_data_changed_since_is_no_proof(model_dir, faces, tmp_path):
    inside = make_run(tmp_path / "run", model_dir, [["a", "x/0.png", "val", "kept", ""]])
    (inside / "predictions.csv").write_text("id,split\nb,val\n")
    assert "not those that the model was trained on" in evaluate_model(inside, str(faces)).training.unknown


def test_same_command_gives_the_same_bytes_and_replaces_its_own(model_dir, faces, tmp_path):
    contents = []
    for _ in range(2):
        assert run_command(model_dir, "--data", faces, "--output", tmp_path / "out")[0] == 0
        contents.append({name: (tmp_path / "out" / name).read_bytes() for name in FILES})
    assert contents[0] == contents[1]


def refuse(complaint, *arguments):
    code, said, error = run_command(*arguments)
    assert (code, said) == (2, ""), error
    assert complaint in error
    assert error.count("\n") == 1


def test_bad_input_is_one_line_and_writes_nothing(model_dir, faces, tmp_path):
    out = tmp_path / "out"
    to = ("--output", out)
    (tmp_path / "empty").mkdir()
    (tmp_path / "flat").mkdir()
    shutil.copy(next(faces.rglob("*.png")), tmp_path / "flat")
    others = write_faces(tmp_path / "others", ("bored", "tired", "sad"))
    broken = write_faces(tmp_path / "broken", persons=3)
    for path in broken.rglob("*.png"):
        path.write_bytes(b"")
    refuse("there is no such folder", tmp_path / "nowhere", "--data", faces, *to)
    refuse("no model.json", tmp_path / "empty", "--data", faces, *to)
    refuse("there is no such file or folder", model_dir, "--data", tmp_path / "nowhere", *to)
    refuse("--data", model_dir, "--data", tmp_path / "flat", *to)
    refuse("1 is among angry, happy, sad; two are needed", model_dir, "--data", others, *to)
    refuse("are none (6 ", model_dir, "--data", broken, *to)
    ids = evaluate_model(model_dir, str(faces)).predictions["id"]
    inside = make_run(tmp_path / "run", model_dir, [[each, f"x/{each}", "train", "kept", ""] for each in ids])
    refuse("are none (24 seen in training)", inside, "--data", faces, *to)
    assert not out.exists()


def test_folder_of_something_else_is_left_alone(model_dir, faces, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    refuse("is no evaluation", model_dir, "--data", faces, "--output", out)
    refuse("thesis.txt is no folder", model_dir, "--data", faces, "--output", out / "thesis.txt")
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    (out / "evaluation.json").write_text(json.dumps({"model_sha256": "other", "data": str(faces)}))
    refuse("another model", model_dir, "--data", faces, "--output", out)
    (out / "evaluation.json").write_text("[")
    refuse("not readable", model_dir, "--data", faces, "--output", out)


def test_archive_answers_as_the_folder_in_it_and_the_data_s_split_is_a_stratum(model_dir, faces, tmp_path):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for number, path in enumerate(sorted(faces.rglob("*.png"))):
            archive.write(path, f"{('train', 'test')[number % 2]}/{path.relative_to(faces)}")
    inside, outside = (evaluate_model(model_dir, str(path)) for path in (tmp_path / "faces.zip", faces))
    pd.testing.assert_frame_equal(inside.predictions, outside.predictions)
    assert {part.name: len(part.ids) for part in inside.divide()} == {"split train": 12, "split test": 12}
    assert outside.divide() == []


def test_votes_beside_the_labels_are_set_beside_them_on_the_page(model_dir, faces, tmp_path):
    found = evaluate_model(model_dir, str(faces)).predictions.set_index("id")
    paths = sorted(faces.rglob("*.png"))
    votes, majority = [], {}
    for number, path in enumerate(paths):
        most = "sad" if number % 4 == 0 else path.parent.name
        names = {"sad": "sadness", "happy": "happiness", "angry": "anger"}
        count = {name: 7 * (name == names[most]) + 1 for name in names.values()}
        votes.append({"image": path.name} | count)
        majority[hashlib.sha256(path.read_bytes()).hexdigest()] = most
    pd.DataFrame(votes).to_csv(tmp_path / "votes.csv", index=False)
    status, said, errors = run_command(
        model_dir, "--data", faces, "--votes", tmp_path / "votes.csv", "--output", tmp_path / "out"
    )
    assert status == 0, errors
    page = re.sub(r"&nbsp;|<[^>]+>", " ", (tmp_path / "out" / "evaluation.html").read_text())
    page = " ".join(page.split())
    majority = pd.Series(majority)[found.index]
    same, right = (found["label"] == majority).mean(), (found["predicted"] == majority).mean()
    assert "24 of 24 have a majority that is one of these classes; on average 80.0% of the votes" in page
    assert f"The label is this majority for {same:.1%}" in page
    assert f"names {right:.1%} as the majority does" in page
    assert f"names {right:.1%} as the majority does" in said
    row = pd.read_csv(tmp_path / "out" / "metrics.csv").set_index("metric").loc[MAJORITY_ACCURACY]
    assert (row["value"], row["images"]) == (pytest.approx(right), 24)
    assert row["low"] < right < row["high"]
    assert f"and {(found['predicted'] == found['label']).mean():.1%} as the label does" in page
    assert "annotators" in page
    unanimous = pd.DataFrame([{"image": path.name, "sadness": 0, "happiness": 0, "unknown": 9} for path in paths])
    unanimous.to_csv(tmp_path / "unknown.csv", index=False)
    status, said, errors = run_command(
        model_dir, "--data", faces, "--votes", tmp_path / "unknown.csv", "--output", tmp_path / "unknown"
    )
    assert "Votes on these images are not compared" in said, errors
    status, _, errors = run_command(model_dir, "--data", faces, "--votes", tmp_path)
    assert "is a folder; name the table in it" in errors
    status, _, errors = run_command(model_dir, "--data", faces, "--votes", tmp_path / "gone.csv")
    assert status == 2
    assert "gone.csv: there is no such file" in errors
