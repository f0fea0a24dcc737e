"""Files as Keras 1, 2 and 3 laid them out, written here with h5py; those of a real Keras: test_keras_proof.py."""

import zipfile

import h5py
import numpy as np
import pytest
import torch

from emotion_utils.errors import InputError
from emotion_utils.models.weights.conversion import CONV_LAYERS
from emotion_utils.models.weights.keras import read_keras
from emotion_utils.models.weights.load import load_weights

LAYOUTS = {
    "keras 1": "{layer}/{layer}_W",
    "keras 1 on tensorflow": "{layer}/{layer}_W_1:0",
    "keras 2 weights": "{layer}/{layer}/kernel:0",
    "keras 2 whole model": "model_weights/{layer}/{layer}/kernel:0",
    "keras 2, second model of a session": "{layer}/{layer}_1/kernel:0",
    "keras 2 in another model": "model_weights/vggface_vgg16/{layer}/kernel:0",
    "keras 3 whole model": "model_weights/{layer}/{layer}/kernel",
    "keras 3 sequential": "model_weights/{layer}/sequential/{layer}/kernel",
    "keras 2, unnamed layers": "conv2d_{number}/conv2d_{number}/kernel:0",
    "keras 1, unnamed layers": "convolution2d_{number}/convolution2d_{number}_W:0",
    "keras 3 before names were kept": "layers/conv2d_{number}/vars/0",
    "keras 2.13 .weights.h5": "_layer_checkpoint_dependencies/conv2d_{number}/vars/0",
}
BIAS_NAMES = {"kernel": "bias", "_W": "_b", "vars/0": "vars/1"}


def write_layout(path, arrays, pattern):
    """Each layer's kernel under `pattern`, its bias beside it."""
    bias_pattern = pattern
    for kernel_name, bias_name in BIAS_NAMES.items():
        bias_pattern = bias_pattern.replace(kernel_name, bias_name)
    with h5py.File(path, "w") as file:
        for number, (layer, (kernel, bias)) in enumerate(arrays.items(), start=1):
            file[pattern.format(layer=layer, number=number)] = kernel
            file[bias_pattern.format(layer=layer, number=number)] = bias
    return path


@pytest.fixture
def changed_file(tmp_path, trunk_arrays):
    """A file of the trunk with some layers replaced, or dropped where the replacement is None."""

    def write(**changes):
        arrays = {name: changes.get(name, pair) for name, pair in trunk_arrays.items()}
        kept = {name: pair for name, pair in arrays.items() if pair is not None}
        return write_layout(tmp_path / "weights.h5", kept, LAYOUTS["keras 2 weights"])

    return write


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_arrays(tmp_path, trunk_arrays, layout):
    source = read_keras(write_layout(tmp_path / "weights.h5", trunk_arrays, LAYOUTS[layout]))
    assert source.layers == CONV_LAYERS
    assert source.channel_order == "BGR"
    for name, (kernel, bias) in trunk_arrays.items():
        np.testing.assert_array_equal(source.kernels[name], kernel)
        np.testing.assert_array_equal(source.biases[name], bias)


def test_first_automatic_layer_without_a_number_comes_first(tmp_path, trunk_arrays):
    path = write_layout(tmp_path / "weights.h5", trunk_arrays, "layers/conv2d_{number}/vars/0")
    with h5py.File(path, "a") as file:
        file.move("layers/conv2d_1", "layers/conv2d")
    np.testing.assert_array_equal(read_keras(path).kernels["conv1_1"], trunk_arrays["conv1_1"][0])


def test_optimizer_state_is_not_taken_for_weights(changed_file, trunk_arrays):
    path = changed_file()
    with h5py.File(path, "a") as file:
        file["optimizer_weights/Adam/conv1_1/kernel/m:0"] = trunk_arrays["conv1_1"][0] * 0
    np.testing.assert_array_equal(read_keras(path).kernels["conv1_1"], trunk_arrays["conv1_1"][0])


