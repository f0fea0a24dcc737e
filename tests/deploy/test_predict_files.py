"""`emotion predict`: every face in a row, every refused file with its reason, and the same answer in any company."""

import io
import json
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from face_files import write_zip
from PIL import Image

from emotion_utils.audit.face_detectors import Box
from emotion_utils.cli import main
from emotion_utils.deploy import input_images as images
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.deploy.torch_network import BATCH_FACES
from emotion_utils.errors import InputError
from emotion_utils.models.card import load_model, save_model
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.store.resize import resize_square
from emotion_utils.synthetic.faces import render_face

CLASSES = ("angry", "happy", "sad")


def write_face(path, number, size_px=48, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render_face(CLASSES[number % 3], number, number, size_px)).save(path, **settings)
    return path


@pytest.fixture
def folder(tmp_path):
    """Eleven faces, more than fill a batch, in two folders."""
    root = tmp_path / "faces"
    for number in range(11):
        write_face(root / f"{'ab'[number % 2]}/{number:02d}.png", number)
    return root


@pytest.fixture
def three_faces(monkeypatch):
    """A detector that sees three faces in every image of 200 x 100 pixels, the largest in the middle."""
    boxes = [Box(10, 30, 24, 24), Box(80, 30, 40, 40), Box(160, 30, 30, 30)]
    crop = images.crop_faces
    detector = type("Detector", (), {"find": lambda self, grey, least: boxes if grey.shape == (100, 200) else []})()
    monkeypatch.setattr(images, "crop_faces", lambda image, mode, **options: crop(image, mode, detector, **options))
    return boxes


def run_command(*arguments):
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def read_table(text):
    return pd.read_csv(io.StringIO(text), keep_default_na=False)


def test_rows_are_sorted_and_answer_as_the_network_does(model_dir, folder):
    table = predict_files(model_dir, [folder])
    names = [*(f"a/{n:02d}.png" for n in range(0, 11, 2)), *(f"b/{n:02d}.png" for n in range(1, 11, 2))]
    assert table["path"].tolist() == [f"{folder}/{name}" for name in names]
    assert table["reason"].eq("").all()
    assert table["face"].eq(1).all()
    net, _ = load_model(model_dir)
    for row in table.itertuples():
        pixels = resize_square(np.asarray(Image.open(row.path)), 32)
        with torch.inference_mode():
            expected = net(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255).softmax(1)[0].numpy()
        np.testing.assert_allclose([row.angry, row.happy, row.sad], expected, atol=1e-5)
        assert row.predicted == CLASSES[expected.argmax()]
        assert row.confidence == max(row.angry, row.happy, row.sad)
    assert table["predicted"].nunique() > 1


def test_company_and_order_change_no_bit_of_an_answer(model_dir, folder):
    files = sorted(folder.rglob("*.png"))
    assert len(files) % BATCH_FACES
    together = predict_files(model_dir, files).set_index("path")
    backwards = predict_files(model_dir, files[::-1]).set_index("path")
    pd.testing.assert_frame_equal(together, backwards.loc[together.index], check_exact=True)
    for path in files[:3]:
        alone = predict_files(model_dir, [path]).set_index("path")
        pd.testing.assert_frame_equal(together.loc[[str(path)]], alone, check_exact=True)


def test_same_command_prints_the_same_bytes(model_dir, folder, tmp_path):
    printed = [run_command(model_dir, folder) for _ in range(2)]
    assert printed[0][:2] == printed[1][:2]
    assert printed[0][0] == 0
    code, _, _ = run_command(model_dir, folder, "--output", tmp_path / "out.csv")
    assert code == 0
    assert (tmp_path / "out.csv").read_text() == printed[0][1]


def test_archive_answers_as_the_folder_that_is_in_it(model_dir, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder))
    inside = predict_files(model_dir, [tmp_path / "faces.zip"])
    assert inside["path"].iloc[0] == f"{tmp_path}/faces.zip/a/00.png"
    columns = [*CLASSES, "predicted"]
    pd.testing.assert_frame_equal(inside[columns], predict_files(model_dir, [folder])[columns], check_exact=True)


