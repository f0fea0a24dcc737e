"""Beside an exported file, NumPy, OpenCV and onnxruntime are enough, and the answers are the same."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotion_utils import load_classifier
from emotion_utils.sources import decode, decode_opencv
from emotion_utils.sources.decoded import ImageFault
from emotion_utils.synthetic.faces import render_face

PROJECT = Path(__file__).parents[2]
# What is there after `pip install numpy opencv-python-headless onnxruntime`.
BARE = """
import sys
ALLOWED = {"numpy", "cv2", "onnxruntime", "flatbuffers", "google", "packaging"}
ALLOWED |= {"emotion_utils", *sys.stdlib_module_names}
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
sys.meta_path.insert(0, Nothing())
import json
from emotion_utils import load_classifier
classifier = load_classifier(sys.argv[1])
faces = classifier(sys.argv[2:])
print(json.dumps([[face.label, face.probabilities, face.box, face.search, face.error] for face in faces]))
"""


@pytest.fixture
def images(tmp_path):
    """A face as JPEG, one as PNG, a scene in which a face may be searched, and a file that is none."""
    for number, name in enumerate(("a.jpg", "b.png")):
        Image.fromarray(render_face("happy", number, number, 64)).save(tmp_path / name)
    scene = np.full((300, 390, 3), 120, np.uint8)
    scene[100:220, 100:220] = render_face("happy", 5, 5, 120)
    Image.fromarray(scene).save(tmp_path / "scene.png")
    (tmp_path / "text.jpg").write_text("no image")
    return sorted(map(str, tmp_path.iterdir()))


def test_numpy_opencv_and_onnxruntime_are_enough(exported, images):
    result = subprocess.run(
        [sys.executable, "-c", BARE, str(exported), *images], cwd=PROJECT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    expected = [
        [face.label, face.probabilities, face.box, face.search, face.error]
        for face in load_classifier(exported)(images)
    ]
    assert json.loads(result.stdout) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("from emotion_utils.__main__ import main; main()", "emotion: the command needs "),
        ("import emotion_utils; emotion_utils.load_classifier({folder!r})", "needs torch, and an exported file onnxr"),
    ],
)
def test_what_needs_more_says_so(code, line, model_dir):
    bare = BARE.partition("import json")[0] + code.format(folder=str(model_dir))
    result = subprocess.run([sys.executable, "-c", bare], cwd=PROJECT, capture_output=True, text=True)
    assert result.returncode == 1
    assert line in result.stderr.splitlines()[-1]


def test_a_copy_in_another_process_opens_the_file_again(exported, images):
    classifier = load_classifier(exported)
    again = pickle.loads(pickle.dumps(classifier))
    assert again(images) == copy.deepcopy(classifier)(images) == classifier(images)


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8, 5])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_opencv_gives_the_pixels_that_the_other_decoder_gives(tmp_path, orientation, mode):
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    for name, options in (("a.jpg", {"exif": exif}), ("b.jpg", {"progressive": True, "quality": 60}), ("c.png", {})):
        Image.fromarray(render_face("sad", 1, 1, 61)[:50]).convert(mode).save(tmp_path / name, **options)
        data = (tmp_path / name).read_bytes()
        np.testing.assert_array_equal(decode_opencv.decode_image(data).rgb, decode.decode_image(data).rgb)


@pytest.mark.parametrize(
    ("mode", "name", "line"),
    [("RGBA", "a.png", "OpenCV alone"), ("I;16", "a.png", "OpenCV alone"), ("CMYK", "a.jpg", "OpenCV alone"),
     ("RGB", "a.gif", "neither JPEG nor PNG")],
)  # fmt: skip
def test_what_opencv_would_read_otherwise_is_refused(tmp_path, mode, name, line):
    Image.new(mode, (48, 48)).save(tmp_path / name)
    with pytest.raises(ImageFault, match=line):
        decode_opencv.decode_image((tmp_path / name).read_bytes())


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_file_that_ends_too_early_is_refused(tmp_path, name):
    Image.fromarray(render_face("sad", 1, 1, 61)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    for length in (10, len(data) // 2):
        with pytest.raises(ImageFault):
            decode_opencv.decode_image(data[:length])
