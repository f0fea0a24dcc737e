"""No model is named: the small one that comes along answers and says who it is; and what is no such question."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from emotion_utils import load_classifier
from emotion_utils.cli import main
from emotion_utils.deploy import classifier as classifier_module
from emotion_utils.deploy.classifier import SMALL_MODEL
from emotion_utils.deploy.export import add_facts
from emotion_utils.deploy.onnx_file import OnnxNetwork
from emotion_utils.errors import InputError
from emotion_utils.synthetic.faces import render_face

ABOUT = {"model": "tiny_emotion", "data": "FER2013", "test": {"images": 3589, "accuracy": 0.6934}}


@pytest.fixture(scope="module")
def stand_in(exported, tmp_path_factory):
    """A file that says what the small model says."""
    path = tmp_path_factory.mktemp("small") / "tiny_emotion.onnx"
    shutil.copy(exported, path)
    add_facts(path, ABOUT)
    return path


@pytest.fixture
def small(stand_in, monkeypatch):
    """`stand_in`, in the place of the small model."""
    monkeypatch.setattr(classifier_module, "SMALL_MODEL", stand_in)
    return stand_in


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(render_face("happy", 1, 1, 48)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def emotion(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_small_model_answers_and_says_what_it_is(small, photo):
    found, named = emotion("predict", photo), emotion("predict", small, photo)
    assert found.exit_code == 0, found.stderr
    assert found.stdout == named.stdout
    assert load_classifier()(photo) == load_classifier(small)(photo)
    (line,) = set(found.stderr.splitlines()) - set(named.stderr.splitlines())
    assert line == (
        "emotion: no model is named, so the small one answers: tiny_emotion (float32), trained on FER2013, 3 classes, "
        "accuracy 69.3% on 3,589 test images"
    )
    assert emotion("predict", photo.parent, photo).stdout.count("photo.png") == 2  # a folder of images is no model


def test_small_model_follows_a_video(small, tmp_path):
    pytest.importorskip("av")
    (tmp_path / "clip").mkdir()
    for number in range(2):
        Image.fromarray(render_face("happy", 1, number, 64)).save(tmp_path / "clip" / f"{number}.png")
    found = emotion("video", tmp_path / "clip", "--fps", 5, "--output", tmp_path / "out")
    assert found.exit_code == 0, found.stderr
    assert "the small one answers: tiny_emotion" in found.stderr
    assert (tmp_path / "out" / "faces.csv").exists()
    assert "is a model: name behind it" in emotion("video", small, "--output", tmp_path / "out").stderr
    assert emotion("video", small, "a.mp4", "b.mp4", "--output", tmp_path / "out").exit_code == 2


def test_what_asks_nothing_is_one_line(small, photo, tmp_path, model_dir):
    run = tmp_path / "run"
    (run / "models" / "net").mkdir(parents=True)
    (run / "models" / "net" / "model.json").touch()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.safetensors").touch()
    for arguments, words in (
        ([small], "is a model: name behind it what it is to be asked about"),
        ([model_dir], "is a model: name behind it"),
        ([photo, small], f"{photo}: is no model, but {small} is: name the model first"),
        ([run, photo], f"holds models, but is none: name one, such as {run}/models/net"),
        ([run / "models", photo], "holds models, but is none"),
        ([tmp_path / "half", photo], "no model.json"),
        ([tmp_path / "other.ONNX", photo], "there is no such file"),
        ([tmp_path / "nowhere", photo], "nowhere: there is no such file or folder"),
    ):
        found = emotion("predict", *arguments)
        assert (found.exit_code, found.stdout, found.stderr.count("\n")) == (2, "", 1), arguments
        assert words in found.stderr


def test_without_onnxruntime_or_the_file_there_is_one_line(small, photo, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = emotion("predict", photo)
    assert (found.exit_code, found.stdout, found.stderr.count("\n")) == (2, "", 1)
    assert 'the small one that comes along needs onnxruntime: pip install "emotion-utils[edge]"' in found.stderr
    monkeypatch.setattr(classifier_module, "SMALL_MODEL", photo.parent / "none.onnx")
    with pytest.raises(InputError, match="no small model comes with this version"):
        load_classifier()


def test_the_committed_one_is_small_knows_grey_and_has_its_card():
    if not SMALL_MODEL.exists():
        pytest.skip(f"{SMALL_MODEL.name} is not committed yet")
    network = OnnxNetwork(SMALL_MODEL)
    assert SMALL_MODEL.stat().st_size <= 500_000
    assert sorted(network.class_names) == ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
    assert {"model", "data", "test"} <= set(network.about)
    assert (network.about["numbers"], network.input_spec.colour) == ("int8", "grey")
    assert SMALL_MODEL.with_name(f"{SMALL_MODEL.name}.md").exists()
    pixels = np.random.default_rng(0).integers(0, 256, (4, *[network.input_spec.size_px] * 2, 3)).astype(np.uint8)
    grey = (pixels @ [0.299, 0.587, 0.114]).round().astype(np.uint8)
    np.testing.assert_allclose(
        network.predict(pixels), network.predict(np.repeat(grey[..., None], 3, axis=3)), rtol=0, atol=0.05
    )
