"""VGGFace with random weights, made with NumPy alone, and small helpers around files of weights."""

import numpy as np
import pytest

from emotion_utils.models.weights.conversion import CONV_LAYERS, FC_LAYERS, SourceNetwork

WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


def random_layer(rng, shape):
    """Kernel by He's rule and a bias, float32; the bias is random so that a lost one shows."""
    scale = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    return rng.standard_normal(shape, np.float32) * scale, rng.standard_normal(shape[-1], np.float32) * np.float32(0.5)


@pytest.fixture(scope="session")
def trunk_arrays():
    """{layer: (kernel (3, 3, in, out), bias)} of the 13 convolutions."""
    rng = np.random.default_rng(1)
    inputs = (3, *WIDTHS[:-1])
    return {name: random_layer(rng, (3, 3, i, o)) for name, i, o in zip(CONV_LAYERS, inputs, WIDTHS, strict=True)}


@pytest.fixture(scope="session")
def full_arrays(trunk_arrays):
    """The same with fc6, fc7 and fc8 (in, out), 11 people: 500 MB."""
    rng = np.random.default_rng(2)
    shapes = ((7 * 7 * 512, 4096), (4096, 4096), (4096, 11))
    top = {name: random_layer(rng, shape) for name, shape in zip(FC_LAYERS, shapes, strict=True)}
    return {**trunk_arrays, **top}


@pytest.fixture
def make_source():
    """A SourceNetwork of such arrays, read as Keras would have stored them."""

    def make(arrays, channel_order="BGR", flatten_order="HWC"):
        kernels = {name: kernel for name, (kernel, _) in arrays.items()}
        biases = {name: bias for name, (_, bias) in arrays.items()}
        return SourceNetwork(kernels, biases, channel_order, flatten_order, "test")

    return make