def test_fc_layers_written_as_convolutions_are_read_as_matrices_flattened_hwc(tmp_path, trunk_arrays):
    path = write_layout(tmp_path / "weights.h5", trunk_arrays, LAYOUTS["keras 2 weights"])
    shapes = {"fc6": (7, 7, 512, 4096), "fc7": (1, 1, 4096, 4096), "fc8": (1, 1, 4096, 11)}
    with h5py.File(path, "a") as file:  # zeros that take no room, but for one value
        for name, shape in shapes.items():
            file.create_dataset(f"{name}/{name}/kernel:0", shape, "f4", chunks=(1, 1, 512, shape[-1]))
            file[f"{name}/{name}/bias:0"] = np.zeros(shape[-1], np.float32)
        file["fc6/fc6/kernel:0"][2, 3, 17, 5] = 1
    kernels = read_keras(path).kernels
    assert {name: kernels[name].shape for name in shapes} == {
        "fc6": (25088, 4096), "fc7": (4096, 4096), "fc8": (4096, 11)
    }  # fmt: skip
    assert np.argwhere(kernels["fc6"]).tolist() == [[(2 * 7 + 3) * 512 + 17, 5]]


def test_missing_layer_is_named(changed_file):
    with pytest.raises(InputError, match="conv4_2 is missing"):
        read_keras(changed_file(conv4_2=None))


def test_fc7_without_fc6_is_a_missing_layer(tmp_path, trunk_arrays):
    arrays = {**trunk_arrays, "fc7": (np.zeros((4096, 4096), np.float32), np.zeros(4096, np.float32))}
    with pytest.raises(InputError, match="fc6 is missing"):
        read_keras(write_layout(tmp_path / "weights.h5", arrays, LAYOUTS["keras 2 weights"]))


def test_layer_of_another_shape_is_named_with_both_shapes(changed_file):
    theano = (np.zeros((64, 3, 3, 3), np.float32), np.zeros(64, np.float32))
    with pytest.raises(InputError, match=r"conv1_1: expected a kernel \(3, 3, 3, 64\).*found \(64, 3, 3, 3\)"):
        read_keras(changed_file(conv1_1=theano))


def test_kernel_without_bias_is_refused(changed_file):
    path = changed_file()
    with h5py.File(path, "a") as file:
        del file["conv2_1/conv2_1/bias:0"]
    with pytest.raises(InputError, match="conv2_1: expected one kernel and one bias"):
        read_keras(path)


def test_values_that_are_not_finite_are_refused(changed_file, trunk_arrays):
    kernel, bias = trunk_arrays["conv3_1"]
    with pytest.raises(InputError, match="conv3_1 holds values that are not finite"):
        read_keras(changed_file(conv3_1=(kernel, bias * np.nan)))


def test_huge_array_is_refused_before_it_is_read(changed_file):
    path = changed_file(conv1_2=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("conv1_2/conv1_2/kernel:0", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(1024, 1024))
        file["conv1_2/conv1_2/bias:0"] = np.zeros(64, np.float32)
    with pytest.raises(InputError, match="conv1_2"):
        read_keras(path)


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 24,)])
def test_huge_bias_is_refused_before_it_is_read(changed_file, shape):
    path = changed_file()
    with h5py.File(path, "a") as file:
        del file["conv1_2/conv1_2/bias:0"]
        file.create_dataset("conv1_2/conv1_2/bias:0", shape=shape, dtype="f4", chunks=(1024,))
    with pytest.raises(InputError, match="conv1_2: expected one kernel and one bias"):
        read_keras(path)


def _external_storage(file, name, other):
    other.with_suffix(".raw").write_bytes(bytes(256))
    file.create_dataset(name, (64,), "f4", external=[(str(other.with_suffix(".raw")), 0, 256)])


def _virtual(file, name, other):
    layout = h5py.VirtualLayout((64,), "f4")
    layout[:] = h5py.VirtualSource(str(other), "values", (64,))
    file.create_virtual_dataset(name, layout)


def _external_link(file, name, other):
    file[name] = h5py.ExternalLink(str(other), "values")


@pytest.mark.parametrize("write", [_external_storage, _virtual, _external_link])
def test_no_other_file_is_read(changed_file, tmp_path, write):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["values"] = np.zeros(64, np.float32)
    path = changed_file()
    with h5py.File(path, "a") as file:
        del file["conv1_2/conv1_2/bias:0"]
        write(file, "conv1_2/conv1_2/bias:0", tmp_path / "other.h5")
    with pytest.raises(InputError, match=r"lies in another file|expected one kernel and one bias"):
        read_keras(path)


