"""`emotion export`: a file that answers as the model does, or no file."""

import hashlib
import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

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
from emotion_utils.synthetic.faces import render_face

CLASSES = ("angry", "happy", "sad")


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


def test_file_may_answer_with_other_views_than_the_model(model_dir, faces, tmp_path):
    output = tmp_path / "two.onnx"
    said = CliRunner().invoke(main, ["export", str(model_dir), "--views", "2", "--output", str(output)]).output
    assert "MB; 2 views of each face in place of 1; " in said
    assert json.loads(metadata_of(output)[KEY])["views"] == 2
    plain = TorchAnswers(load_model(model_dir)[0])
    mirrored = (plain.predict(faces) + plain.predict(faces[:, :, ::-1])) / 2
    np.testing.assert_allclose(OnnxNetwork(output).predict(faces), mirrored, atol=1e-5)


def test_views_that_the_design_forbids_are_refused(model_dir, tmp_path, monkeypatch):
    net, card = load_model(model_dir)
    monkeypatch.setattr(export, "load_model", lambda folder: (net, card))
    monkeypatch.setattr(net, "architecture", replace(net.architecture, mirrors=False))
    with pytest.raises(InputError, match=r"--views 2: .* takes no mirrored images: leave it out"):
        export.export_onnx(model_dir, tmp_path / "two.onnx", 2)
    assert export.load_to_export(model_dir, 1)[2] == ""


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
        ({"class_names": ["angry", "sad", "sad"]}, r"\(class_names: one is there twice\)"),
        ({"provenance": None}, r"\(provenance\)"),
        ({"provenance": {"sentence": ["x"]}}, r"\(provenance\)"),
        ({"data": ["x"]}, "architecture, model or data"),
        ({"test": {"images": -10, "accuracy": 0.5}}, r"\(test\)"),
        ({"test": {"images": 10, "accuracy": float("nan")}}, r"\(test\)"),
        ({"test": {"images": 10, "accuracy": 7.5}}, r"\(test\)"),
        ({"views": True}, "views or sha256"),
        ({"views": 10**30}, "views or sha256"),
        ({"format": True}, "is of format True"),
        ({"answers": [[10**400, 0, 0], [0, 1, 0]]}, r"metadata are damaged \(answers\)"),
        ({"input": {"size_px": 48}}, "its images"),
        ({"input": {"size_px": 32, "mean": [0, 0, 0]}}, "input"),
    ],
)
def test_file_whose_metadata_do_not_fit_is_refused(exported, tmp_path, changes, line):
    with pytest.raises(InputError, match=line):
        load_classifier(with_metadata(exported, tmp_path / "changed.onnx", **changes))


def test_sizes_of_faces_that_no_image_has_are_refused(exported, tmp_path):
    facts = json.loads(metadata_of(exported)[KEY])["input"]
    for source_px in (-1, 10**40, True):
        changed = with_metadata(exported, tmp_path / "changed.onnx", input=facts | {"source_px": source_px})
        with pytest.raises(InputError, match="source_px or is_synthetic"):
            load_classifier(changed)


def change_graph(exported, path, change):
    model = onnx.load(exported)
    change(model.graph)
    save_graph(model, json.loads({entry.key: entry.value for entry in model.metadata_props}[KEY]), path)
    return path


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda graph: graph.output[0].type.tensor_type.shape.dim[0].__setattr__("dim_value", 2), "its output"),
        (lambda graph: graph.input[0].type.tensor_type.shape.dim[0].__setattr__("dim_value", 2), "its images"),
        (lambda graph: graph.input[0].__setattr__("name", "other"), "can read|its images"),
        (lambda graph: graph.input.pop(), "can read|its images"),
    ],
)
def test_graph_that_takes_or_gives_something_else_is_refused(exported, tmp_path, change, line):
    with pytest.raises(InputError, match=line):
        load_classifier(change_graph(exported, tmp_path / "changed.onnx", change))


def test_copy_of_a_classifier_does_not_open_another_model(exported, tmp_path):
    path = tmp_path / "model.onnx"
    shutil.copy(exported, path)
    pickled = pickle.dumps(load_classifier(path))
    assert pickle.loads(pickled).classes_.tolist() == list(CLASSES)
    with_metadata(exported, path, class_names=["x", "y", "z"])
    with pytest.raises(InputError, match="holds another model than the one that was copied"):
        pickle.loads(pickled)


def test_file_whose_name_is_no_text_is_read(exported, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.onnx"))
    shutil.copy(exported, path)
    assert load_classifier(path).classes_.tolist() == list(CLASSES)


def test_face_is_cut_out_as_the_metadata_say(exported):
    """By hand, without this package."""
    import cv2
    import onnxruntime

    face = render_face("happy", 3, 5, size_px=120)
    scene = np.full((300, 400, 3), 90, np.uint8)
    scene[10:130, 5:125] = face
    (found,) = load_classifier(exported)(scene)
    assert found.search == "found"
    assert "1.2 times its longer side; beyond the image its edge is repeated" in metadata_of(exported)[KEY]
    left, top, width, height = found.box
    side = round(1.2 * max(width, height))
    left, top = left + (width - side) // 2, top + (height - side) // 2
    padded = cv2.copyMakeBorder(scene, 300, 300, 300, 300, cv2.BORDER_REPLICATE)
    cut = padded[300 + top : 300 + top + side, 300 + left : 300 + left + side]
    pixels = cv2.resize(cut, (32, 32), interpolation=cv2.INTER_AREA)
    (probs,) = onnxruntime.InferenceSession(exported).run(None, {"images": pixels[None]})[0]
    np.testing.assert_allclose(list(found.probabilities.values()), probs, atol=1e-5)


def with_card(model_dir, folder, content=b"# A card\n\n## How to load it\n"):
    shutil.copytree(model_dir, folder)
    (folder / "README.md").write_bytes(content)
    return folder


def test_card_and_its_place_are_checked_before_any_work(model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "load_model", lambda folder: pytest.fail("the work has begun"))
    model, output = with_card(model_dir, tmp_path / "model"), tmp_path / "model.onnx"
    card = tmp_path / "model.onnx.md"
    card.write_text("my own notes")
    with pytest.raises(InputError, match=r"model\.onnx\.md: the model's card would replace it; name another file"):
        export.export_onnx(model, output)
    assert card.read_text() == "my own notes"
    card.unlink()
    card.mkdir()
    with pytest.raises(InputError, match=r"model\.onnx\.md: is a folder"):
        export.export_onnx(model, output)
    card.rmdir()
    with pytest.raises(InputError, match=r"README\.md: is no text in UTF-8 \(invalid start byte at byte 4\)"):
        export.export_onnx(with_card(model_dir, tmp_path / "other", b"text\xff"), output)
    assert not output.exists()


def test_card_of_an_earlier_export_is_replaced(model_dir, tmp_path):
    model, output = with_card(model_dir, tmp_path / "model"), tmp_path / "model.onnx"
    for _ in range(2):
        export.export_onnx(model, output)
    assert (tmp_path / "model.onnx.md").read_text().count("## The exported file") == 1


@pytest.mark.parametrize("name", ["file/model.onnx", "a" * 260 + ".onnx"])
def test_output_that_no_folder_takes_gets_one_line(model_dir, tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be written \((Not a directory|File name too long)\)"):
        export.export_onnx(model_dir, tmp_path / name)


def test_the_longest_name_is_written(model_dir, tmp_path):
    output = tmp_path / ("a" * 250 + ".onnx")
    export.export_onnx(model_dir, output)
    assert output.exists()


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
