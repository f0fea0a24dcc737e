"""Pictures made worse: each way does what its name says, whatever batch a picture comes in."""

import numpy as np
import pytest
import torch

from emotion_utils.evaluation.degradation import COVERED, DEGRADATIONS, degrade

IDS = [f"picture {number}" for number in range(4)]


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (4, 3, 48, 48), dtype=np.uint8))


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_severer_is_farther_from_the_picture_and_company_changes_nothing(images, kind):
    before = images.clone()
    distances = []
    for amount in DEGRADATIONS[kind]:
        worse = degrade(images, IDS, kind, amount)
        assert worse.dtype == torch.uint8
        assert worse.shape == images.shape
        assert torch.equal(degrade(images[2:3], IDS[2:3], kind, amount), worse[2:3])
        distances.append(float((worse.float() - images.float()).abs().mean()))
    assert distances == sorted(distances)
    assert distances[0] > 0
    assert torch.equal(images, before)


def test_noise_has_the_spread_that_it_says_and_no_drift():
    grey = torch.full((4, 3, 48, 48), 128, dtype=torch.uint8)
    noise = degrade(grey, IDS, "noise", 0.1).float() - 128
    assert float(noise.std()) == pytest.approx(25.5, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.5)


def test_dark_pictures_have_that_share_of_the_light(images):
    assert torch.equal(degrade(images, IDS, "dark", 0.5), (images.float() * 0.5).round().to(torch.uint8))


def test_low_resolution_keeps_the_mean_and_loses_detail(images):
    worse = degrade(images, IDS, "low resolution", 8).float()
    assert float(worse.mean()) == pytest.approx(float(images.float().mean()), abs=1.5)
    assert float(worse.std()) < 0.25 * float(images.float().std())


def test_blur_keeps_an_even_picture_as_it_is():
    grey = torch.full((4, 3, 48, 48), 77, dtype=torch.uint8)
    assert torch.equal(degrade(grey, IDS, "blur", 0.04), grey)


@pytest.mark.parametrize("kind", COVERED)
def test_cover_hides_its_rectangle_and_nothing_else(images, kind):
    top, bottom, left, right = (round(48 * part) for part in COVERED[kind])
    changed = (degrade(images, IDS, kind, 1) != images).any(dim=1)
    assert changed[:, top:bottom, left:right].float().mean() > 0.9
    changed[:, top:bottom, left:right] = False
    assert not changed.any()
