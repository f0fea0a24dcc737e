"""Converts a VGG16 that another program stored, and proves that both networks compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from emotion_utils.errors import InputError
from emotion_utils.models.input_spec import FULL_SIDE, VGGFACE, VGGFACE_MEAN_BGR
from emotion_utils.models.reference import reference_images
from emotion_utils.models.vggface import CONV_BLOCKS, FC_WIDTH, FEATURES, VggFace, conv_names

CONV_LAYERS = tuple(name for block in CONV_BLOCKS for name in conv_names(block))
FC_LAYERS = ("fc6", "fc7", "fc8")
CHECKED_LAYERS = ("conv1_1", "pool3", "pool5", *FC_LAYERS)
TOLERANCE = 1e-4  # of a layer's largest activation; float32 sums in another order differ by about 1e-6
# What the publishers feed, read from their code.
MEAN_INPUT = "{} from 0 to 255 minus the mean of VGGFace"
DEEPFACE_INPUT = (
    f"{MEAN_INPUT.format('BGR')}, which is DeepFace's normalization='VGGFace' and what the network learned from; "
    "DeepFace's default, BGR from 0 to 1 without the mean, is not used"
)
TRUNK_SIZE_PX = 64  # the check's image where there is no fc6 that asks for 224


@dataclass(frozen=True)
class SourceNetwork:
    """Arrays as they were stored, but with axes (height, width, in, out) or (in, out).

    `channel_order` is that of the image it takes, 0-255 minus VGGFace's mean; `flatten_order` ("HWC" or "CHW") that
    of the features before fc6.
    """

    kernels: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]
    channel_order: str
    flatten_order: str
    layout: str  # format and publisher, for people
    input_note: str = ""  # what its publisher feeds it, where known

    @property
    def with_top(self) -> bool:
        return any(name in self.kernels for name in FC_LAYERS)

    @property
    def layers(self) -> tuple[str, ...]:
        return (*CONV_LAYERS, *FC_LAYERS) if self.with_top else CONV_LAYERS


def check_shapes(source: SourceNetwork, path: Path) -> None:
    """Raises InputError naming the first layer that is missing, of another shape, or not finite."""
    channels = 3
    for name in source.layers:
        if name not in source.kernels or name not in source.biases:
            raise InputError(f"{path}: layer {name} is missing; found {', '.join(source.kernels)}")
        kernel, bias = source.kernels[name], source.biases[name]
        expected = _expected_shape(name, channels, outputs=kernel.shape[-1])
        if kernel.shape != expected or bias.shape != expected[-1:]:
            raise InputError(
                f"{path}: layer {name}: expected a kernel {expected} and a bias {expected[-1:]}, "
                f"found {kernel.shape} and {bias.shape}: this is another network"
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise InputError(f"{path}: layer {name} holds values that are not finite: the file is damaged")
        channels = expected[-1]


def _expected_shape(name: str, channels: int, outputs: int) -> tuple[int, ...]:
    if name.startswith("conv"):
        block, _, index = name.partition("_")
        return (3, 3, channels, CONV_BLOCKS[block][int(index) - 1])
    inputs = FEATURES * FULL_SIDE**2 if name == "fc6" else FC_WIDTH
    return (inputs, outputs if name == "fc8" else FC_WIDTH)


def to_state(source: SourceNetwork) -> dict[str, torch.Tensor]:
    """float32 tensors under the keys of `VggFace`; the network takes RGB and flattens C, H, W."""
    state = {}
    for name in source.layers:
        kernel = source.kernels[name]
        if kernel.ndim == 4:
            kernel = kernel.transpose(3, 2, 0, 1)
        elif name == "fc6" and source.flatten_order == "HWC":
            kernel = kernel.reshape(FULL_SIDE, FULL_SIDE, FEATURES, -1).transpose(3, 2, 0, 1).reshape(FC_WIDTH, -1)
        else:
            kernel = kernel.T
        if name == "conv1_1" and source.channel_order == "BGR":
            kernel = kernel[:, ::-1]
        state[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel, dtype=np.float32))
        state[f"{name}.bias"] = torch.from_numpy(np.ascontiguousarray(source.biases[name], dtype=np.float32))
    return state


# -- the proof -------------------------------------------------------------------------------------


def compare(source: SourceNetwork, state: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Largest difference of each checked layer's activations, in units of its largest activation.

    The source is computed in NumPy from its own arrays, axes, flattening and channel order; the other side is the
    project's network. Raises InputError where they differ by more than TOLERANCE.
    """
    size_px = 224 if source.with_top else TRUNK_SIZE_PX
    image = reference_images(size_px)[:1]
    expected = _reference_activations(source, image[0].permute(1, 2, 0).numpy() * 255)
    found = network_activations(state, image)
    differences = {}
    for name, activation in expected.items():
        difference = np.abs(found[name] - activation).max() / np.abs(activation).max()
        if not difference <= TOLERANCE:
            raise InputError(
                f"the converted network differs from its source at {name} by {difference:.1e} of the largest "
                f"activation; at most {TOLERANCE:.0e} is rounding"
            )
        differences[name] = float(difference)
    return differences


