"""The network for small devices keeps to its size."""

import torch

from emotion_utils.models.tiny import build_tiny


def test_it_has_at_most_320_thousand_parameters_and_keeps_6_by_6_of_48_pixels():
    network = build_tiny(7, dropout=0.0)
    assert sum(parameter.numel() for parameter in network.parameters()) <= 320_000
    with torch.inference_mode():
        assert network[:4].eval()(torch.zeros(1, 3, 48, 48)).shape[2:] == (6, 6)
