"""Faults of images as a person meets them who asks a trained model about them."""

import io
import os

import cv2
import numpy as np
import pandas as pd
import pytest
import skimage
from click.testing import CliRunner
from face_files import encode, make_image, write_zip
from PIL import Image

from emotion_utils.cli import main
from emotion_utils.deploy.part_table import PartTable
from emotion_utils.models.card import save_model
from emotion_utils.models.zoo import build_model

needs_cascades = pytest.mark.skipif(not hasattr(cv2, "CascadeClassifier"), reason="OpenCV has no cascades")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A model that knows grey faces alone."""
    from dataclasses import replace

    net = build_model("r18_scratch_emotion", num_classes=2, image_size_px=32, weights="random", seed=1)
    net.input_spec = replace(net.input_spec, colour="grey", source_px=48)
    folder = tmp_path_factory.mktemp("model")
    save_model(net, folder, ("happy", "sad"))
    return folder


@pytest.fixture
def predict(model_dir, tmp_path):
    """predict(image, *options) -> the table and what was said."""

    def ask(data, *options):
        path = tmp_path / "image.png"
        path.write_bytes(data if isinstance(data, bytes) else encode(data))
        result = CliRunner().invoke(main, ["predict", str(model_dir), str(path), *options])
        return pd.read_csv(io.StringIO(result.stdout), keep_default_na=False), result.stderr

    return ask


@needs_cascades
@pytest.mark.fault("no face in a large image", "Q W", "refused, never an emotion of a scene; `--missed keep` asks")
def test_scene_without_a_face(predict):
    table, said = predict(skimage.data.chelsea())
    assert (table["search"][0], table["predicted"][0]) == ("missed", "")
    assert table["reason"][0].startswith("no face")
    table, said = predict(skimage.data.chelsea(), "--missed", "keep")
    assert table["predicted"][0] != ""
    assert "no face was found in 1 image" in said


@needs_cascades
@pytest.mark.fault("a portrait on its side", "Q", "refused, with the turn that would show the face")
def test_portrait_on_its_side(predict):
    table, _ = predict(np.rot90(skimage.data.astronaut()))
    assert "turned by 90 degrees clockwise: turn it" in table["reason"][0]


@pytest.mark.fault("colour for a model that knows grey images alone", "R W", "turned to grey, and said")
def test_colour_for_a_grey_model(predict):
    colour = make_image(1, 48)
    table, said = predict(colour)
    grey, _ = predict(Image.fromarray(colour).convert("L"))
    assert abs(table["happy"][0] - grey["happy"][0]) < 0.02
    assert "1 image in colour was turned to grey" in said


@pytest.mark.fault("a long table is cut off", "R", "grows as OUTPUT.part; the same command goes on with it")
def test_table_that_is_cut_off(tmp_path):
    first = PartTable(tmp_path / "out.csv")
    first.resume("key")
    first.append("a\n1\n", 1)
    first.abandon()
    second = PartTable(tmp_path / "out.csv")
    second.resume("key")
    assert second.done == 1
    second.append("2\n", 2)
    second.finish()
    assert (tmp_path / "out.csv").read_text() == "a\n1\n2\n"


@pytest.mark.fault(
    "a folder or an archive without images, a damaged one, or a path that is not there, beside others", "Q",
    "a row with the reason; where none has images, refused before any work",
)  # fmt: skip
def test_folders_and_archives_without_images(model_dir, tmp_path):
    (tmp_path / "a.png").write_bytes(encode(make_image(1)))
    (tmp_path / "empty").mkdir()
    write_zip(tmp_path / "notes.zip", {"notes.txt": b"no image"})
    (tmp_path / "damaged.zip").write_bytes(b"PK\x03\x04 and so on")
    paths = [str(tmp_path / name) for name in ("a.png", "empty", "notes.zip", "damaged.zip")]
    result = CliRunner().invoke(main, ["predict", str(model_dir), *paths])
    table = pd.read_csv(io.StringIO(result.stdout), keep_default_na=False)
    reasons = ["", "no files are in it", "no images among 1 file", "damaged, cut short or not an archive"]
    assert (result.exit_code, table["path"].tolist()) == (0, paths)
    assert all(map(str.startswith, table["reason"], reasons))
    assert "3 of 4 images are refused" in result.stderr
    for refused in (paths[1:], [str(tmp_path / "no.png")], [str(tmp_path / "no.png"), paths[1]]):
        result = CliRunner().invoke(main, ["predict", str(model_dir), *refused])
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    result = CliRunner().invoke(main, ["predict", str(model_dir), paths[0], str(tmp_path / "no.png")])
    assert (result.exit_code, result.stdout.count("\n")) == (0, 3)


@pytest.mark.fault(
    "links without target or in a circle, pipes, videos, archives in a folder of images", "W", "passed over, and said"
)
def test_what_lies_in_a_folder_and_is_not_read(model_dir, tmp_path):
    (tmp_path / "a.png").write_bytes(encode(make_image(1)))
    for name, target in (("loop.png", "loop.png"), ("round", "round"), ("moved.png", "away.png")):
        (tmp_path / name).symlink_to(target)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "clip.mp4").write_bytes(b"")
    result = CliRunner().invoke(main, ["predict", str(model_dir), str(tmp_path)])
    assert (result.exit_code, result.stdout.count("\n")) == (0, 2)
    assert "3 links to files that are not there, e.g. loop.png" in result.stderr
    assert "not read: 1 pipe, socket or device, e.g. pipe.png" in result.stderr
    assert "not read: 1 video, e.g. clip.mp4 (save single frames of it as JPEG or PNG)" in result.stderr
