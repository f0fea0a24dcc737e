"""What `emotion predict` says of each image: searched, found, missed, taken whole; and what to do about it."""

import io

import cv2
import numpy as np
import pandas as pd
import pytest
import skimage
from click.testing import CliRunner
from PIL import Image

from emotion_utils.audit.face_detectors import Box
from emotion_utils.cli import main
from emotion_utils.deploy import input_images
from emotion_utils.deploy.predict_files import predict_files

needs_cascades = pytest.mark.skipif(not hasattr(cv2, "CascadeClassifier"), reason="OpenCV has no cascades")


def predict(*arguments):
    """Exit status, table as text, what was said."""
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    table = pd.read_csv(io.StringIO(result.stdout), keep_default_na=False) if result.stdout else None
    return result.exit_code, table, result.stderr


def photo(height, name, folder):
    """A photograph of scikit-image at this height."""
    image = Image.fromarray(getattr(skimage.data, name)())
    path = folder / f"{name}_{height}.png"
    image.resize((round(image.width * height / image.height), height)).save(path)
    return path


@needs_cascades
@pytest.mark.parametrize("name", ["chelsea", "coffee"])  # a cat and a cup
def test_image_without_a_face_is_no_emotion_unless_asked(model_dir, tmp_path, name):
    large, small = photo(300, name, tmp_path), photo(190, name, tmp_path)
    code, table, said = predict(model_dir, large, small)
    assert code == 0
    assert table["search"].tolist() == ["missed", "missed"]
    assert table["reason"][0].startswith("no face: none was found in the image of ")
    assert "--missed keep (in Python missed='keep') takes it whole" in table["reason"][0]
    assert (table["predicted"][0], table["reason"][1]) == ("", "")
    assert "emotion: no face was found in 1 image (first " in said
    code, table, said = predict(model_dir, large, small, "--missed", "keep")
    assert code == 0
    assert (table["predicted"] != "").all()
    assert table["search"].tolist() == ["missed", "missed"]
    assert "no face was found in 2 images" in said
    code, table, said = predict(model_dir, large, small, "--missed", "quarantine")
    assert code == 2
    assert (table["predicted"] == "").all()
    assert "none of the 2 files can be used" in said


@needs_cascades
def test_portrait_on_its_side_is_refused_with_the_turn_that_mends_it(model_dir, tmp_path):
    portrait = Image.fromarray(skimage.data.astronaut()).crop((60, 0, 480, 480))
    portrait.rotate(90, expand=True).save(tmp_path / "left.png")
    portrait.save(tmp_path / "upright.png")
    _, table, said = predict(model_dir, tmp_path / "left.png", tmp_path / "upright.png")
    assert table["search"].tolist() == ["missed", "found"]
    assert table["reason"][0].endswith("it shows one turned by 90 degrees clockwise: turn it")
    assert "a face is seen in 1 image" in said


def test_search_tells_what_was_done_with_each_image(model_dir, tmp_path, monkeypatch):
    boxes = {(100, 200): [Box(10, 30, 24, 24), Box(80, 30, 40, 40)], (120, 120): [Box(5, 5, 110, 110)]}
    detector = type("Detector", (), {"find": lambda self, grey, least, **_: boxes.get(grey.shape, [])})()
    crop = input_images.crop_faces
    monkeypatch.setattr(input_images, "crop_faces", lambda image, mode, **more: crop(image, mode, detector, **more))
    monkeypatch.setattr(input_images, "find_turn", lambda image: 0)
    rng = np.random.default_rng(0)
    for name, shape in {"a": (100, 200), "b": (150, 150), "c": (48, 48), "d": (120, 120)}.items():
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "e.png").write_bytes(b"<!DOCTYPE html><html>")
    table = predict_files(model_dir, [tmp_path]).astype(object).fillna("")
    assert table["search"].tolist() == ["found", "found", "missed", "not searched", "whole", ""]
    assert table["left"].ne("").tolist() == [True, True, False, False, True, False]
    assert list(table.columns[-2:]) == ["reason", "search"]


@pytest.mark.fault("an address in place of an image", "E", "to be downloaded first", group="predictions")
@pytest.mark.parametrize("address", ["https://example.org/face.jpg", "http:/a", "s3://bucket/face.png"])
def test_address_is_to_be_downloaded_first(model_dir, address):
    code, table, said = predict(model_dir, address)
    assert (code, table) == (2, None)
    assert "is an address: download it first" in said


@pytest.mark.fault("a video in place of an image", "Q", "named, with what to do", group="predictions")
@pytest.mark.parametrize("start", [b"RIFF\x10\0\0\0AVI LIST", b"\x1a\x45\xdf\xa3webm", b"\0\0\0\x20ftypisom"])
def test_video_is_named(model_dir, tmp_path, start):
    (tmp_path / "film.bin").write_bytes(start + bytes(99))
    code, _, said = predict(model_dir, tmp_path / "film.bin")
    assert code == 2
    assert "a video: save single frames of it as JPEG or PNG; `emotion video` reads it whole" in said
