"""The crop on its way from audit to store, shards and single files."""

import cv2
import numpy as np
import pytest
from face_files import encode, make_image, write_folder

from emotion_utils.artefacts import FRAME_COLUMNS
from emotion_utils.audit import face_detectors
from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.face_detectors import Box
from emotion_utils.audit.frames import frames_of, view_ids
from emotion_utils.audit.label_suspects import find_label_suspects
from emotion_utils.config import resolve_config
from emotion_utils.deploy.input_images import InputImage, read_faces
from emotion_utils.run import Run
from emotion_utils.sources.source import open_source
from emotion_utils.store.resize import resize_square
from emotion_utils.store.shards import open_shards, shards_path, write_shards
from emotion_utils.store.store import build_store, store_path

SIZE_PX = 24
MARK = (200, 40, 40)


class FindsRed:
    """Finds squares of the colour MARK in an image: dark in the grey copy beside white ones."""

    name = "finds red"
    asked = 0

    def find(self, grey, min_face_px):
        FindsRed.asked += 1
        dark = (np.abs(grey.astype(int) - 88) < 6).astype(np.uint8)
        boxes = [Box(*map(int, cv2.boundingRect(outline))) for outline in cv2.findContours(dark, 0, 1)[0]]
        return [box for box in boxes if min(box.width, box.height) >= min_face_px]


def scene(*squares, size_px=160):
    """A white image with a bright frame pattern, and a red square (left, top, side) for each face."""
    image = np.full((size_px, size_px, 3), 255, np.uint8)
    image[::16] = 230
    for number, (left, top, side) in enumerate(squares):
        image[top : top + side, left : left + side] = MARK
        image[top + 8 + number, left + 8 : left + 16] = (250, 250, 0)
    return image


@pytest.fixture(autouse=True)
def finds_red(monkeypatch):
    """Every thread's detector is FindsRed."""
    monkeypatch.setattr(face_detectors, "PROBES", (FindsRed,))
    monkeypatch.setattr(face_detectors, "_OF_THREAD", type(face_detectors._OF_THREAD)())
    FindsRed.asked = 0


@pytest.fixture
def source(tmp_path):
    """One face, two faces, no face, a face that fills the image, and an image too small to be searched."""
    files = {
        "happy/one.png": encode(scene((30, 50, 40))),
        "happy/two.png": encode(scene((10, 10, 32), (80, 80, 60))),
        "sad/none.png": encode(scene()),
        "sad/filled.png": encode(scene((15, 15, 120))),
        "sad/small.png": encode(make_image(5, 90)),
    }
    return open_source(str(write_folder(tmp_path / "data", files)))


def audit_of(source, **options):
    manifest, audit = audit_images(source, **options)
    return manifest.set_index("path", drop=False), audit


def test_what_became_of_each_image_is_counted_with_the_detector(source):
    manifest, audit = audit_of(source, crop="auto")
    assert audit["faces"] == {
        "crop": "auto", "missed_are": "kept", "detector": "finds red",
        "cropped": 2, "filled": 1, "missed": 1, "not_searched": 1, "several": 1,
    }  # fmt: skip
    assert set(manifest.index[manifest["face_side"] > 0]) == {"happy/one.png", "happy/two.png"}
    assert (manifest["status"] == "kept").all()
    left, top, side = manifest.loc["happy/two.png", list(FRAME_COLUMNS)]
    assert (left <= 80, top <= 80, left + side >= 140, top + side >= 140) == (True,) * 4  # the larger of the two
    assert side <= 1.2 * 60 + 2


def test_images_without_a_face_are_set_aside_where_that_is_asked_for(source):
    manifest, audit = audit_of(source, crop="auto", missed="quarantine")
    assert manifest["status"].value_counts().to_dict() == {"kept": 4, "quarantined": 1}
    assert manifest.loc["sad/none.png", "reason"] == "no face: none was found in the image"
    assert audit["reasons"] == {"no face": 1}
    assert (audit["faces"]["missed"], audit["faces"]["missed_are"]) == (1, "quarantined")