@torch.inference_mode()
def network_activations(state: Mapping[str, torch.Tensor], images: torch.Tensor) -> dict[str, np.ndarray]:
    """Activations of the checked layers for RGB images (1, 3, H, W) in 0-1: (H, W, C) or (outputs,), after ReLU."""
    with_top = "fc6.weight" in state
    with torch.device("meta"):
        net = VggFace(len(state["fc8.bias"]) if with_top else 2, full_head=with_top, dropout=0.0)
    net.load_state_dict(dict(state), strict=with_top, assign=True)
    net.eval()
    seen: dict[str, np.ndarray] = {}

    def keep(name: str, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        activation = output[0] if name == "fc8" else output[0].relu()
        seen[name] = (activation.permute(1, 2, 0) if activation.ndim == 3 else activation).numpy()

    for name in CHECKED_LAYERS:
        if hasattr(net, name) and (with_top or name not in FC_LAYERS):
            getattr(net, name).register_forward_hook(partial(keep, name))
    images = (images - torch.tensor(VGGFACE.mean).view(1, 3, 1, 1)) / torch.tensor(VGGFACE.std).view(1, 3, 1, 1)
    (net if with_top else net.trunk)(images)
    return seen


def _reference_activations(source: SourceNetwork, image: np.ndarray) -> dict[str, np.ndarray]:
    """The same from the source's arrays and NumPy alone; `image` is RGB (H, W, 3), 0-255."""
    bgr = source.channel_order == "BGR"
    features = image[..., ::-1] - VGGFACE_MEAN_BGR if bgr else image - VGGFACE_MEAN_BGR[::-1]
    features = features.astype(np.float32)
    seen = {}
    for block in CONV_BLOCKS:
        for name in conv_names(block):
            features = seen[name] = _convolve(features, source.kernels[name], source.biases[name])
        height, width, channels = features.shape
        features = features.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))
        seen[f"pool{block[-1]}"] = features
    if source.with_top:
        vector = (features if source.flatten_order == "HWC" else features.transpose(2, 0, 1)).reshape(-1)
        for name in FC_LAYERS:
            vector = vector @ source.kernels[name] + source.biases[name]
            vector = seen[name] = vector if name == "fc8" else np.maximum(vector, 0)
    return {name: seen[name] for name in CHECKED_LAYERS if name in seen}


def _convolve(features: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3 x 3, padded with zeros, then ReLU: (H, W, in) with (3, 3, in, out) to (H, W, out)."""
    height, width, inputs = features.shape
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)))
    result = np.tile(bias.astype(np.float32), (height * width, 1))
    for row in range(3):
        for column in range(3):
            shifted = padded[row : row + height, column : column + width].reshape(-1, inputs)
            result += shifted @ np.ascontiguousarray(kernel[row, column])
    return np.maximum(result, 0).reshape(height, width, -1)