def test_image_turned_by_exif_answers_as_the_upright_one(model_dir, tmp_path):
    face = Image.fromarray(render_face("happy", 5, 5, 48))
    face.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right is due
    face.rotate(90).save(tmp_path / "turned.png", exif=exif)
    first, second = predict_files(model_dir, [tmp_path / "upright.png", tmp_path / "turned.png"])[[*CLASSES]].to_numpy()
    assert (first == second).all()


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "RGBA"])
def test_other_colour_spaces_are_decoded_as_in_training(model_dir, tmp_path, mode):
    path = tmp_path / f"face.{'tif' if mode == 'CMYK' else 'png'}"
    Image.fromarray(render_face("sad", 3, 3, 48)).convert(mode).save(path)
    plain = tmp_path / "plain.png"
    Image.fromarray(decode_rgb(path.read_bytes())).save(plain)
    answers = predict_files(model_dir, [path, plain])[[*CLASSES]].to_numpy()
    assert (answers[0] == answers[1]).all()


def test_every_face_of_an_image_gets_a_row_the_largest_first(model_dir, tmp_path, three_faces):
    scene = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    Image.fromarray(scene).save(tmp_path / "scene.png")
    table = predict_files(model_dir, [tmp_path / "scene.png"])
    assert table["face"].tolist() == [1, 2, 3]
    expected = [three_faces[1], three_faces[2], three_faces[0]]
    assert table[["left", "top", "width", "height"]].to_numpy().tolist() == [list(box) for box in expected]
    assert len({tuple(row) for row in table[[*CLASSES]].to_numpy()}) == 3
    Image.fromarray(scene[26:74, 76:124]).save(tmp_path / "face.png")  # the square of 1.2 times the largest box
    cut = predict_files(model_dir, [tmp_path / "face.png"])
    assert cut[[*CLASSES]].to_numpy().tolist() == table[[*CLASSES]].to_numpy()[:1].tolist()
    assert cut["left"].isna().all()


def test_model_trained_on_uncropped_images_is_shown_them_whole(model_dir, tmp_path, three_faces):
    scene = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
    Image.fromarray(scene).save(tmp_path / "scene.png")
    net, _ = load_model(model_dir)
    save_model(net, tmp_path / "model", CLASSES, crop="never")
    assert len(predict_files(tmp_path / "model", [tmp_path / "scene.png"])) == 1


def test_refused_files_stand_in_their_place_with_the_reason(model_dir, folder):
    (folder / "a" / "01.jpg").write_bytes(b"<!DOCTYPE html><html>")
    (folder / "b" / "zz.png").write_bytes((folder / "b" / "01.png").read_bytes()[:900])
    Image.new("RGB", (40, 40), "red").save(folder / "a" / "99.png")
    (folder / "notes.txt").write_text("no image")
    code, printed, _ = run_command(model_dir, folder)
    table = read_table(printed)
    assert code == 0
    assert len(table) == 14
    refused = table[table["reason"] != ""]
    assert [path.rpartition("/")[2] for path in refused["path"]] == ["01.jpg", "99.png", "zz.png"]
    for reason, part in zip(refused["reason"], ("HTML page", "constant", "truncated"), strict=True):
        assert part in reason
    assert refused[["face", "left", "predicted", "confidence", *CLASSES]].eq("").all(axis=None)
    assert (table.drop(refused.index)["predicted"] != "").all()


def test_nothing_usable_is_bad_input_and_the_table_is_written_all_the_same(model_dir, tmp_path):
    (tmp_path / "face.jpg").write_bytes(b"")
    code, printed, said = run_command(model_dir, tmp_path / "face.jpg")
    assert code == 2
    assert read_table(printed)["reason"].tolist() == ["empty file"]
    assert "the file cannot be used: " in said
    code, _, _ = run_command(model_dir, tmp_path / "face.jpg", "--output", tmp_path / "out.csv")
    assert code == 2
    assert read_table((tmp_path / "out.csv").read_text())["reason"].tolist() == ["empty file"]