def test_never_asks_no_detector_and_small_images_cost_nothing(source, tmp_path):
    _, audit = audit_of(source, crop="never")
    small = open_source(str(write_folder(tmp_path / "small", {f"{c}/0.png": encode(make_image(ord(c))) for c in "ab"})))
    _, auto = audit_of(small, crop="auto")
    assert FindsRed.asked == 0
    assert (audit["faces"]["detector"], auto["faces"]["detector"]) == (None, None)
    assert (audit["faces"]["not_searched"], auto["faces"]["not_searched"]) == (5, 2)


def test_store_shards_and_single_files_hold_the_same_crop(source):
    manifest, _ = audit_of(source, crop="auto")
    manifest["split"] = ["train", "train", "test", "val", "val"]
    store = build_store(source, manifest, size_px=SIZE_PX)
    shards = write_shards(source, manifest, source.classes, size_px=SIZE_PX)
    asked = FindsRed.asked
    for split in ("train", "val", "test"):
        rows = manifest[manifest["split"] == split].sort_values("id")
        np.testing.assert_array_equal(
            open_shards(shards, split)[np.arange(len(rows))], store.images[store.rows(rows["id"])]
        )
    assert FindsRed.asked == asked, "the detector ran again"
    for row in manifest.itertuples():
        stored = store.images[store.rows([row.id])[0]]
        predicted = next(read_faces([InputImage(row.path, lambda path=row.path: source.read(path))], "auto", SIZE_PX))
        np.testing.assert_array_equal(predicted.images[0], stored)
    whole = cv2.cvtColor(cv2.imdecode(np.frombuffer(source.read("happy/one.png"), np.uint8), 1), cv2.COLOR_BGR2RGB)
    left, top, side = manifest.loc["happy/one.png", list(FRAME_COLUMNS)]
    np.testing.assert_array_equal(
        store.images[store.rows([manifest.at["happy/one.png", "id"]])[0]],
        resize_square(np.ascontiguousarray(whole[top : top + side, left : left + side]), SIZE_PX),
    )


def test_the_store_is_built_without_the_detector(source):
    manifest, _ = audit_of(source, crop="auto")
    asked = FindsRed.asked
    build_store(source, manifest, size_px=SIZE_PX)
    assert FindsRed.asked == asked > 0


def test_another_crop_is_another_store_and_the_same_crop_the_same(source):
    cropped, whole, again = (audit_of(source, crop=crop)[0] for crop in ("auto", "never", "auto"))
    paths = [store_path(view_ids(manifest), SIZE_PX) for manifest in (cropped, whole, again)]
    assert paths[0] == paths[2] != paths[1]
    assert paths[1] == store_path(whole["id"], SIZE_PX)
    split = [manifest.assign(split="train") for manifest in (cropped, whole, again)]
    shards = [shards_path(manifest, source.classes, SIZE_PX) for manifest in split]
    assert shards[0] == shards[2] != shards[1]


def test_frames_survive_the_manifest_file_and_older_manifests_have_none(source, tmp_path):
    manifest, _ = audit_of(source, crop="auto")
    run = Run.create(tmp_path / "run", resolve_config("smoke"))
    run.write("manifest", manifest)
    read = run.read("manifest")
    np.testing.assert_array_equal(frames_of(read), frames_of(manifest))
    assert frames_of(read).any()
    older = read.drop(columns=list(FRAME_COLUMNS))
    assert not frames_of(older).any()
    assert view_ids(older) == read["id"].tolist()


def test_suspects_are_judged_by_what_is_used_of_an_image(tmp_path):
    """Two faces, each in twelve different surroundings: only what is cut out tells the label."""
    rng = np.random.default_rng(0)
    files, faces = {}, {"happy": make_image(1, 64), "sad": make_image(2, 64)}
    for number in range(12):
        for label, face in faces.items():
            image = rng.integers(150, 256, (160, 160, 3), dtype=np.uint8)
            left, top = (int(value) for value in rng.integers(0, 90, 2))
            image[top : top + 64, left : left + 64] = MARK
            image[top + 12 : top + 52, left + 12 : left + 52] = cv2.resize(face, (40, 40)) // 8 + np.uint8(80)
            files[f"{label}/{number}.png"] = encode(image)
    source = open_source(str(write_folder(tmp_path / "scenes", files)))
    accuracy = {
        crop: find_label_suspects(source, audit_images(source, crop=crop)[0].assign(cluster="")).attrs["accuracy"]
        for crop in ("auto", "never")
    }
    assert accuracy["auto"] > 0.9 > 0.75 > accuracy["never"]
