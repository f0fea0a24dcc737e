from itertools import pairwise

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as reference
from PIL import Image

from emotion_utils.counter_rng import id_keys
from emotion_utils.recipe import AugmentConfig
from emotion_utils.store.augment import (
    Changes,
    _affine,
    _change_on_cpu,
    _cover,
    _recolour,
    _warp,
    apply_changes,
    augment,
    draw_changes,
    resize_images,
    to_unit,
)

NOTHING = AugmentConfig(flip=0, rotate_deg=0, scale=0, shift=0, brightness=0, contrast=0, saturation=0)
EVERYTHING = AugmentConfig(rotate_deg=30, scale=0.3, shift=0.2, brightness=0.4, contrast=0.4, saturation=0.4)


def images_of(count, size_px=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size_px, size_px), dtype=torch.uint8, generator=generator)


def ids_of(count):
    return [f"id {number}" for number in range(count)]


def changes_of(count, **values):
    plain = {
        "mirror": 1,
        "angle_deg": 0,
        "zoom": 1,
        "right": 0,
        "down": 0,
        "brightness": 1,
        "contrast": 1,
        "saturation": 1,
    }
    return Changes(**{name: np.full(count, float(value)) for name, value in (plain | values).items()})


def changed(images, **values):
    return apply_changes(images, changes_of(len(images), **values))


