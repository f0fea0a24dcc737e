"""`load_classifier`: whatever form an image has, the same faces and answers as `emotion predict` gives."""

import io
import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from emotion_utils import load_classifier
from emotion_utils.deploy import classifier as classifier_module
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.errors import InputError
from emotion_utils.synthetic.faces import render_face

CLASSES = ("angry", "happy", "sad")


@pytest.fixture(scope="module")
def classifier(model_dir):
    return load_classifier(model_dir)


@pytest.fixture(scope="module")
def faces():
    """Eleven faces, more than a batch, uint8 RGB (48, 48, 3)."""
    return [render_face(CLASSES[number % 3], number, number, 48) for number in range(11)]


@pytest.fixture(scope="module")
def paths(faces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    for number, face in enumerate(faces):
        Image.fromarray(face).save(folder / f"{number:02d}.png")
    return sorted(folder.iterdir())


def test_answers_are_those_of_predict_in_every_form(classifier, model_dir, faces, paths):
    table = predict_files(model_dir, [paths[0].parent])
    found = classifier(paths)
    assert [face.image for face in found] == list(range(11))
    assert [face.label for face in found] == table["predicted"].tolist()
    assert len(set(table["predicted"])) > 1
    np.testing.assert_allclose(
        [list(face.probabilities.values()) for face in found], table[list(CLASSES)], rtol=0, atol=1e-6
    )
    for given in (faces, np.stack(faces), tuple(map(str, paths)), (Image.fromarray(face) for face in faces)):
        assert classifier(given) == found
    assert classifier(paths[3])[0].probabilities == found[3].probabilities
    probs = classifier.predict_proba(faces)
    np.testing.assert_allclose(probs, [list(face.probabilities.values()) for face in found], rtol=1e-6)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-12)
    assert classifier(np.array(list(map(str, paths)))) == found
    assert classifier.classes_.tolist() == list(CLASSES)


def test_pil_image_is_turned_upright_and_stays_as_it_is(classifier, faces):
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(faces[0])))
    turned.getexif()[0x0112] = 6
    assert classifier(turned) == classifier(faces[0])
    assert turned.getexif()[0x0112] == 6


def test_grey_array_is_grey_in_all_channels(classifier, faces):
    grey = faces[0][:, :, 1]
    assert classifier(grey) == classifier(np.repeat(grey[:, :, None], 3, axis=2)) == classifier(grey[:, :, None])


def test_image_that_cannot_be_read_has_its_entry_and_harms_no_other(classifier, paths, tmp_path):
    (tmp_path / "none.jpg").write_bytes(b"no image")
    found = classifier([paths[0], tmp_path / "none.jpg", tmp_path / "missing.jpg", tmp_path, paths[1]])
    assert [face.label is None for face in found] == [False, True, True, True, False]
    assert [face.image for face in found] == list(range(5))
    assert "not an image" in found[1].error
    assert "No such file" in found[2].error
    assert "s a directory" in found[3].error
    assert found[4].probabilities == classifier(paths[1])[0].probabilities


def test_many_images_are_answered_while_they_come(classifier, faces, monkeypatch):
    monkeypatch.setattr(classifier_module, "IMAGES_AT_ONCE", 2)
    taken = []
    stream = classifier.stream(taken.append(number) or faces[0] for number in range(100))
    next(stream)
    assert len(taken) < 20


@pytest.mark.parametrize(
    ("images", "line"),
    [
        ([], "no images were given"),
        (iter(()), "no images were given"),
        (np.zeros((48, 48, 3), np.float32), r"image 0 is an array of float32: give uint8, RGB in 0-255 \(of values"),
        ([np.zeros((48, 48, 4), np.uint8)], r"\(48, 48, 4\), not .*leave out its transparency"),
        (np.zeros((5, 48, 48), np.uint8), r"shape \(5, 48, 48\)"),
        (np.zeros((5, 48, 48, 3)), "array of float64"),
        ([None], "image 0 is a NoneType: give a path"),
        (b"bytes", "a bytes is no image"),
        (3, "a int is no image"),
        (io.BytesIO(b"line\nline"), r"an open file is no image: .*; PIL\.Image\.open reads files"),
        (np.array("a.jpg"), r"image 0 is an array of <U5"),
        (np.array([1, "a"], dtype=object), "image 0 is a int: give a path"),
    ],
)
def test_what_is_no_image_is_refused_with_a_line(classifier, images, line):
    with pytest.raises(InputError, match=line):
        classifier(images)


def test_predict_proba_names_an_image_that_cannot_be_used(classifier, tmp_path):
    with pytest.raises(InputError, match="image 1: cannot be read"):
        classifier.predict_proba([np.arange(48 * 48, dtype=np.uint8).reshape(48, 48), tmp_path / "missing.png"])


def test_array_without_pixels_has_its_entry(classifier):
    assert classifier([np.zeros((0, 5, 3), np.uint8)])[0].error == "empty: an array of shape (0, 5, 3) has no pixels"


def test_array_larger_than_any_file_may_be_has_its_entry(classifier):
    huge = np.broadcast_to(np.uint8(7), (60_000, 60_000, 3))
    assert classifier([huge])[0].error == "too large: 60000 x 60000 pixels, the limit is 64 megapixels"


def test_another_word_for_missed_is_refused(classifier, faces):
    with pytest.raises(InputError, match="missed='drop': choose 'keep', 'quarantine' or None"):
        classifier(faces, missed="drop")
    with pytest.raises(InputError, match="choose 'keep', 'quarantine' or None"):
        classifier(faces, missed=np.array(["keep", "drop"]))


def test_frames_of_opencv_are_suspected_once(classifier, faces):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(faces)
        classifier([Image.fromarray(face[:, :, ::-1]) for face in faces])  # of which the order is known
    exchanged = [face[:, :, ::-1] for face in faces]
    with pytest.warns(UserWarning, match=r"OpenCV's frames are BGR; hand over frame\[:, :, ::-1\]") as caught:
        list(classifier_module.Classifier(classifier.network).stream(exchanged + exchanged))
    assert len(caught) == 1


def test_model_that_is_none_is_refused(model_dir, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="give its folder"):
        load_classifier(model_dir / "model.json")
    with pytest.raises(InputError, match="not the folder of a trained model"):
        load_classifier(tmp_path)
    with pytest.raises(InputError, match="there is no such folder"):
        load_classifier(tmp_path / "none")
    shutil.copytree(model_dir, tmp_path / "run" / "models" / "mine")
    with pytest.raises(InputError, match=r"run: holds models, but is none: name one, such as .*run/models/mine"):
        load_classifier(tmp_path / "run")
    with pytest.raises(InputError, match=r"aaa \.\.\.: cannot be read \(File name too long\)"):
        load_classifier("a" * 300)
    for wrong in (5, [], b"x"):
        with pytest.raises(InputError, match=r"no path|not as bytes"):
            load_classifier(wrong)
    monkeypatch.setattr(classifier_module, "SMALL_MODEL", tmp_path / "small.onnx")
    with pytest.raises(InputError, match="no small model comes with this version"):
        load_classifier()
