"""Faces found and cut: which detector answers, which face is taken, and what stays untouched."""

import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import skimage

from emotion_utils.audit import face_detectors, faces
from emotion_utils.audit.face_detectors import Box, DetectorMissing, OpenCvDetector, SkimageDetector
from emotion_utils.audit.faces import crop_faces, cut_square, find_faces, frame_face, rank_faces
from emotion_utils.bench import faces as bench
from emotion_utils.errors import EmotionError
from emotion_utils.sources.decode import decode_rgb
from emotion_utils.sources.source import open_source

has_cascades = hasattr(cv2, "CascadeClassifier")
needs_cascades = pytest.mark.skipif(not has_cascades, reason=f"OpenCV {cv2.__version__} has no cascades")


class FakeDetector:
    """Finds the same boxes in every image, and keeps the sizes that it was asked about."""

    name = "fake"

    def __init__(self, *boxes):
        self.boxes = [Box(*box) for box in boxes]
        self.asked = []

    def find(self, grey, min_face_px, *, sure=False):
        self.asked.append((grey.shape, min_face_px))
        return [box for box in self.boxes if box.width >= min_face_px]


def make_image(height=200, width=300):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


# -- which detector --------------------------------------------------------------------------------


class Works(FakeDetector):
    name = "works"


class Missing:
    name = "missing"

    def __init__(self):
        raise DetectorMissing("no files")


class FailsToScan(FakeDetector):
    name = "fails"

    def find(self, grey, min_face_px):
        raise cv2.error("Assertion failed: !empty()")


@pytest.mark.parametrize(
    ("probes", "expected"),
    [((Works, FakeDetector), Works), ((Missing, Works), Works), ((FailsToScan, Missing, FakeDetector), FakeDetector)],
)
def test_first_detector_that_loads_and_scans_is_taken(probes, expected):
    assert type(face_detectors.probe_detectors(probes)) is expected


def test_reason_of_each_detector_is_named_where_none_works():
    with pytest.raises(EmotionError, match=r"missing: no files; fails: .*empty.*opencv-python-headless<5.*crop=never"):
        face_detectors.probe_detectors((Missing, FailsToScan))


def test_opencv_is_tried_before_scikit_image():
    assert list(face_detectors.PROBES) == [OpenCvDetector, SkimageDetector]
    expected = OpenCvDetector if has_cascades else SkimageDetector
    assert type(face_detectors.probe_detectors(face_detectors.PROBES)) is expected


def test_scikit_image_takes_over_from_an_opencv_without_cascades(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    assert type(face_detectors.probe_detectors(face_detectors.PROBES)) is SkimageDetector


@needs_cascades
def test_opencv_without_cascade_files_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(DetectorMissing, match=r"no usable haarcascade_frontalface_default\.xml"):
        OpenCvDetector()


@pytest.mark.fault("OpenCV 5, which has no cascades", "R", "scikit-image finds the faces", group="machines")
def test_opencv_without_the_classifier_is_passed_over(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    with pytest.raises(DetectorMissing, match="has no cascades"):
        OpenCvDetector()


@needs_cascades
def test_damaged_cascade_file_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "haarcascade_frontalface_default.xml").write_text("<opencv_storage></opencv_storage>", encoding="utf-8")
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(DetectorMissing, match="no usable"):
        OpenCvDetector()


def test_each_thread_has_a_detector_of_its_own_and_keeps_it(monkeypatch):
    monkeypatch.setattr(face_detectors, "PROBES", (Works,))
    monkeypatch.setattr(face_detectors, "_OF_THREAD", threading.local())
    barrier = threading.Barrier(2)

    def ask(_):
        barrier.wait(10)
        return face_detectors.get_detector(), face_detectors.get_detector()

    with ThreadPoolExecutor(2) as pool:
        (one, again), (other, _) = pool.map(ask, range(2))
    assert one is again
    assert one is not other


def test_no_detector_is_needed_where_nothing_is_looked_for(monkeypatch):
    monkeypatch.setattr(face_detectors, "PROBES", (Missing,))
    monkeypatch.setattr(face_detectors, "_OF_THREAD", threading.local())
    assert crop_faces(make_image(), "never").outcome == "whole"
    assert crop_faces(make_image(48, 48), "auto").outcome == "whole"
    with pytest.raises(EmotionError, match="no face detector works"):
        crop_faces(make_image(), "auto")


# -- which face ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boxes", "first"),
    [
        ([(0, 0, 30, 30), (50, 50, 40, 40)], (50, 50, 40, 40)),  # the largest
        ([(0, 0, 40, 40), (60, 30, 40, 40)], (60, 30, 40, 40)),  # of equals that nearest to the centre
        ([(100, 30, 40, 40), (60, 30, 40, 40)], (60, 30, 40, 40)),  # both as near: the left one
        ([(80, 50, 40, 40), (80, 10, 40, 40)], (80, 10, 40, 40)),  # the upper one
    ],
)
def test_largest_then_central_then_top_left_face_is_taken(boxes, first):
    boxes = [Box(*box) for box in boxes]
    for order in (boxes, boxes[::-1]):
        assert rank_faces(order, height=100, width=200)[0] == first
    result = crop_faces(make_image(100, 200), "always", FakeDetector(*boxes))
    assert result.box == first
    assert result.found == 2