def test_what_is_not_there_or_is_no_image_has_a_row_beside_others(model_dir, tmp_path):
    write_face(tmp_path / "face.png", 0)
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04 cut short")
    (tmp_path / "moved.jpg").symlink_to("away.jpg")
    code, printed, said = run_command(
        model_dir, *(tmp_path / name for name in ("no.jpg", "face.png", "list.xlsx", "moved.jpg"))
    )
    reasons = ["there is no such file or folder", "", "a spreadsheet or database", "is a link to what is not there"]
    assert code == 0
    assert [reason.split(":")[0].split(";")[0] for reason in read_table(printed)["reason"]] == reasons
    assert "3 of 4 images are refused" in said


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["no.jpg", "none"], "no.jpg: there is no such file or folder"),
        (["moved.jpg", "no.jpg"], "is a link to what is not there"),
        (["empty", "notes.zip"], "no images among 1 file"),
    ],
)
def test_path_that_is_not_there_or_no_image_is_one_line_and_nothing_is_written(model_dir, tmp_path, names, complaint):
    write_face(tmp_path / "face.png", 0)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    write_zip(tmp_path / "notes.zip", {"notes.txt": b"no image"})
    (tmp_path / "moved.jpg").symlink_to("away.jpg")
    paths = [tmp_path / name for name in names]
    code, printed, said = run_command(model_dir, *paths, "--output", tmp_path / "out.csv")
    assert (code, printed) == (2, "")
    assert complaint in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("place", ["{file}/out.csv", "{folder}"])
def test_output_that_cannot_be_written_is_said_before_any_work(model_dir, tmp_path, monkeypatch, place):
    write_face(tmp_path / "face.png", 0)
    monkeypatch.setattr("emotion_utils.deploy.torch_network.load_model", lambda path: pytest.fail("worked"))
    output = place.format(file=tmp_path / "face.png", folder=tmp_path)
    code, _, said = run_command(model_dir, tmp_path / "face.png", "--output", output)
    assert code == 2
    assert output in said


def test_model_that_does_not_answer_as_when_it_was_saved_is_refused(model_dir, folder, tmp_path):
    changed = tmp_path / "changed"
    save_model(load_model(model_dir)[0], changed, CLASSES)
    card = json.loads((changed / "model.json").read_text())
    card["input"]["mean"] = card["input"]["mean"][::-1]
    (changed / "model.json").write_text(json.dumps(card))
    code, printed, said = run_command(changed, folder)
    assert (code, printed) == (2, "")
    assert "the logits for the reference images are not those of when the model was saved" in said


def test_folder_without_a_model_is_refused(folder):
    with pytest.raises(InputError, match=r"no model\.json"):
        predict_files(folder, [folder])


def test_model_and_images_the_wrong_way_round_are_told(model_dir, folder):
    image = next(folder.rglob("*.png"))
    for first, others in ((image, [model_dir]), (folder, [image, model_dir])):
        status, out, error = run_command(first, *others)
        assert (status, out) == (2, "")
        assert f"{first}: is no model, but {model_dir} is: name the model first, then the images" in error
    assert "give its folder" in run_command(model_dir / "model.json", folder)[2]


@pytest.mark.fault("a file name that a spreadsheet would run", "R", "led by its folder", group="predictions")
def test_path_that_begins_as_a_formula_is_led_by_its_folder(model_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_face(tmp_path / "=cmd|calc!A0.png", 0)
    (tmp_path / "@broken.png").write_text("text")
    table = predict_files(model_dir, ["=cmd|calc!A0.png", "@broken.png"])
    assert table["path"].tolist() == ["./=cmd|calc!A0.png", "./@broken.png"]


def test_class_names_of_a_strangers_model_reach_no_table(model_dir, folder, tmp_path):
    for name, words in (("\u202ehappy", "direction-turning"), ("=cmd|'/c calc'!A0", "begins as the formula")):
        copy = tmp_path / str(len(words))
        shutil.copytree(model_dir, copy)
        card = json.loads((copy / "model.json").read_text())
        (copy / "model.json").write_text(json.dumps(card | {"class_names": [name, "sad", "angry"]}))
        status, out, error = run_command(copy, folder)
        assert (status, out) == (2, "")
        assert words in error
        assert "\u202e" not in error


def test_help_says_what_a_row_is():
    assert "One row per face" in CliRunner().invoke(main, ["predict", "--help"]).output