def test_group_of_another_file_is_not_read(tmp_path, trunk_arrays):
    write_layout(tmp_path / "other.h5", trunk_arrays, LAYOUTS["keras 2 whole model"])
    for link in (h5py.ExternalLink(str(tmp_path / "other.h5"), "model_weights"), h5py.SoftLink("/elsewhere")):
        with h5py.File(tmp_path / "weights.h5", "w") as file:
            file["model_weights"] = link
        with pytest.raises(InputError, match="model_weights in it is a link"):
            read_keras(tmp_path / "weights.h5")


def test_values_that_are_no_floats_are_refused(changed_file):
    path = changed_file()
    with h5py.File(path, "a") as file:
        del file["conv1_2/conv1_2/bias:0"]
        file["conv1_2/conv1_2/bias:0"] = np.array([b"text"] * 64)
    with pytest.raises(InputError, match="holds no floats"):
        read_keras(path)


def test_imagenet_vgg16_of_keras_is_another_network(tmp_path, trunk_arrays):
    path = write_layout(tmp_path / "weights.h5", trunk_arrays, "block_{number}/block_{number}/kernel:0")
    with pytest.raises(InputError, match="expected the layers of VGGFace"):
        read_keras(path)


def test_file_without_weights_is_refused(tmp_path):
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(InputError, match="no weights at all"):
        read_keras(tmp_path / "empty.h5")


def test_name_that_is_no_text_is_refused(tmp_path):
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file[b"conv1_1/\x80ernel:0"] = np.zeros((3, 3, 3, 64), np.float32)
    with pytest.raises(InputError, match=r"a damaged HDF5 file \(the name b'conv1_1/.x80ernel:0' in it is not text"):
        read_keras(tmp_path / "odd.h5")


def test_truncated_file_is_refused(changed_file):
    path = changed_file()
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(InputError, match="a damaged HDF5 file"):
        read_keras(path)


def test_weights_inside_a_keras_file_are_read(tmp_path, trunk_arrays):
    write_layout(tmp_path / "model.weights.h5", trunk_arrays, "layers/conv2d_{number}/vars/0")
    with zipfile.ZipFile(tmp_path / "vggface.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    loaded = load_weights(tmp_path / "vggface.keras")
    plain = load_weights(tmp_path / "model.weights.h5")
    assert loaded.state.keys() == plain.state.keys()
    assert all(torch.equal(loaded.state[key], plain.state[key]) for key in plain.state)


def test_keras_file_whose_weights_are_damaged_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "vggface.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"\x89HDF\r\n\x1a\nand then nothing")
    with pytest.raises(InputError, match="a damaged HDF5 file"):
        load_weights(tmp_path / "vggface.keras")


@pytest.mark.fault(
    "Keras weights of VGGFace by another publisher, fed otherwise",
    "R",
    "told apart; what each is fed is recorded",
    group="weights",
)
@pytest.mark.slow
def test_two_publishers_are_told_apart_and_what_each_feeds_is_recorded(tmp_path, full_arrays, trunk_arrays):
    """DeepFace writes fc6 to fc8 as convolutions of layers without names; keras-vggface names matrices."""
    shapes = {"fc6": (7, 7, 512, 4096), "fc7": (1, 1, 4096, 4096), "fc8": (1, 1, 4096, 11)}
    deepface = {
        name: (kernel.reshape(shapes.get(name, kernel.shape)), bias) for name, (kernel, bias) in full_arrays.items()
    }
    source = read_keras(write_layout(tmp_path / "vgg_face_weights.h5", deepface, LAYOUTS["keras 2, unnamed layers"]))
    assert source.layout == "Keras, DeepFace"
    assert source.input_note.startswith("BGR from 0 to 255 minus the mean")
    assert "default" in source.input_note
    np.testing.assert_array_equal(source.kernels["fc6"], full_arrays["fc6"][0])
    other = read_keras(write_layout(tmp_path / "notop.h5", trunk_arrays, LAYOUTS["keras 2 weights"]))
    assert (other.layout, other.input_note) == ("Keras, keras-vggface", "BGR from 0 to 255 minus the mean of VGGFace")
