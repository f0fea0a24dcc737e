"""What is measured of an image besides the face, against images that were made to have it."""

import math

import cv2
import numpy as np
import pytest
from face_files import encode, make_image
from PIL import Image

from emotion_utils.audit import properties
from emotion_utils.audit.face_detectors import Box
from emotion_utils.audit.faces import CropResult
from emotion_utils.sources.decode import decode_rgb


@pytest.mark.parametrize("quality", [25, 30, 49, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("grey", [False, True])
def test_jpeg_quality_is_the_one_it_was_saved_with(quality, grey):
    image = make_image(3, 64)
    data = encode(image[:, :, 0] if grey else image, "JPEG", quality=quality)
    assert abs(properties.measure_jpeg_quality(data) - quality) <= 1
    other = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    assert abs(properties.measure_jpeg_quality(other) - quality) <= 1


def test_jpeg_quality_is_read_behind_other_marks_and_unknown_elsewhere():
    image = Image.fromarray(make_image(1, 64))
    exif = Image.Exif()
    exif[270] = "x" * 5000
    assert properties.measure_jpeg_quality(encode(image, "JPEG", quality=60, exif=exif)) == 60
    assert properties.measure_jpeg_quality(encode(image, "JPEG", quality=60, progressive=True)) == 60
    jpeg = encode(image, "JPEG", quality=60)
    for data in (
        encode(image),
        b"",
        b"\xff\xd8",
        jpeg[:3],
        jpeg[:40],
        b"\xff\xd8" + b"\xff" * 50,
        jpeg[:2] + jpeg[40:],
    ):
        assert math.isnan(properties.measure_jpeg_quality(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_format_is_told_by_content(kind):
    assert properties.name_format(encode(make_image(0), kind)) == kind
    assert properties.name_format(b"something else") == ""


def test_colour_is_what_is_seen_not_how_it_is_stored():
    image = make_image(2, 90)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    stored = np.repeat(grey[:, :, None], 3, axis=2)
    assert properties.is_colour(image)
    assert not properties.is_colour(stored)
    assert not properties.is_colour(decode_rgb(encode(stored, "JPEG", quality=30)))
    faded = np.clip(0.85 * stored + 0.15 * image, 0, 255).astype(np.uint8)
    assert properties.is_colour(faded)


def test_border_is_its_share_of_the_area_also_after_jpeg():
    inside = make_image(4, 80)
    framed = cv2.copyMakeBorder(inside, 10, 10, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    grey = cv2.cvtColor(framed, cv2.COLOR_RGB2GRAY)
    assert properties.measure_border(grey) == pytest.approx(0.2)
    assert properties.measure_border(cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY)) == 0
    saved = cv2.cvtColor(decode_rgb(encode(framed, "JPEG", quality=90)), cv2.COLOR_RGB2GRAY)
    assert properties.measure_border(saved) == pytest.approx(0.2, abs=0.05)
    one_side = cv2.copyMakeBorder(inside, 0, 0, 0, 80, cv2.BORDER_CONSTANT)
    assert properties.measure_border(cv2.cvtColor(one_side, cv2.COLOR_RGB2GRAY)) == pytest.approx(0.5)
    assert properties.measure_border(np.zeros((20, 20), np.uint8)) == 1


def test_numbers_of_an_image_are_those_worked_out_by_numpy():
    rgb = make_image(5, 60)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) / 255
    face = CropResult(rgb, "whole", (Box(-6, 0, 36, 30),))
    (kind, colour), (quality, brightness, contrast, border, share) = properties.measure_image(encode(rgb), rgb, face)
    assert (kind, colour, border) == ("PNG", "colour", 0)
    assert math.isnan(quality)
    assert brightness == pytest.approx(grey.mean())
    assert contrast == pytest.approx(grey.std())
    assert share == pytest.approx(0.3)
    for view, expected in ((CropResult(rgb, "missed"), 0), (CropResult(rgb, "whole"), math.nan)):
        assert properties.measure_image(b"", rgb, view)[1][-1] == pytest.approx(expected, nan_ok=True)
