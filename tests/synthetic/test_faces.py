"""The rendered faces: reproducible, balanced, legible in their geometry, and not given away by simple statistics."""

import hashlib
import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emotion_utils.errors import InputError
from emotion_utils.synthetic.action_units import PROTOTYPES, Proportions, place_outlines
from emotion_utils.synthetic.faces import EMOTIONS, render_face, render_path, synthetic_table
from emotion_utils.synthetic.person import draw_appearance

THREE = ("angry", "happy", "sad")


@pytest.fixture(scope="module")
def three_classes():
    """A table of 330 rows and its images (330, 40, 40, 3)."""
    table = synthetic_table(330, THREE, seed=5)
    return table, np.stack([render_path(path, 5, 40) for path in table["path"]])


def outlines(emotion, variant=0):
    return place_outlines(Proportions(), PROTOTYPES[emotion][variant])


def mean_y(curves):
    return np.mean([curve[:, 1].mean() for curve in curves])


def eye_opening(lines):
    return np.mean([(low - up)[7, 1] for up, low in zip(lines.upper_lids, lines.lower_lids, strict=True)])


def accuracy_of_linear_model(features, table):
    """Cross-validated over persons, so that nobody is in both halves."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.1))
    folds = GroupKFold(5)
    return cross_val_score(model, features, table["label"], groups=table["group"], cv=folds).mean()


# -- images --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [32, 48, 96, 224])
def test_image_is_rgb_uint8_of_the_size_asked_for(size_px):
    image = render_face("happy", 1, 2, size_px)
    assert image.shape == (size_px, size_px, 3)
    assert image.dtype == np.uint8
    assert image.std() > 15


def test_same_seeds_give_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from emotion_utils.synthetic.faces import render_face;"
        "print(hashlib.sha256(render_face('sad', 2**40, 8, 64).tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    render_face("happy", 3, 3, 64)
    assert hashlib.sha256(render_face("sad", 2**40, 8, 64).tobytes()).hexdigest() == other


def test_every_seed_and_the_emotion_change_the_image():
    base = render_face("happy", 1, 2, 48).astype(int)
    for other in (("happy", 1, 3), ("happy", 4, 2), ("sad", 1, 2)):
        assert np.abs(render_face(*other, 48) - base).mean() > 1


def test_scene_and_person_do_not_depend_on_the_emotion():
    faces = [render_face(emotion, 11, 12, 48, intensity=0.0) for emotion in EMOTIONS]
    for face in faces[1:]:
        np.testing.assert_array_equal(face, faces[0])


def test_stronger_expression_is_farther_from_the_neutral_face():
    strengths = (0.0, 0.4, 1.0)
    none, some, full = (render_face("surprise", 21, 4, 96, intensity).astype(int) for intensity in strengths)
    assert np.abs(full - none).mean() > 1.3 * np.abs(some - none).mean() > 0


def test_an_image_looks_the_same_at_every_size():
    large, small = render_face("angry", 7, 7, 128), render_face("angry", 7, 7, 64)
    shrunk = cv2.resize(large, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).mean() < 8


def test_people_span_the_range_of_human_skin():
    tones = np.array([np.mean(draw_appearance(np.random.default_rng([person, 0])).skin) for person in range(200)])
    assert tones.min() < 0.30
    assert tones.max() > 0.80
    assert np.histogram(tones, bins=5, range=(0.2, 0.9))[0].min() >= 15


@pytest.mark.parametrize("emotion", ["contempt", "Happy", ""])
def test_unknown_emotion_is_refused_with_the_known_ones(emotion):
    with pytest.raises(InputError, match="angry, disgust, fear, happy, neutral, sad, surprise"):
        render_face(emotion, 0, 0)
    with pytest.raises(InputError, match="no synthetic faces"):
        synthetic_table(10, ("happy", emotion), 0)


@pytest.mark.parametrize("path", ["happy/000.png", "happy/person_1.png", "/happy/person_001_002.png", "x.jpg"])
def test_foreign_path_is_refused(path):
    with pytest.raises(InputError, match="person_012_003"):
        render_path(path, 0, 32)


# -- the table -------------------------------------------------------------------------------------


def test_table_is_the_same_again_and_starts_a_longer_one():
    short, long = synthetic_table(100, EMOTIONS, 3), synthetic_table(300, EMOTIONS, 3)
    assert short.equals(synthetic_table(100, EMOTIONS, 3))
    assert short.equals(long.head(100))
    assert not short.equals(synthetic_table(100, EMOTIONS, 4))
    assert list(short.columns) == ["path", "label", "group", "split"]


@pytest.mark.parametrize(("num_images", "classes"), [(1, THREE), (101, THREE), (600, THREE), (605, EMOTIONS)])
def test_classes_are_balanced_to_one_image(num_images, classes):
    table = synthetic_table(num_images, classes, 0)
    counts = table["label"].value_counts().reindex(classes, fill_value=0)
    assert len(table) == num_images
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("classes", [THREE, EMOTIONS, ("happy", "sad")])
def test_every_person_shows_several_emotions_in_five_to_eight_images(classes):
    people = synthetic_table(500, classes, 9).groupby("group")
    complete = slice(None, -1)  # the last person may be cut off by the number of images
    assert people["label"].nunique().iloc[complete].min() >= 2
    assert people.size().iloc[complete].between(5, 8).all()


def test_path_names_label_and_person():
    for row in synthetic_table(50, EMOTIONS, 1).itertuples():
        assert row.path.startswith(f"{row.label}/{row.group}_")
        assert row.split == ""


def test_no_image_comes_twice(three_classes):
    table, images = three_classes
    assert table["path"].is_unique
    assert len({image.tobytes() for image in images}) == len(images)


def test_tables_of_other_seeds_show_other_people():
    assert not np.array_equal(
        render_path("sad/person_000_000.png", 0, 32), render_path("sad/person_000_000.png", 1, 32)
    )


# -- expressions -----------------------------------------------------------------------------------


def test_corners_of_the_mouth_rise_with_joy_and_fall_with_sorrow():
    joy, calm, sorrow = (outlines(emotion).lip_corners_above_middle for emotion in ("happy", "neutral", "sad"))
    assert joy > calm + 0.05 > sorrow + 0.1


def test_brows_are_low_in_anger_and_high_in_surprise():
    anger, calm, surprise = (mean_y(outlines(emotion).brows) for emotion in ("angry", "neutral", "surprise"))
    assert surprise < calm - 0.03 < calm + 0.03 < anger


def test_sorrow_raises_the_inner_end_of_the_brow_above_anger():
    inner = {emotion: outlines(emotion).brows[1][0, 1] for emotion in ("sad", "neutral", "angry")}
    assert inner["sad"] < inner["neutral"] < inner["angry"]


def test_fear_opens_the_eyes_and_disgust_narrows_them():
    fear, calm, disgust = (eye_opening(outlines(emotion)) for emotion in ("fear", "neutral", "disgust"))
    assert fear > 1.2 * calm > 1.2 * disgust > 0


def test_surprise_drops_the_jaw():
    assert outlines("surprise").face[:, 1].max() > outlines("neutral").face[:, 1].max() + 0.05


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_lips_and_lids_never_cross(emotion):
    for variant in range(len(PROTOTYPES[emotion])):
        lines = outlines(emotion, variant)
        order = [lines.lip_upper, lines.mouth_upper, lines.mouth_lower, lines.lip_lower]
        for above, below in pairwise(order):
            assert (below[5:-5, 1] >= above[5:-5, 1]).all()
        assert eye_opening(lines) > 0


def test_mirrored_strengths_give_a_mirrored_face():
    lines = outlines("fear")
    np.testing.assert_allclose(lines.brows[0] * (-1, 1), lines.brows[1])
    np.testing.assert_allclose(lines.lip_upper[::-1] * (-1, 1), lines.lip_upper, atol=1e-12)


# -- no short cuts ---------------------------------------------------------------------------------


def test_mean_colour_does_not_tell_the_emotion(three_classes):
    table, images = three_classes
    assert accuracy_of_linear_model(images.mean(axis=(1, 2)), table) < 0.45


def test_coarse_thumbnail_tells_little_of_the_emotion(three_classes):
    table, images = three_classes
    thumbnails = np.stack([cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) for image in images])
    assert accuracy_of_linear_model(thumbnails.reshape(len(table), -1).astype(float), table) < 0.62
