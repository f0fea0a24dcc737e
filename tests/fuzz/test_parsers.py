"""Whatever is in a file: it is read, or refused in one line. Nothing else ever comes out of a parser.

EMOTION_FUZZ_INPUTS=100000 pytest tests/fuzz tries that many inputs for each.
"""

import io
import json

import fake_run
import h5py
import numpy as np
import pytest
from changed_files import changed, many
from face_files import encode, faces, picture, write_tar, write_zip
from hypothesis import given
from hypothesis import strategies as st

from emotion_utils.config import resolve_config
from emotion_utils.data.archives import open_archive
from emotion_utils.data.decode import ImageFault, decode_rgb
from emotion_utils.data.fer_csv import FerCsv
from emotion_utils.data.label_csv import read_label_csv
from emotion_utils.errors import EmotionError
from emotion_utils.evaluation.printed_tables import read_results
from emotion_utils.evaluation.published import read_published
from emotion_utils.evaluation.published_audit import audit_results
from emotion_utils.models.conversion import CONV_LAYERS
from emotion_utils.models.keras_weights import read_keras
from emotion_utils.run import Run

MODEL = "r18_pre_emotion"


def assert_one_line(error):
    assert str(error)
    assert len(str(error).splitlines()) == 1


def read_or_refuse(read, *arguments):
    """What `read` returns, or None where it refuses with its one line."""
    try:
        return read(*arguments)
    except EmotionError as error:
        assert_one_line(error)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


# -- data ------------------------------------------------------------------------------------------

ROW = " ".join(str(value % 256) for value in range(16))
FER = f"emotion,pixels,Usage\n0,{ROW},Training\n3,{ROW},PublicTest\n6,{ROW},PrivateTest\n".encode()
LABELS = b"path,label,group,split\nhappy/0.png,happy,Ann,train\nhappy/1.png,sad,Bob,test\nsad/0.png,sad,,\n"


@many
@given(changed(FER))
def test_fer2013_csv(scratch, content):
    path = scratch / "fer2013.csv"
    path.write_bytes(content)
    table = read_or_refuse(FerCsv, "fer2013.csv", path.open("rb"))
    for path in table.table["path"] if table else ():
        try:
            assert isinstance(table.read(path), bytes)
        except ImageFault as fault:
            assert_one_line(fault)


@many
@given(changed(LABELS), st.booleans())
def test_relabelling_csv(content, lenient):
    beside = ["happy/0.png", "happy/1.png", "sad/0.png"]
    found = read_or_refuse(lambda: read_label_csv("labels.csv", content, beside, lenient=lenient))
    if found:
        assert found[0]["path"].is_unique


PICTURES = [encode(picture(1), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]


@many
@given(st.sampled_from(PICTURES).flatmap(changed))
def test_pictures(content):
    try:
        rgb = decode_rgb(content)
    except ImageFault as fault:
        assert_one_line(fault)
    else:
        assert rgb.dtype == np.uint8
        assert rgb.shape[2] == 3


@pytest.fixture(scope="module")
def archives(scratch):
    files = faces("happy", "sad")
    return [path.read_bytes() for path in (write_zip(scratch / "a.zip", files), write_tar(scratch / "a.tar", files))]


@many
@given(st.data())
def test_archives(scratch, archives, data):
    path = scratch / "changed"
    path.write_bytes(data.draw(st.sampled_from(archives).flatmap(changed)))
    tree = read_or_refuse(open_archive, path)
    for name in tree.names if tree else ():
        try:
            tree.read(name)
        except ImageFault as fault:
            assert_one_line(fault)


# -- runs and settings -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(scratch):
    return fake_run.make_run(scratch / "run", skills={MODEL: 0.7}, images=12, epochs=2, broken=1)


@pytest.mark.parametrize(
    "name", ["data/manifest.csv", f"models/{MODEL}/history.csv", f"models/{MODEL}/predictions.csv"]
)
def test_tables_of_a_run(run, name):
    path = run.root / name
    original = path.read_bytes()
    readers = {"manifest.csv": Run.read_manifest}
    readers |= {"history.csv": lambda run: run.read_history(MODEL)}
    readers |= {"predictions.csv": lambda run: run.read_predictions(MODEL)}

    @many
    @given(changed(original))
    def check(content):
        path.write_bytes(content)
        read_or_refuse(readers[path.name], run)

    try:
        check()
    finally:
        path.write_bytes(original)


SETTINGS = [
    b"epochs=3", b"recipes.VGG16_emotion.lr=1e-3", b"augment.flip=0.5", b"classes=[happy, sad]", b"group='(P_\\d+)'",
    b"recipes.r18_pre_emotion.phases=[{epoch: 1, train_from: stem}]", b"recipes.r18_scratch_emotion.grow=[]",
]  # fmt: skip


@many
@given(st.sampled_from(SETTINGS).flatmap(changed), st.sampled_from(["smoke", "demo", "paper"]))
def test_settings(setting, profile):
    read_or_refuse(resolve_config, profile, [setting.decode("utf-8", "replace")])


# -- weights and published tables ------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights():
    """A Keras file with the names of VGGFace's convolutions; kernels of one value, so that most bytes are structure."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name in CONV_LAYERS:
            file[f"{name}/{name}/kernel:0"] = np.zeros((3, 3, 1, 1), np.float32)
            file[f"{name}/{name}/bias:0"] = np.zeros(1, np.float32)
    return buffer.getvalue()


@many
@given(st.data())
def test_keras_weights(scratch, weights, data):
    path = scratch / "weights.h5"
    path.write_bytes(data.draw(changed(weights)))
    read_or_refuse(read_keras, path)


@many
@given(changed(json.dumps(read_published()).encode()))
def test_published_tables(scratch, content):
    path = scratch / "published.json"
    path.write_bytes(content)
    results = read_or_refuse(read_results, path)
    if results:
        read_or_refuse(audit_results, results)
