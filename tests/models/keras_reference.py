"""Run by a Python that has TensorFlow: real Keras builds a random VGGFace, writes it and says what it answers.

python keras_reference.py FOLDER    writes the files below into FOLDER and activations.npz, keys "<network>/<layer>"
"""

import sys
from pathlib import Path

import h5py
import keras
import numpy as np
from keras import layers
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
CHECKED = ("conv1_1", "pool3", "pool5", "fc6", "fc7", "fc8")
MEAN_BGR = np.array([93.5940, 104.7624, 129.1863], np.float32)


def vggface(size_px, with_top, named=True, seed=0):
    """keras-vggface's network; biases are random too, so that a lost or swapped one shows."""
    keras.utils.set_random_seed(seed)
    settings = {"kernel_initializer": "he_normal", "bias_initializer": keras.initializers.RandomNormal(stddev=0.5)}
    image = keras.Input((size_px, size_px, 3))
    x = image
    for block, widths in enumerate(BLOCKS, start=1):
        for index, width in enumerate(widths, start=1):
            name = f"conv{block}_{index}" if named else None
            x = layers.Conv2D(width, 3, padding="same", activation="relu", name=name, **settings)(x)
        x = layers.MaxPooling2D(2, 2, name=f"pool{block}" if named else None)(x)
    if with_top:
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(4096, activation="relu", name="fc6", **settings)(x)
        x = layers.Dense(4096, activation="relu", name="fc7", **settings)(x)
        x = layers.Dense(2622, name="fc8", **settings)(x)
        x = layers.Activation("softmax", name="fc8_softmax")(x)
    return keras.Model(image, x, name="vggface_vgg16")


def activations(model, image_rgb):
    """Of the checked layers, for one RGB image (H, W, 3) in 0-255, which Keras is given as BGR minus the mean."""
    names = [name for name in CHECKED if name in {layer.name for layer in model.layers}]
    probe = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    outputs = probe((image_rgb[..., ::-1] - MEAN_BGR)[None], training=False)
    return {name: np.asarray(output)[0] for name, output in zip(names, outputs, strict=True)}


def write_all(folder):
    images = np.load(folder / "images.npz")
    full, trunk = vggface(224, True), vggface(64, False)
    full.save(folder / "full_whole.h5")
    full.save_weights(folder / "full.weights.h5")
    trunk.save(folder / "trunk_whole.h5")
    trunk.save_weights(folder / "trunk.weights.h5")
    with h5py.File(folder / "trunk_root.h5", "w") as file:
        save_weights_to_hdf5_group(file, trunk)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(3)]
    once = keras.Sequential([keras.Input((64, 64, 3)), trunk, *head], name="once")
    once.save_weights(folder / "trunk_in_a_model.weights.h5")
    bare_once = keras.Sequential([keras.Input((64, 64, 3)), trunk], name="bare")
    twice = keras.Sequential([keras.Input((64, 64, 3)), bare_once], name="twice")
    twice.save(folder / "trunk_in_two_models.h5")
    twice.save_weights(folder / "trunk_in_two_models.weights.h5")
    keras.backend.clear_session()
    unnamed = vggface(64, False, named=False)
    unnamed.save(folder / "trunk_unnamed.h5")
    unnamed.save_weights(folder / "trunk_unnamed.weights.h5")
    found = {f"full/{name}": value for name, value in activations(full, images["full"]).items()}
    found |= {f"trunk/{name}": value for name, value in activations(trunk, images["trunk"]).items()}
    np.savez(folder / "activations.npz", **found)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