# -- size --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [12, 24, 48])
def test_images_are_resized_without_aliasing_each_as_if_it_were_alone(size_px):
    images = images_of(3)
    resized = resize_images(images, size_px)
    assert resized.dtype == torch.uint8
    for image, ours in zip(images, resized, strict=True):
        pil = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((size_px, size_px), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(ours.permute(1, 2, 0).numpy(), np.asarray(pil), atol=1)  # in grey levels
        assert torch.equal(resize_images(image[None], size_px)[0], ours)


def test_images_of_the_right_size_are_left_alone():
    images = images_of(2)
    assert resize_images(images, 32) is images
    assert resize_images(images, None) is images


# -- what belongs to an image ----------------------------------------------------------------------


def test_an_image_gets_the_same_alone_in_any_batch_and_in_any_order():
    images, ids = images_of(200), ids_of(200)  # several chunks
    together = augment(images, ids, config=EVERYTHING, seed=3, epoch=2)
    for place in (0, 64, 199):
        alone = augment(images[place : place + 1], ids[place : place + 1], config=EVERYTHING, seed=3, epoch=2)
        torch.testing.assert_close(alone[0], together[place], atol=1e-6, rtol=0)
    backwards = augment(images.flip(0), ids[::-1], config=EVERYTHING, seed=3, epoch=2)
    torch.testing.assert_close(backwards.flip(0), together, atol=1e-6, rtol=0)


def test_epoch_seed_and_id_each_give_other_changes():
    images = images_of(1)
    results = [
        augment(images, [name], config=EVERYTHING, seed=seed, epoch=epoch)
        for name, seed, epoch in (("a", 0, 1), ("a", 0, 2), ("a", 1, 1), ("b", 0, 1))
    ]
    for place, first in enumerate(results):
        assert all((first - other).abs().max() > 0.01 for other in results[place + 1 :])


def test_drawn_changes_fill_the_ranges_of_the_configuration():
    config = AugmentConfig(flip=0.3, rotate_deg=20, scale=0.1, shift=0.05, brightness=0.2, contrast=0.3, saturation=0.4)
    changes = draw_changes(id_keys(ids_of(4000)), config=config, seed=0, epoch=1)
    assert (changes.mirror == -1).mean() == pytest.approx(0.3, abs=0.03)
    ranges = {"angle_deg": (0, 20), "zoom": (1, 0.1), "right": (0, 0.05), "down": (0, 0.05)}
    ranges |= {"brightness": (1, 0.2), "contrast": (1, 0.3), "saturation": (1, 0.4)}
    for name, (middle, width) in ranges.items():
        values = getattr(changes, name)
        assert middle - width <= values.min() < middle - 0.99 * width
        assert middle + 0.99 * width < values.max() <= middle + width


def test_the_images_given_are_not_changed():
    images = images_of(4)
    before = images.clone()
    augment(images, ids_of(4), config=EVERYTHING, seed=0, epoch=1)
    assert torch.equal(images, before)


def test_the_result_is_float32_within_0_and_1():
    result = augment(images_of(50), ids_of(50), config=EVERYTHING, seed=0, epoch=1)
    assert result.dtype == torch.float32
    assert result.shape == (50, 3, 32, 32)
    assert 0 <= result.min() < result.max() <= 1


# -- the warp --------------------------------------------------------------------------------------


def test_nothing_configured_gives_the_unit_image_to_the_bit():
    images = images_of(5)
    assert torch.equal(augment(images, ids_of(5), config=NOTHING, seed=0, epoch=1), to_unit(images))
    assert torch.equal(to_unit(images), images.float() / 255)


@pytest.mark.parametrize("size_px", [32, 47, 224])
def test_a_mirror_image_is_a_flip(size_px):
    images = images_of(3, size_px)
    torch.testing.assert_close(changed(images, mirror=-1), to_unit(images).flip(-1), atol=1e-4, rtol=0)


def test_a_flip_alone_mirrors_some_images_and_leaves_the_others():
    images = images_of(64)
    result = augment(images, ids_of(64), config=NOTHING.model_copy(update={"flip": 0.5}), seed=0, epoch=1)
    plain = to_unit(images)
    is_plain = (result - plain).abs().amax((1, 2, 3)) < 1e-4
    is_flipped = (result - plain.flip(-1)).abs().amax((1, 2, 3)) < 1e-4
    assert torch.equal(is_plain, ~is_flipped)
    assert 16 < is_flipped.sum() < 48


@pytest.mark.parametrize("turns", [-1, 1, 2])
def test_a_rotation_by_quarter_turns_is_rot90(turns):
    images = images_of(3, 45)
    result = changed(images, angle_deg=90 * turns)
    torch.testing.assert_close(result, torch.rot90(to_unit(images), turns, (2, 3)), atol=1e-4, rtol=0)


def test_a_shift_moves_right_and_down_and_shows_the_reflection_behind():
    images = images_of(3)
    plain, result = to_unit(images), changed(images, right=4 / 32, down=2 / 32)
    torch.testing.assert_close(result[:, :, 2:, 4:], plain[:, :, :-2, :-4], atol=1e-4, rtol=0)
    torch.testing.assert_close(result[:, :, 2:, :4], plain[:, :, :-2, :4].flip(-1), atol=1e-4, rtol=0)


def smooth_images_of(count, size_px):
    """Images whose neighbouring pixels differ by a few grey levels, as those of photos do."""
    coarse = images_of(count, 8).float()
    return torch.nn.functional.interpolate(coarse, size=size_px, mode="bicubic").clamp(0, 255).to(torch.uint8)


def test_the_warp_of_the_cpu_is_that_of_other_devices_to_a_grey_level():
    images, changes = smooth_images_of(50, 64), draw_changes(id_keys(ids_of(50)), config=EVERYTHING, seed=0, epoch=1)
    ours, theirs = 255 * _change_on_cpu(images, _affine(changes), None), _warp(images, _affine(changes))
    assert (ours - theirs).abs().max() < 2
    assert (ours - theirs).abs().mean() < 0.5
    assert abs((ours - theirs).mean()) < 0.05  # rounding takes no side


def test_the_whole_warp_is_that_of_torchvision_away_from_the_border():
    images = smooth_images_of(3, 64)
    expected = reference.affine(
        to_unit(images).flip(-1),
        angle=-13,  # torchvision turns clockwise
        translate=[0.05 * 64, -0.03 * 64],
        scale=1.2,
        shear=[0.0, 0.0],
        interpolation=reference.InterpolationMode.BILINEAR,
    )
    result = changed(images, mirror=-1, angle_deg=13, zoom=1.2, right=0.05, down=-0.03)
    inner = (..., slice(10, -10), slice(10, -10))
    torch.testing.assert_close(result[inner], expected[inner], atol=1.5 / 255, rtol=0)


# -- the colours -----------------------------------------------------------------------------------


BYTE = 1 / 255  # factors of ten bits, and rounding to bytes


def recoloured(images, way, **values):
    """As the CPU does it, and as other devices do."""
    changes = changes_of(len(images), **values)
    return apply_changes(images, changes) if way == "bytes" else _recolour(images.float(), changes) / 255


@pytest.mark.parametrize(("way", "tolerance"), [("bytes", BYTE), ("floats", 2e-4)])
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_colour_factor_is_that_of_torchvision(name, factor, way, tolerance):
    images = images_of(4)
    expected = getattr(reference, f"adjust_{name}")(to_unit(images), factor)
    torch.testing.assert_close(recoloured(images, way, **{name: factor}), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(("way", "tolerance"), [("bytes", BYTE), ("floats", 2e-4)])
def test_the_factors_together_are_torchvisions_one_after_the_other_where_nothing_is_clamped(way, tolerance):
    images = 90 + images_of(4) // 4  # 90 to 153: no step leaves 0-1
    expected = reference.adjust_brightness(to_unit(images), 1.2)
    expected = reference.adjust_saturation(reference.adjust_contrast(expected, 0.8), 1.3)
    result = recoloured(images, way, brightness=1.2, contrast=0.8, saturation=1.3)
    torch.testing.assert_close(result, expected, atol=tolerance, rtol=0)


def test_each_image_of_a_batch_gets_its_own_changes():
    images = images_of(2)
    changes = changes_of(2)._replace(mirror=np.array([1.0, -1.0]), brightness=np.array([0.5, 1.0]))
    result = apply_changes(images, changes)
    torch.testing.assert_close(result[0], to_unit(images)[0] / 2, atol=BYTE, rtol=0)
    torch.testing.assert_close(result[1], to_unit(images)[1].flip(-1), atol=1e-4, rtol=0)


# -- covered parts and alternating flips -----------------------------------------------------------


def cover_alone(**values):
    return NOTHING.model_copy(update={"erase": 0.5, **values})


@pytest.mark.parametrize("way", ["bytes", "floats"])
def test_a_covered_rectangle_is_what_torchvision_erases_with_the_mean(way):
    images = images_of(3)
    box = np.array([[4, 6, 20, 9], [0, 0, 32, 32], [5, 5, 5, 5]]) / 32  # the last one has no extent
    mean = images.float().mean((2, 3), keepdim=True).round()
    expected = images.float()
    expected[0] = reference.erase(expected[0], i=6, j=4, h=3, w=16, v=mean[0])
    expected[1] = mean[1].expand(3, 32, 32)
    if way == "bytes":
        result = apply_changes(images, changes_of(3)._replace(covered=box))
    else:
        result = _cover(images.float(), box) / 255
    torch.testing.assert_close(result, expected / 255, atol=1e-6, rtol=0)


def test_what_is_covered_lies_behind_warp_and_colours_and_leaves_the_given_images_alone():
    images = images_of(2).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # as a store keeps them
    before, box = images.clone(), np.array([[0.25, 0.25, 0.75, 0.5]] * 2)
    for values in ({}, {"mirror": -1, "angle_deg": 9, "contrast": 0.5}):
        plain = changes_of(2, **values)
        bare, result = apply_changes(images, plain), apply_changes(images, plain._replace(covered=box))
        inside = torch.zeros(32, 32, dtype=torch.bool)
        inside[8:16, 8:24] = True
        assert torch.equal(result[..., ~inside], bare[..., ~inside])
        mean = bare.mean((2, 3))[..., None].expand_as(result[..., inside])
        torch.testing.assert_close(result[..., inside], mean, atol=0.51 / 255, rtol=0)
        assert torch.equal(images, before)


def test_as_many_images_are_covered_and_as_much_of_them_as_asked_and_all_else_stays_to_the_bit():
    config, keys = EVERYTHING.model_copy(update={"erase": 0.3, "erase_area": (0.05, 0.2)}), id_keys(ids_of(4000))
    changes = draw_changes(keys, config=config, seed=0, epoch=1)
    width, height = (changes.covered[:, 2:] - changes.covered[:, :2]).T
    area = (width * height)[width > 0]
    assert len(area) / 4000 == pytest.approx(0.3, abs=0.03)
    assert 0.05 - 1e-9 <= area.min() < 0.055
    assert 0.195 < area.max() <= 0.2 + 1e-9
    assert 0 <= changes.covered.min() < changes.covered.max() <= 1
    aspect = (height / width.clip(1e-9))[width > 0]
    assert 1 / 3.31 < aspect.min() < 0.35
    assert 2.9 < aspect.max() < 3.31
    assert abs(np.log(aspect).mean()) < 0.1  # as often upright as flat
    plain = draw_changes(keys, config=EVERYTHING, seed=0, epoch=1)
    assert plain.covered is None
    assert all(np.array_equal(a, b) for a, b in zip(plain[:8], changes[:8], strict=True))


def test_an_image_is_covered_alike_alone_and_in_a_batch():
    images, ids = images_of(20), ids_of(20)
    together = augment(images, ids, config=cover_alone(), seed=3, epoch=2)
    alone = augment(images[7:8], ids[7:8], config=cover_alone(), seed=3, epoch=2)
    assert torch.equal(alone[0], together[7])
    assert not torch.equal(together, to_unit(images))


def test_alternating_flips_show_the_other_side_in_every_epoch_and_begin_with_the_random_ones():
    keys = id_keys(ids_of(400))
    random, alternating = (AugmentConfig(flip_order=kind) for kind in ("random", "alternating"))
    sides = [draw_changes(keys, config=alternating, seed=1, epoch=epoch).mirror for epoch in (1, 2, 3, 4)]
    assert np.array_equal(sides[0], draw_changes(keys, config=random, seed=1, epoch=1).mirror)
    assert 150 < (sides[0] == 1).sum() < 250
    assert all(np.array_equal(one, -other) for one, other in pairwise(sides))
    by_chance = [draw_changes(keys, config=random, seed=1, epoch=epoch).mirror for epoch in (1, 2)]
    assert 150 < (by_chance[0] == by_chance[1]).sum() < 250
