"""What training did not see is said in a line; what it did see raises none."""

import dataclasses

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from emotion_utils.cli import main
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.models.card import save_model
from emotion_utils.models.zoo import build_model
from emotion_utils.synthetic.faces import render_face

CLASSES = ("angry", "happy", "sad")


@pytest.fixture
def seen(tmp_path):
    """seen(colour=..., source_px=..., is_synthetic=...) -> a model, as if it had been trained on such images."""

    def save(**facts):
        net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=32, weights="random", seed=1)
        with torch.no_grad():
            net.network.fc[1].weight.mul_(30)
        net.input_spec = dataclasses.replace(net.input_spec, **facts)
        save_model(net, tmp_path / "seen", CLASSES)
        return tmp_path / "seen"

    return save


@pytest.fixture
def folder(tmp_path):
    """Six faces in colour and five in grey."""
    (tmp_path / "faces").mkdir()
    for number in range(11):
        face = Image.fromarray(render_face(CLASSES[number % 3], number, number, 48))
        (face if number < 6 else face.convert("L")).save(tmp_path / "faces" / f"{number:02d}.png")
    return tmp_path / "faces"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"colour": "grey"}, "the model knows grey images alone: 6 images in colour were turned to grey"),
        ({"colour": "colour"}, "the model knows colour images alone, and 5 images are grey"),
        ({"is_synthetic": True}, "the model knows only synthetic faces"),
        ({"source_px": 200}, "the faces are about 48 px large, those that the model was trained on 200 px"),
        ({"source_px": 12}, "the faces are about 48 px large"),
        ({"colour": "both", "source_px": 100}, ""),
        ({}, ""),
    ],
)
def test_what_training_did_not_see_is_one_line(seen, folder, facts, words):
    said = CliRunner().invoke(main, ["predict", str(seen(**facts)), str(folder)]).stderr
    assert said.count("\n") == (1 if words else 0)
    assert words in said


def test_model_that_knows_grey_answers_colour_as_its_grey_copy(seen, tmp_path):
    face = Image.fromarray(render_face("happy", 5, 5, 32))
    face.save(tmp_path / "colour.png")
    face.convert("L").save(tmp_path / "grey.png")
    paths = [tmp_path / "colour.png", tmp_path / "grey.png"]
    first, second = predict_files(seen(colour="grey"), paths)[[*CLASSES]].to_numpy()
    np.testing.assert_allclose(first, second, atol=0.03)  # Pillow rounds its grey to whole numbers
    far = np.diff(predict_files(seen(colour="both"), paths)[[*CLASSES]].to_numpy(), axis=0)
    assert np.abs(far).max() > 3 * np.abs(first - second).max()


def test_range_of_deep_values_is_said(seen, tmp_path):
    grey = np.asarray(Image.fromarray(render_face("sad", 3, 3, 48)).convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "deep.png")
    said = CliRunner().invoke(main, ["predict", str(seen()), str(tmp_path / "deep.png")]).stderr
    assert "1 image (first " in said
    assert "holds values of 0 to 4095" in said
