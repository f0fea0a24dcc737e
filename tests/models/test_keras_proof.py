"""The proof: real Keras builds VGGFace, writes it in its own layouts, and both networks answer alike.

Keras runs in a process of its own, because TensorFlow and PyTorch each bring an LLVM and cannot always share one.
It needs tensorflow-cpu, either beside this project or in the Python that EMOTION_KERAS_PYTHON names.
"""

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from emotion_utils.errors import InputError
from emotion_utils.models.reference import reference_images
from emotion_utils.models.weights.conversion import CHECKED_LAYERS, TOLERANCE, network_activations
from emotion_utils.models.weights.load import convert_weights, load_weights

SIZES_PX = {"full": 224, "trunk": 64}
FULL_FILES = ("full.weights.h5", "full_whole.h5")
TRUNK_FILES = (
    "trunk_whole.h5",
    "trunk_root.h5",
    "trunk.weights.h5",
    "trunk_in_a_model.weights.h5",
    "trunk_in_two_models.h5",
    "trunk_in_two_models.weights.h5",
    "trunk_unnamed.h5",
    "trunk_unnamed.weights.h5",
)


def keras_python():
    named = os.environ.get("EMOTION_KERAS_PYTHON")
    return named or (sys.executable if importlib.util.find_spec("tensorflow") else None)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        keras_python() is None, reason="no tensorflow here and EMOTION_KERAS_PYTHON names no Python that has it"
    ),
]


@pytest.fixture(scope="module")
def keras_folder(tmp_path_factory):
    """Files and activations of a real Keras; 1.6 GB, removed at the end."""
    folder = tmp_path_factory.mktemp("keras")
    np.savez(folder / "images.npz", **{kind: image(kind)[0].permute(1, 2, 0).numpy() * 255 for kind in SIZES_PX})
    script = Path(__file__).with_name("keras_reference.py")
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([keras_python(), str(script), str(folder)], env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    yield folder
    load_state.cache_clear()
    shutil.rmtree(folder)


@functools.lru_cache(maxsize=1)  # reading the full network takes seconds, and two tests in a row want the same one
def load_state(path):
    return load_weights(path).state


def image(kind):
    """The second built-in image (1, 3, H, W): the converter's own check uses the first."""
    return reference_images(SIZES_PX[kind])[1:]


def largest_differences(keras_folder, state, kind):
    """Per layer, in units of Keras' largest activation."""
    with np.load(keras_folder / "activations.npz") as answers:
        expected = {name.partition("/")[2]: answers[name] for name in answers.files if name.startswith(kind)}
    found = network_activations(state, image(kind))
    assert set(found) == set(expected)
    return {name: np.abs(found[name] - expected[name]).max() / np.abs(expected[name]).max() for name in expected}


@pytest.mark.parametrize("file_name", [*TRUNK_FILES, *FULL_FILES])
def test_network_answers_as_keras_whatever_the_layout(keras_folder, file_name, record_property):
    kind = file_name.partition("_")[0].partition(".")[0]
    differences = largest_differences(keras_folder, load_state(keras_folder / file_name), kind)
    for layer, difference in differences.items():
        record_property(layer, f"{difference:.1e}")  # shown by --junitxml=FILE
    assert set(differences) == set(CHECKED_LAYERS if kind == "full" else CHECKED_LAYERS[:3])
    assert max(differences.values()) < TOLERANCE, differences


def test_wrong_flatten_order_differs_from_keras_at_fc6(keras_folder):
    state = load_state(keras_folder / "full_whole.h5")
    as_if_chw = state["fc6.weight"].reshape(4096, 512, 49).transpose(1, 2).reshape(4096, -1)
    differences = largest_differences(keras_folder, {**state, "fc6.weight": as_if_chw}, "full")
    assert differences["pool5"] < TOLERANCE
    assert differences["fc6"] > 0.01


def test_permuted_channel_differs_from_keras_at_conv1_1(keras_folder):
    state = load_state(keras_folder / "trunk_whole.h5")
    swapped = {**state, "conv1_1.weight": state["conv1_1.weight"].flip(1)}
    assert largest_differences(keras_folder, swapped, "trunk")["conv1_1"] > 0.01


def test_layer_missing_from_a_file_of_keras_is_named(keras_folder, tmp_path):
    path = tmp_path / "weights.h5"
    shutil.copy(keras_folder / "trunk_whole.h5", path)
    with h5py.File(path, "a") as file:
        del file["model_weights/conv4_2"]
    with pytest.raises(InputError, match="layer conv4_2 is missing"):
        load_weights(path)


def test_converted_file_holds_the_same_network_and_its_report_says_so(keras_folder, tmp_path):
    report = convert_weights(keras_folder / "trunk_whole.h5", tmp_path / "vggface.safetensors")
    before, after = (load_weights(p) for p in (keras_folder / "trunk_whole.h5", tmp_path / "vggface.safetensors"))
    assert all(torch.equal(before.state[key], after.state[key]) for key in before.state)
    assert report == json.loads((tmp_path / "vggface.json").read_text())
    assert max(report["largest_relative_difference"].values()) < TOLERANCE