# -- what is cut -----------------------------------------------------------------------------------


def test_crop_is_the_square_around_the_face_with_its_margin():
    image = make_image()
    result = crop_faces(image, "always", FakeDetector((100, 60, 50, 40)))
    assert result.outcome == "cropped"
    side = round(faces.FRAME * 50)
    left, top = 100 + 25 - side // 2, 60 + 20 - side // 2
    np.testing.assert_array_equal(result.image, image[top : top + side, left : left + side])


@pytest.mark.parametrize("box", [(-10, 70, 60, 60), (270, 170, 60, 60), (0, 0, 300, 200), (120, -20, 50, 50)])
def test_edge_is_repeated_where_the_crop_reaches_outside(box):
    image, box = make_image(), Box(*box)
    left, top, side, _ = frame_face(box, 200, 300)
    rows, columns = np.clip(np.arange(top, top + side), 0, 199), np.clip(np.arange(left, left + side), 0, 299)
    np.testing.assert_array_equal(cut_square(image, box), image[rows][:, columns])


def test_boxes_are_in_pixels_of_the_image_that_was_given():
    """The search sees a smaller copy: its boxes are scaled back."""
    image = make_image(2 * faces.SEARCH_PX, 4 * faces.SEARCH_PX)
    detector = FakeDetector((10, 20, 30, 30))
    assert find_faces(image, detector) == [(40, 80, 120, 120)]
    assert detector.asked[-1] == ((faces.SEARCH_PX // 2, faces.SEARCH_PX), face_detectors.MIN_FACE_PX)


@pytest.mark.parametrize(
    ("longer", "sizes"), [(100, [320]), (399, [320]), (400, [320, 640]), (640, [320, 640]), (4000, [320, 640, 1280])]
)
def test_larger_images_are_searched_in_larger_copies_up_to_a_limit(longer, sizes):
    assert faces.search_sizes(3 * longer // 4, longer) == faces.search_sizes(longer, 3 * longer // 4) == sizes


def test_larger_copies_are_searched_for_every_face_or_where_the_first_shows_none():
    image = make_image(900, 1200)

    def copies(detector, **options):
        find_faces(image, detector, **options)
        return [max(shape) for shape, _ in detector.asked[1:]]  # after the glance

    assert copies(FakeDetector((10, 20, 30, 30))) == [320]
    assert copies(FakeDetector()) == [320, 640, 1200]
    assert copies(FakeDetector((10, 20, 30, 30)), every=True) == [320, 640, 1200]


def test_face_that_two_copies_show_is_one_and_those_of_the_first_copy_come_first():
    class Seen(FakeDetector):
        def find(self, grey, min_face_px, *, sure=False):
            scale = max(grey.shape) / 640
            seen = {0.5: [(10, 10, 30, 30)], 1.0: [(22, 18, 58, 62), (300, 100, 90, 90), (500, 100, 24, 24)]}
            return [Box(*box) for box in seen.get(scale, [])]

    found = find_faces(make_image(480, 640), Seen(), every=True)
    assert found == [(20, 20, 60, 60), (300, 100, 90, 90), (500, 100, 24, 24)]
    assert find_faces(make_image(480, 640), Seen()) == found[:1]


@pytest.mark.fault("several faces in a photograph of a camera", "R", "a row for each", group="predictions")
@needs_cascades
def test_each_face_of_a_large_photo_is_found():
    """The astronaut's face, 60 to 100 px of 2400, in a scene of clouds; the search at 320 px alone sees none."""
    face = skimage.data.astronaut()[40:210, 140:310]
    scene = cv2.resize(bench.draw_scene(np.random.default_rng(4)), (2400, 1800), interpolation=cv2.INTER_CUBIC)
    placed = []
    for number, side in enumerate((100, 100, 140, 170, 170, 120)):
        left, top = 150 + 700 * (number % 3), 200 + 900 * (number // 3)
        scene[top : top + side, left : left + side] = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        placed.append(Box(left, top, side, side))
    found = find_faces(scene, OpenCvDetector(), every=True)
    assert len(found) == len(placed)
    for box in placed:
        assert sum(bench.shared_area(box, face) > 0.8 * face.width * face.height for face in found) == 1
    first = crop_faces(scene, "auto", OpenCvDetector())
    assert first.box == crop_faces(scene, "auto", OpenCvDetector(), every=True).box == found[0]


def test_auto_leaves_a_face_that_fills_the_image_untouched():
    image = make_image(120, 120)
    before = image.copy()
    result = crop_faces(image, "auto", FakeDetector((10, 12, 100, 100)))
    assert result.outcome == "whole"
    assert result.image is image
    np.testing.assert_array_equal(image, before)
    assert result.found == 1


def test_auto_cuts_where_the_face_fills_less_than_the_stated_area():
    image = make_image(120, 120)
    side = np.sqrt(faces.FULL_AREA) * 120
    for width, outcome in ((int(side), "cropped"), (int(side) + 1, "whole")):
        assert crop_faces(image, "auto", FakeDetector((10, 10, width, width))).outcome == outcome


def test_auto_asks_about_small_images_not_at_all():
    detector = FakeDetector((0, 0, 24, 24))
    assert crop_faces(make_image(48, 48), "auto", detector).outcome == "whole"
    assert detector.asked == []
    assert crop_faces(make_image(48, 48), "always", detector).outcome == "cropped"


def test_face_that_fills_the_image_is_found_at_a_glance():
    """The small copy alone is searched, with a margin around it, and only for large faces."""
    margin = round(faces.GLANCE_MARGIN * faces.GLANCE_PX)
    detector = FakeDetector((margin - 4, margin + 6, 100, 100))
    side = faces.GLANCE_PX + 2 * margin
    result = crop_faces(make_image(2 * faces.GLANCE_PX, 2 * faces.GLANCE_PX), "auto", detector)
    assert detector.asked == [((side, side), faces.GLANCE_PX // 2)]
    assert result.box == (-8, 12, 200, 200)


def test_crop_is_no_larger_than_the_image():
    assert cut_square(make_image(100, 80), Box(-10, -10, 120, 120)).shape == (100, 100, 3)


def test_face_seen_in_the_margin_does_not_fill_the_image():
    """What the detector makes of repeated edges is no face of this image."""
    assert faces.fills_image(Box(-20, -20, 140, 140), 100, 100)
    assert not faces.fills_image(Box(80, 0, 100, 100), 100, 100)


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_image_without_a_face_stays_whole_and_counts_as_missed(mode):
    image = make_image()
    result = crop_faces(image, mode, FakeDetector())
    assert result.image is image
    assert (result.outcome, result.found, result.box) == ("missed", 0, None)


def test_image_too_narrow_for_a_face_is_missed():
    assert crop_faces(make_image(10, 400), "auto").outcome == "missed"


# -- with the real detectors -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def scenes():
    """Two seeded scenes without a face, for the detectors to disagree about nothing."""
    return [bench.draw_scene(np.random.default_rng([9, number])) for number in range(2)]


@pytest.mark.parametrize("kind", [pytest.param(OpenCvDetector, marks=needs_cascades), SkimageDetector])
def test_detectors_give_the_same_boxes_every_time(kind, scenes):
    small = [cv2.resize(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), (240, 180)) for scene in scenes]
    first, second = kind(), kind()
    for grey in small:
        assert first.find(grey, 24) == first.find(grey, 24) == second.find(grey, 24)


@pytest.mark.parametrize("kind", [pytest.param(OpenCvDetector, marks=needs_cascades), SkimageDetector])
def test_each_detector_finds_the_face_of_a_photograph(kind):
    """The astronaut of scikit-image, whose nose is at row 130 and column 222."""
    result = crop_faces(skimage.data.astronaut(), "auto", kind())
    assert result.outcome == "cropped"
    assert bench.overlap(result.box, Box(172, 78, 100, 100)) > 0.4
    assert result.found == 1


def test_scene_is_the_same_for_the_same_seed(scenes):
    np.testing.assert_array_equal(bench.draw_scene(np.random.default_rng([9, 0])), scenes[0])
    assert not np.array_equal(*scenes)


def test_overlap_of_boxes_is_intersection_over_union():
    assert bench.overlap(Box(0, 0, 10, 10), Box(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert bench.overlap(Box(0, 0, 10, 10), Box(20, 20, 5, 5)) == 0


class CentralDetector(FakeDetector):
    """Takes the middle of every image for a face."""

    def find(self, grey, min_face_px, *, sure=False):
        height, width = grey.shape
        side = round(0.6 * min(height, width))
        return [Box((width - side) // 2, (height - side) // 2, side, side)]


def test_measuring_counts_what_a_known_detector_does(tmp_path):
    """The middle of an image is right where the image is a face, and never in an empty scene."""
    for number in range(4):
        path = tmp_path / ("a", "b")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), make_image(100 + number, 100 + number))
    table = bench.bench_faces(str(tmp_path), images=4, detectors=[CentralDetector()]).set_index("material")
    assert table["images"].tolist() == [4, 4, 4]
    assert table.loc["as given", ["found", "recall", "false_boxes", "cropped"]].tolist() == [1, 1, 0, 0]
    assert table.loc["scene alone", ["found", "false_boxes", "chosen_wrong"]].tolist() == [1, 1, 1]
    assert np.isnan(table.at["scene alone", "recall"])


@pytest.fixture
def named_images(shared_data):
    """24 real images, drawn by a seed."""
    return bench.draw_images(str(shared_data / "named_faces.zip"), 24, seed=3)


@needs_cascades
@pytest.mark.realdata
def test_real_images_of_faces_are_left_as_they_are(named_images):
    results = [crop_faces(image, "auto") for image in named_images]
    assert sum(result.outcome == "cropped" for result in results) == 0
    assert all(result.image is image for result, image in zip(results, named_images, strict=True))
    assert sum(result.found > 0 for result in results) >= 0.75 * len(results)


@needs_cascades
@pytest.mark.realdata
def test_real_faces_in_scenes_are_found_and_cut_out(named_images):
    samples = list(bench.make_samples("in a scene", named_images, seed=0))
    results = [crop_faces(sample.image, "auto") for sample in samples]
    right = [
        result.box is not None and bench.overlap(result.box, sample.face) >= bench.MIN_OVERLAP
        for result, sample in zip(results, samples, strict=True)
    ]
    assert np.mean(right) >= 0.75
    assert sum(result.box is not None and not good for result, good in zip(results, right, strict=True)) <= 2


@pytest.mark.realdata
def test_threads_cut_as_one_thread_does(named_images):
    samples = [sample.image for sample in bench.make_samples("in a scene", named_images[:8], seed=0)]
    expected = [crop_faces(image, "always").box for image in samples]
    with ThreadPoolExecutor(4) as pool:
        assert [result.box for result in pool.map(lambda image: crop_faces(image, "always"), samples)] == expected


@pytest.mark.realdata
def test_small_fer_images_are_left_as_they_are(shared_data):
    source = open_source(str(shared_data / "fer2013_original.zip"))
    for path in source.table["path"].iloc[::8000]:
        image = decode_rgb(source.read(path))
        assert crop_faces(image, "auto").image is image
