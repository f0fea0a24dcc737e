"""The converted network answers as its source; a wrong turn of any kind does not get through."""

import numpy as np
import pytest
import torch

from emotion_utils.errors import InputError
from emotion_utils.models.weights.conversion import CHECKED_LAYERS, TOLERANCE, compare, to_state


def test_trunk_answers_as_its_source(trunk_arrays, make_source):
    source = make_source(trunk_arrays)
    differences = compare(source, to_state(source))
    assert list(differences) == ["conv1_1", "pool3", "pool5"]
    assert max(differences.values()) < TOLERANCE / 10


def test_permuted_input_channel_is_noticed(trunk_arrays, make_source):
    source = make_source(trunk_arrays)
    state = to_state(source)
    state["conv1_1.weight"] = state["conv1_1.weight"][:, [1, 0, 2]]
    with pytest.raises(InputError, match="differs from its source at conv1_1"):
        compare(source, state)


def test_rgb_taken_for_bgr_is_noticed(trunk_arrays, make_source):
    state = to_state(make_source(trunk_arrays, channel_order="RGB"))
    with pytest.raises(InputError, match="conv1_1"):
        compare(make_source(trunk_arrays, channel_order="BGR"), state)


def test_mirrored_kernel_is_noticed(trunk_arrays, make_source):
    source = make_source(trunk_arrays)
    state = to_state(source)
    state["conv3_2.weight"] = state["conv3_2.weight"].flip(3)
    with pytest.raises(InputError, match="pool3"):
        compare(source, state)


def test_lost_bias_is_noticed(trunk_arrays, make_source):
    source = make_source(trunk_arrays)
    state = to_state(source)
    state["conv5_3.bias"] = torch.zeros_like(state["conv5_3.bias"])
    with pytest.raises(InputError, match="pool5"):
        compare(source, state)


def test_only_conv1_1_is_turned_from_bgr(trunk_arrays, make_source):
    bgr, rgb = (to_state(make_source(trunk_arrays, channel_order=order)) for order in ("BGR", "RGB"))
    assert torch.equal(bgr["conv1_1.weight"].flip(1), rgb["conv1_1.weight"])
    assert all(torch.equal(bgr[key], rgb[key]) for key in bgr if key != "conv1_1.weight")


@pytest.mark.slow
def test_full_network_answers_as_its_source_and_a_wrong_flatten_order_does_not(full_arrays, make_source):
    source = make_source(full_arrays)
    state = to_state(source)
    differences = compare(source, state)
    assert tuple(differences) == CHECKED_LAYERS
    assert max(differences.values()) < TOLERANCE / 10
    state["fc6.weight"] = torch.from_numpy(full_arrays["fc6"][0].T)
    with pytest.raises(InputError, match="differs from its source at fc6"):
        compare(source, state)


def test_conv1_1_by_hand(trunk_arrays, make_source):
    """One output pixel, summed in float64 from the definition: BGR, 0-255 minus the mean, padded with zeros."""
    from emotion_utils.models.weights.conversion import network_activations

    kernel, bias = trunk_arrays["conv1_1"]
    image = np.random.default_rng(5).random((32, 32, 3))
    bgr = image[..., ::-1] * 255 - np.array([93.5940, 104.7624, 129.1863])
    expected = np.maximum((bgr[9:12, 19:22, :, None] * kernel).sum((0, 1, 2)) + bias, 0)
    images = torch.from_numpy(image).permute(2, 0, 1)[None].to(torch.float32)
    found = network_activations(to_state(make_source(trunk_arrays)), images)["conv1_1"][10, 20]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
