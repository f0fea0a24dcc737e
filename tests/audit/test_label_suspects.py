import cv2
import numpy as np
import pandas as pd
import pytest
from face_files import encode

from emotion_utils.audit.label_suspects import (
    NUM_FEATURES,
    OPENCV,
    SKIMAGE,
    THUMB_PX,
    _predict_out_of_fold,
    choose_describer,
    find_label_suspects,
    rank_suspects,
)
from emotion_utils.audit.lines import suspects_line

WRONG = (5, 16, 31, 40, 63, 82)


class Stripes:
    """A source of stripes that lie (happy) or stand (sad), with some noise; `wrong` of them labelled the other way."""

    def __init__(self, count=96, wrong=WRONG):
        self.files, labels = {}, []
        for number in range(count):
            rng = np.random.default_rng(number)
            wave = np.tile(127 + 90 * np.sin(np.arange(48) / 3 + rng.random() * 6), (48, 1))
            image = wave.T if number % 2 else wave
            image = np.clip(image + rng.normal(0, 25, (48, 48)), 0, 255).astype(np.uint8)
            self.files[f"{number:03d}.png"] = encode(cv2.merge([image] * 3))
            labels.append("happy" if (number % 2 == 1) != (number in wrong) else "sad")
        self.labels, self.read = labels, self.files.__getitem__

    def manifest(self):
        table = pd.DataFrame({"path": list(self.files), "label": self.labels})
        return table.assign(id="id " + table["path"], status="kept", group="", cluster="")


@pytest.fixture
def stripes():
    return Stripes()


@pytest.fixture(params=[OPENCV, SKIMAGE])
def maker(request, monkeypatch):
    """Who makes the histograms: OpenCV, where it does, and scikit-image beside an OpenCV 5, which makes none."""
    if request.param == SKIMAGE:
        monkeypatch.delattr(cv2, "HOGDescriptor", raising=False)
    elif not hasattr(cv2, "HOGDescriptor"):
        pytest.skip(f"OpenCV {cv2.__version__} makes no histograms of gradients")
    return request.param


def test_turned_labels_are_found_and_the_right_one_is_suggested(stripes, maker):
    manifest = stripes.manifest()
    before = manifest.copy()
    suspects = find_label_suspects(stripes, manifest)
    assert list(suspects.columns) == ["id", "label", "suggested", "score"]
    wrong = {f"id {number:03d}.png" for number in WRONG}
    assert len(wrong & set(suspects["id"])) >= 4
    assert set(suspects["id"][:4]) <= wrong
    assert (suspects["label"] != suspects["suggested"]).all()
    assert suspects["score"].is_monotonic_increasing
    assert suspects["score"].between(0, 1).all()
    assert suspects.attrs["judged"] == 96
    assert 0.85 < suspects.attrs["accuracy"] < 0.96  # the six wrong ones count as errors
    assert manifest.equals(before)
    assert suspects.attrs["features"] == maker
    assert ("this OpenCV makes none" in suspects_line(suspects.attrs)) == (maker == SKIMAGE)


def test_histograms_are_those_of_their_definition_whoever_makes_them(maker):
    """Of a ramp that rises to the lower right: in each cell all of it lies in the direction of 45 degrees, between the
    bins around 30 and 50 (scikit-image: in the bin from 40 to 60), each block has length 1, and brightness is nothing.
    """
    across, down = np.meshgrid(np.arange(THUMB_PX), np.arange(THUMB_PX))
    _, describe = choose_describer()
    found = []
    for bright in (2, 1):
        histograms = np.asarray(describe((bright * (across + down)).astype(np.uint8)))
        assert histograms.shape == (NUM_FEATURES,) == (900,)
        blocks = histograms.reshape(25, 36)
        np.testing.assert_allclose(np.linalg.norm(blocks, axis=1), 1, atol=0.02)
        found.append(blocks.reshape(100, 9).sum(axis=0) / blocks.sum())
    assert found[0][1:3].sum() > 0.9
    np.testing.assert_allclose(*found, atol=0.03)


def test_result_is_the_same_every_time(stripes):
    one, other = (find_label_suspects(stripes, stripes.manifest(), seed=1) for _ in range(2))
    assert one.equals(other)


def test_copies_of_an_image_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(60, 30)).astype(np.float32), 4, axis=0)
    labels = np.repeat(rng.integers(0, 2, 60), 4)  # chance alone: only a copy tells the label

    def accuracy(groups):
        return (_predict_out_of_fold(features, labels, groups, 0).argmax(axis=1) == labels).mean()

    assert accuracy(np.arange(240)) > 0.75
    assert accuracy(np.repeat(np.arange(60), 4)) < 0.65


def test_quarantined_images_are_not_judged(stripes):
    manifest = stripes.manifest()
    manifest.loc[manifest["path"] == "005.png", "status"] = "quarantined"
    assert "id 005.png" not in set(find_label_suspects(stripes, manifest)["id"])


def test_too_few_images_have_no_suspects(stripes):
    suspects = find_label_suspects(stripes, stripes.manifest().head(6))
    assert suspects.empty
    assert suspects.attrs["judged"] == 0


def test_ranking_by_hand():
    probs = np.tile([[0.9, 0.1], [0.1, 0.9]], (20, 1))
    labels = ["happy", "sad"] * 20
    labels[7], labels[12] = "happy", "sad"
    probs[12] = (0.6, 0.4)
    table = rank_suspects([f"i{number}" for number in range(40)], labels, probs, ["happy", "sad"])
    assert table["id"].tolist() == ["i7"]
    assert table["suggested"].tolist() == ["sad"]
    assert table["score"][0] == pytest.approx((0.1 - 0.9 + 1) / 2)
