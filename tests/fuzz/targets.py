"""What reads bytes or text that somebody else wrote: each with valid inputs to start from.

Whatever is in a file, it is read, or refused in one line; nothing else ever comes out. A target is a function of a
scratch folder; it returns seeds, and what tries one input and raises where the promise is broken.
"""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_run
import h5py
import numpy as np
import torch
from face_files import encode, faces, make_image, write_tar, write_zip

from emotion_utils.config import resolve_config
from emotion_utils.errors import EmotionError
from emotion_utils.models.weights.conversion import CONV_LAYERS
from emotion_utils.models.weights.load import load_weights
from emotion_utils.published.audit import audit_results
from emotion_utils.published.study import read_published
from emotion_utils.published.tables import read_printed_results
from emotion_utils.run import Run
from emotion_utils.sources.archives import open_archive
from emotion_utils.sources.decode import ImageFault, decode_rgb
from emotion_utils.sources.fer_csv import FerCsv
from emotion_utils.sources.label_csv import read_label_csv

MODEL = "r18_pre_emotion"

Seeds = list[bytes]
Try = Callable[[bytes], None]


def read_or_refuse(read: Callable[..., Any], *arguments: Any) -> Any:
    """What `read` returns, or None where it refuses with its one line."""
    try:
        return read(*arguments)
    except (EmotionError, ImageFault) as error:
        message = str(error)
    assert len(message.splitlines()) == 1
    return None


# -- data ------------------------------------------------------------------------------------------

ROW = " ".join(str(value % 256) for value in range(16))
FER = f"emotion,pixels,Usage\n0,{ROW},Training\n3,{ROW},PublicTest\n6,{ROW},PrivateTest\n".encode()
LABELS = b"path,label,group,split\nhappy/0.png,happy,Ann,train\nhappy/1.png,sad,Bob,test\nsad/0.png,sad,,\n"


def fer2013_csv(folder: Path) -> tuple[Seeds, Try]:
    path = folder / "fer2013.csv"

    def attempt(content):
        path.write_bytes(content)
        with path.open("rb") as file:
            table = read_or_refuse(FerCsv, path.name, file)
            for name in table.table["path"] if table else ():
                assert isinstance(read_or_refuse(table.read, name), bytes | None)

    return [FER], attempt


def relabelling_csv(folder: Path) -> tuple[Seeds, Try]:
    beside = ["happy/0.png", "happy/1.png", "sad/0.png"]

    def attempt(content):
        for lenient in (False, True):
            found = read_or_refuse(lambda: read_label_csv("labels.csv", content, beside, lenient=lenient))  # noqa: B023
            assert not found or found[0]["path"].is_unique

    return [LABELS], attempt


def image_files(folder: Path) -> tuple[Seeds, Try]:
    def attempt(content):
        rgb = read_or_refuse(decode_rgb, content)
        assert rgb is None or (rgb.dtype == np.uint8 and rgb.shape[2] == 3)

    return [encode(make_image(1), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")], attempt


def archives(folder: Path) -> tuple[Seeds, Try]:
    path, files = folder / "changed", faces("happy", "sad")

    def attempt(content):
        path.write_bytes(content)
        tree = read_or_refuse(open_archive, path)
        for name in tree.names if tree else ():
            read_or_refuse(tree.read, name)

    written = (write_zip(folder / "a.zip", files), write_tar(folder / "a.tar", files))
    return [archive.read_bytes() for archive in written], attempt


# -- runs and settings -----------------------------------------------------------------------------


def manifest(folder: Path) -> tuple[Seeds, Try]:
    return _table_of_a_run(folder, "data/manifest.csv", lambda run: run.read("manifest"))


def history(folder: Path) -> tuple[Seeds, Try]:
    return _table_of_a_run(folder, f"models/{MODEL}/history.csv", lambda run: run.read("history", MODEL))


def predictions(folder: Path) -> tuple[Seeds, Try]:
    return _table_of_a_run(folder, f"models/{MODEL}/predictions.csv", lambda run: run.read("predictions", MODEL))


def _table_of_a_run(folder: Path, name: str, read: Callable[[Run], Any]) -> tuple[Seeds, Try]:
    run = fake_run.make_run(folder / "run", skills={MODEL: 0.7}, images=12, epochs=2, broken=1)
    path = run.root / name

    def attempt(content):
        path.write_bytes(content)
        read_or_refuse(read, run)

    return [path.read_bytes()], attempt


SETTINGS = [
    b"epochs=3", b"recipes.VGG16_emotion.lr=1e-3", b"augment.flip=0.5", b"classes=[happy, sad]", b"group='(P_\\d+)'",
    b"recipes.r18_pre_emotion.phases=[{epoch: 1, train_from: stem}]", b"recipes.r18_scratch_emotion.grow=[]",
]  # fmt: skip


def settings(folder: Path) -> tuple[Seeds, Try]:
    def attempt(content):
        for profile in ("smoke", "demo", "paper"):
            read_or_refuse(resolve_config, profile, [content.decode("utf-8", "replace")])

    return SETTINGS, attempt


# -- weights and published tables ------------------------------------------------------------------


def keras_weights(folder: Path) -> tuple[Seeds, Try]:
    """A file with the names of VGGFace's convolutions; kernels of one value, so that most bytes are structure."""
    path, buffer = folder / "weights.h5", io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in CONV_LAYERS:
            file[f"{name}/{name}/kernel:0"] = np.zeros((3, 3, 1, 1), np.float32)
            file[f"{name}/{name}/bias:0"] = np.zeros(1, np.float32)

    def attempt(content):
        path.write_bytes(content)
        read_or_refuse(load_weights, path)

    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("model.weights.h5", buffer.getvalue())
    return [buffer.getvalue(), zipped.getvalue()], attempt


def pytorch_weights(folder: Path) -> tuple[Seeds, Try]:
    """Checkpoints with the names of a ResNet18 and a number beside them, as PyTorch wrote and writes them."""
    path, seeds = folder / "weights.pth", []
    names = ("conv1.weight", "layer1.0.conv1.weight", "layer2.1.conv2.weight")
    checkpoint = {"state_dict": {f"module.{name}": torch.zeros(1) for name in names}, "best": np.float64(1)}
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer, _use_new_zipfile_serialization=zipped)
        seeds.append(buffer.getvalue())

    def attempt(content):
        path.write_bytes(content)
        read_or_refuse(load_weights, path)

    return seeds, attempt


def published_tables(folder: Path) -> tuple[Seeds, Try]:
    path = folder / "published.json"

    def attempt(content):
        path.write_bytes(content)
        if results := read_or_refuse(read_printed_results, path):
            read_or_refuse(audit_results, results)

    return [json.dumps(read_published()).encode()], attempt


TARGETS = (
    fer2013_csv, relabelling_csv, image_files, archives, manifest, history, predictions, settings, keras_weights,
    pytorch_weights,
    published_tables,
)  # fmt: skip
