"""`emotion export`: a file that answers as the model does, or no file."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from emotion_utils import load_classifier
from emotion_utils.cli import main
from emotion_utils.deploy import export, graph
from emotion_utils.deploy.classifier import SMALL_MODEL
from emotion_utils.deploy.compare import compare
from emotion_utils.deploy.export import TorchAnswers, save_graph, write_graph
from emotion_utils.deploy.onnx_file import FORMAT, KEY, OnnxNetwork
from emotion_utils.errors import InputError
from emotion_utils.models.card import load_model
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.store.resize import KERNEL


@pytest.fixture(scope="module")
def faces():
    """uint8 (9, 32, 32, 3) in colour."""
    return np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)


def test_file_answers_as_the_model_in_any_company(exported, model_dir, faces):
    net, _ = load_model(model_dir)
    network = OnnxNetwork(exported)
    found = network.predict(faces)
    np.testing.assert_allclose(found, TorchAnswers(net).predict(faces), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found[4:5], network.predict(faces[4:5]))
    assert network.predict(faces[:0]).shape == (0, 3)


def test_file_says_what_it_takes_and_where_it_comes_from(exported, model_dir):
    model = onnx.load(exported)
    facts = json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY])
    card = json.loads((model_dir / "model.json").read_text())
    assert facts["format"] == FORMAT
    for name in ("class_names", "input", "provenance", "sha256"):
        assert facts[name] == card[name]
    assert {entry.version for entry in model.opset_import if not entry.domain} == {18}
    assert str(graph.__file__).encode() not in exported.read_bytes()
    (images,) = model.graph.input
    assert images.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [dim.dim_value for dim in images.type.tensor_type.shape.dim] == [0, 32, 32, 3]


def write_narrow(narrow, path):
    card = {"class_names": list("abc"), "input": {}, "provenance": {}, "sha256": "", "design": {"architecture": "x"}}
    card["input"] = {**narrow.input_spec.as_dict(), "resize_kernel": KERNEL}
    return write_graph(narrow, card, path)


@pytest.mark.parametrize(("colour", "views"), [("both", 2), ("grey", 10)])
def test_turn_to_grey_and_views_are_inside(narrow, faces, tmp_path, colour, views):
    narrow.input_spec, narrow.views = replace(IMAGENET.at(32), colour=colour), views
    network = write_narrow(narrow, tmp_path / "narrow.onnx")
    expected = TorchAnswers(narrow).predict(faces)
    np.testing.assert_allclose(network.predict(faces), expected, rtol=0, atol=1e-5)
    narrow.views, narrow.input_spec = 1, replace(narrow.input_spec, colour="both")
    assert np.abs(TorchAnswers(narrow).predict(faces) - expected).max() > 1e-3


def test_nothing_is_written_where_the_exporter_errs(model_dir, tmp_path, monkeypatch):
    class Wrong(graph.Answers):
        def forward(self, images):
            return super().forward(images.flip(3))  # BGR

    monkeypatch.setattr(graph, "Answers", Wrong)
    monkeypatch.setattr(OnnxNetwork, "_check_answers", lambda *_: None)
    result = CliRunner().invoke(main, ["export", str(model_dir), "--output", str(tmp_path / "wrong.onnx")])
    assert result.exit_code == 1
    assert "would not answer as the model does: of 66 synthetic and reference images" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_tie_may_fall_either_way_and_nothing_else():
    expected = np.array([[0.50005, 0.49995], [0.9, 0.1]])
    assert compare(expected, np.array([[0.49999, 0.50001], [0.9, 0.1]])).is_exact
    assert not compare(expected, np.array([[0.50005, 0.49995], [0.8998, 0.1002]])).is_exact
    assert not compare(expected, np.array([[0.50005, 0.49995], [np.nan, 0.1]])).is_exact


def test_exported_file_is_a_classifier_like_its_folder(exported, model_dir, faces):
    found, expected = load_classifier(exported)(faces), load_classifier(model_dir)(faces)
    assert [face.label for face in found] == [face.label for face in expected]
    result = CliRunner().invoke(main, ["predict", str(exported), str(model_dir / "model.json")])
    assert "is no image" in result.stderr or "the file cannot be used" in result.stderr


def with_metadata(exported, path, **changes):
    model = onnx.load(exported)
    facts = json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY]) | changes
    save_graph(model, facts, path)
    return path


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"format": 99}, "is of format 99, this version reads 1; export the model again"),
        ({"class_names": ["angry"]}, r"metadata are damaged \(class_names\)"),
        ({"answers": [[1, 0, 0], [0, 1, 0]]}, "its answers for the reference images are not those"),
        ({"crop": "often"}, "crop or numbers"),
        ({"numbers": ["int8"]}, "crop or numbers"),
        ({"class_names": ["angry", "path", "sad"]}, "a class is called 'path'"),
        ({"provenance": None}, "provenance or architecture"),
        ({"answers": [[10**400, 0, 0], [0, 1, 0]]}, r"metadata are damaged \(answers\)"),
        ({"input": {"size_px": 48}}, "its images"),
        ({"input": {"size_px": 32, "mean": [0, 0, 0]}}, "input"),
    ],
)
def test_file_whose_metadata_do_not_fit_is_refused(exported, tmp_path, changes, line):
    with pytest.raises(InputError, match=line):
        load_classifier(with_metadata(exported, tmp_path / "changed.onnx", **changes))


def metadata_of(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_metadata_hold_the_checksum_of_all_that_stands_before_it(exported):
    content, stored = exported.read_bytes(), metadata_of(exported)["emotion_utils_sha256"]
    assert content.endswith(stored.encode())
    sizes = [size for size in range(70, 130) if hashlib.sha256(content[:-size]).hexdigest() == stored]
    assert len(sizes) == 1


@pytest.mark.fault(
    "a byte of an exported file is another", "E", "refused in one line, wherever it stands", group="predictions"
)
@pytest.mark.parametrize("which", ["the one that comes along", "one of a few kilobytes"])
def test_a_file_with_a_changed_byte_is_refused(narrow, tmp_path, which):
    path, changed = tmp_path / "whole.onnx", tmp_path / "changed.onnx"
    if which == "one of a few kilobytes":
        write_narrow(narrow, path)
    else:
        path.write_bytes(SMALL_MODEL.read_bytes())
    load_classifier(path)
    content = path.read_bytes()
    rng = np.random.default_rng(5)
    places = rng.integers(0, len(content), 300).tolist()
    if which == "one of a few kilobytes":
        places += range(len(content) - 130, len(content))  # the checksum itself, and what says that there is one
    for place in places:
        other = bytearray(content)
        other[place] ^= int(rng.integers(1, 256))
        changed.write_bytes(other)
        with pytest.raises(InputError, match=r"^[^\n]*changed\.onnx: [^\n]*$"):
            load_classifier(changed)
    for shorter in (content[:-1], content[: len(content) // 2], content[: content.rindex(b"emotion_utils_sha256") - 4]):
        changed.write_bytes(shorter)
        with pytest.raises(InputError, match=r"changed\.onnx: "):
            load_classifier(changed)
    changed.write_bytes(content + b"\0")
    with pytest.raises(InputError, match=r"changed\.onnx: "):
        load_classifier(changed)


def test_file_that_may_not_be_read_is_named(exported, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); check its permissions"):
        load_classifier(exported)


def test_files_of_before_checksums_still_load(exported, tmp_path, faces):
    model = onnx.load(exported)
    facts = json.loads(metadata_of(exported)[KEY])
    del facts["sealed"], model.metadata_props[:]
    onnx.helper.set_model_props(model, {KEY: json.dumps(facts)})
    earlier = tmp_path / "earlier.onnx"
    earlier.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(OnnxNetwork(earlier).predict(faces), OnnxNetwork(exported).predict(faces))


def test_file_that_is_not_ours_is_refused(exported, tmp_path, monkeypatch):
    model = onnx.load(exported)
    del model.metadata_props[:]
    (tmp_path / "other.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="none that `emotion export` wrote"):
        load_classifier(tmp_path / "other.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="no ONNX file that onnxruntime can read"):
        load_classifier(tmp_path / "text.onnx")
    with pytest.raises(InputError, match="there is no such file"):
        load_classifier(tmp_path / "missing.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match="needs onnxruntime: pip install onnxruntime"):
        load_classifier(exported)


def test_output_and_packages_are_checked_before_any_work(model_dir, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export.export_onnx(model_dir, tmp_path / "model.bin")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"an export needs onnx: pip install"):
        export.export_onnx(model_dir, tmp_path / "model.onnx")


def test_a_network_that_cannot_be_written_down_gets_one_line(narrow, monkeypatch):
    monkeypatch.setattr(narrow.network, "forward", lambda images: images.nowhere)
    with pytest.raises(InputError, match=r"cannot be written as ONNX \(.*nowhere"):
        graph.make_graph(narrow)
