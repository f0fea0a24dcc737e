"""Corruptions: each does what its name says, whatever batch an image comes in."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

from emotion_utils.counter_rng import draw_uniform, id_keys
from emotion_utils.evaluation import corruptions
from emotion_utils.evaluation.corruptions import CORRUPTIONS, OCCLUDED, corrupt, corrupt_all, draw_noise, occlude

IDS = [f"image {number}" for number in range(4)]


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (4, 3, 48, 48), dtype=np.uint8))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_severer_is_farther_from_the_image_whatever_the_batch(images, kind):
    before = images.clone()
    distances = []
    for severity in CORRUPTIONS[kind]:
        corrupted = corrupt(images, IDS, kind, severity)
        assert corrupted.dtype == torch.uint8
        assert corrupted.shape == images.shape
        assert torch.equal(corrupt(images[2:3], IDS[2:3], kind, severity), corrupted[2:3])
        distances.append(float((corrupted.float() - images.float()).abs().mean()))
    assert distances == sorted(distances)
    assert distances[0] > 0
    assert torch.equal(images, before)


def test_all_corruptions_together_are_each_by_itself_and_noise_is_drawn_once(images, monkeypatch):
    expected = {(kind, severity): corrupt(images, IDS, kind, severity) for kind in CORRUPTIONS
                for severity in CORRUPTIONS[kind]}  # fmt: skip
    drawn = []
    monkeypatch.setattr(corruptions, "draw_noise", lambda *batch: drawn.append(batch) or draw_noise(*batch))
    found = {(kind, severity): corrupted for kind, severity, corrupted in corrupt_all(images, IDS)}
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert len(drawn) == 1


@pytest.mark.parametrize("severity", CORRUPTIONS["blur"])
def test_blur_is_the_gaussian_of_scipy(severity):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 60, 70), dtype=np.uint8)
    sigma = severity * 70
    reach = int(np.ceil(3 * sigma))
    expected = images.astype(float)
    for axis in (2, 3):
        expected = ndimage.gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=reach)
    assert_rounded(corrupt(torch.from_numpy(images), IDS[:2], "blur", severity), expected)


@pytest.mark.parametrize("quality", CORRUPTIONS["JPEG"])
def test_jpeg_is_what_pillow_writes_and_reads(images, quality):
    smooth = corrupt(images, IDS, "low resolution", 4)
    corrupted = corrupt(smooth, IDS, "JPEG", quality)
    for image, found in zip(smooth.permute(0, 2, 3, 1).numpy(), corrupted.permute(0, 2, 3, 1).numpy(), strict=True):
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
        expected = np.asarray(Image.open(file), dtype=int)
        assert np.abs(found - expected).mean() < 0.5  # equal here; other builds may round otherwise


@pytest.mark.parametrize("severity", CORRUPTIONS["low resolution"])
def test_low_resolution_is_the_mean_of_areas_and_lines_between_them(severity):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 60, 72), dtype=np.uint8))
    small = functional.interpolate(images.double(), [round(60 / severity), round(72 / severity)], mode="area")
    expected = functional.interpolate(small, (60, 72), mode="bilinear", align_corners=False)
    assert_rounded(corrupt(images, IDS[:2], "low resolution", severity), expected.numpy())


@pytest.mark.parametrize("side", [20, 90])  # all numbers drawn at once, and in parts
def test_noise_is_that_of_box_and_muller_from_each_images_own_numbers(side):
    grey = torch.full((2, 3, side, side), 128, dtype=torch.uint8)
    uniform = draw_uniform(id_keys(IDS[:2]), 6 * side * side).reshape(2, 2, 3, side, side)
    expected = np.sqrt(-2 * np.log1p(-uniform[:, 0])) * np.cos(2 * np.pi * uniform[:, 1])
    np.testing.assert_allclose(draw_noise(grey, IDS[:2]).numpy(), expected, atol=1e-6)
    assert_rounded(corrupt(grey, IDS[:2], "noise", 0.1), (128 + 25.5 * expected).clip(0, 255))


def assert_rounded(found, expected):
    """uint8 are the nearest to float64 values, but where these lie in the middle between two."""
    assert np.abs(found.numpy() - expected).max() < 0.5 + 1e-3


def test_noise_has_the_spread_that_it_says_and_no_drift():
    grey = torch.full((4, 3, 48, 48), 128, dtype=torch.uint8)
    noise = corrupt(grey, IDS, "noise", 0.1).float() - 128
    assert float(noise.std()) == pytest.approx(25.5, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.5)


def test_dark_images_have_that_share_of_the_light(images):
    assert torch.equal(corrupt(images, IDS, "dark", 0.5), (images.float() * 0.5).round().to(torch.uint8))


def test_low_resolution_keeps_the_mean_and_loses_detail(images):
    corrupted = corrupt(images, IDS, "low resolution", 8).float()
    assert float(corrupted.mean()) == pytest.approx(float(images.float().mean()), abs=1.5)
    assert float(corrupted.std()) < 0.25 * float(images.float().std())


def test_blur_keeps_an_even_image_as_it_is():
    grey = torch.full((4, 3, 48, 48), 77, dtype=torch.uint8)
    assert torch.equal(corrupt(grey, IDS, "blur", 0.04), grey)


@pytest.mark.parametrize("kind", OCCLUDED)
def test_occlusion_hides_its_rectangle_and_nothing_else(images, kind):
    top, bottom, left, right = (round(48 * part) for part in OCCLUDED[kind])
    changed = (corrupt(images, IDS, kind, 1) != images).any(dim=1)
    assert changed[:, top:bottom, left:right].float().mean() > 0.9
    changed[:, top:bottom, left:right] = False
    assert not changed.any()


def test_an_occluded_rectangle_has_the_exact_mean_colour_of_its_own_image(images):
    occluded = occlude(images, slice(10, 20), slice(5, 15))
    inside = torch.zeros((48, 48), dtype=bool)
    inside[10:20, 5:15] = True
    assert torch.equal(occluded[:, :, ~inside], images[:, :, ~inside])
    for image, result in zip(images.numpy(), occluded.numpy(), strict=True):
        mean = image.reshape(3, -1).mean(axis=1).round()
        assert (result[:, inside] == mean[:, None]).all()
