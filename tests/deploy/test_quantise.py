"""INT8: kept where it answers nearly the same, is hardly less accurate and quicker; else refused with its figures."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from emotion_utils.cli import main
from emotion_utils.deploy import quantise as quantise_module
from emotion_utils.deploy.export import answers_of, save_graph
from emotion_utils.deploy.export_images import Images
from emotion_utils.deploy.graph import make_graph
from emotion_utils.deploy.onnx_file import OnnxNetwork
from emotion_utils.deploy.quantise import Judged, judge, quantise, write_int8
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.models.input_spec import IMAGENET
from emotion_utils.models.zoo import build_model
from emotion_utils.store.resize import KERNEL

CARD = {
    "class_names": ["angry", "happy", "sad"], "design": {"architecture": "small"}, "provenance": {}, "sha256": "0",
    "input": {**IMAGENET.at(16).as_dict(), "resize_kernel": KERNEL},
}  # fmt: skip


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A small network of residual blocks, as a float32 file."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)
            self.fc = nn.Linear(8, 3)

        def forward(self, images):
            seen = self.conv1(images).relu()
            seen = (seen + self.conv2(seen)).relu()
            return 8 * self.fc(seen.mean((2, 3)))

    net = build_model("r18_scratch_emotion", num_classes=3, image_size_px=16, weights="random", seed=1)
    torch.manual_seed(10)
    net.network, net.input_spec = Small(), replace(net.input_spec, colour="grey")
    path = tmp_path_factory.mktemp("plain") / "float32.onnx"
    facts = quantise_module.describe(CARD, 1, np.zeros((2, 3)), "float32")
    model = make_graph(net.eval())
    facts["answers"] = quantise_module.InMemory(model).predict(quantise_module.reference_pixels(16)).tolist()
    save_graph(model, facts, path)
    return path


@pytest.fixture(scope="module")
def images():
    """images(count, seed) -> noise of different brightness."""

    def make(count, seed=0):
        rng = np.random.default_rng(seed)
        noise = rng.integers(0, 256, (count, 16, 16, 3)) * rng.random((count, 1, 1, 3))
        return Images.of_pixels("images", noise.astype(np.uint8))

    return make


@pytest.fixture(scope="module")
def quantised(plain, images):
    return quantise(plain, images(260), images(100, 1))


def test_products_are_of_whole_numbers_that_no_processor_overflows(quantised):
    model, method = quantised
    assert method in quantise_module.METHODS
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    whole = [values for values in weights.values() if values.dtype == np.int8 and values.ndim > 1]
    assert len(whole) == 3
    assert max(int(np.abs(values).max()) for values in whole) <= 64
    made_by = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            assert [made_by[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
        if node.op_type in ("Div", "Sub", "Softmax"):
            assert "DequantizeLinear" not in [made_by[name].op_type for name in node.input if name in made_by][1:]


def test_its_answers_and_figures_are_those_of_the_two_files(plain, quantised, images, tmp_path):
    model, _ = quantised
    test = images(300, 2)
    write_int8(model, CARD, 1, tmp_path / "int8.onnx")
    network = OnnxNetwork(tmp_path / "int8.onnx")
    expected, found = answers_of(OnnxNetwork(plain), test), answers_of(network, test)
    labels = expected.argmax(axis=1)
    assert len(set(labels)) > 1
    judged = judge(plain, model, Images.of_pixels("images", test.read(np.arange(300)), labels))
    assert judged.same == (found.argmax(axis=1) == labels).mean() > 0.9
    assert judged.loss == pytest.approx(1 - judged.same)
    assert "of 300 test images, too few to claim 98%" in str(judged)
    assert network.facts != OnnxNetwork(plain).facts


def test_turn_to_grey_stays_before_the_first_whole_number(quantised):
    network = quantise_module.InMemory(quantised[0])
    colours, greys = [[1, 255, 44], [43, 255, 197], [8, 240, 252]], [[155] * 3, [185] * 3, [172] * 3]  # no fractions
    given, expected = (np.tile(np.uint8(each)[:, None, None], (1, 16, 16, 1)) for each in (colours, greys))
    np.testing.assert_allclose(network.predict(given), network.predict(expected), rtol=0, atol=0.02)


def test_too_few_training_faces_are_refused(plain, images):
    with pytest.raises(InputError, match="256 training images or more, not on 255"):
        quantise(plain, images(255), images(10))


@pytest.mark.parametrize(
    ("same", "loss", "ms", "is_worth_it"),
    [(0.98, 0.005, 1.0, True), (0.979, 0, 1.0, False), (1, 0.0051, 1.0, False), (1, 0, 2.0, False)],
)
def test_it_is_kept_only_where_all_three_hold(same, loss, ms, is_worth_it):
    assert Judged(1200, same, 0.7, loss, ms, 2.0).is_worth_it == is_worth_it


def test_what_is_not_worth_it_is_refused_with_its_figures(monkeypatch, tmp_path, model_dir, plain, images):
    monkeypatch.setattr(quantise_module, "open_splits", lambda *_: [images(260), images(20), images(20)])
    monkeypatch.setattr(quantise_module, "write_graph", lambda *_: None)
    monkeypatch.setattr(quantise_module, "hold_against", lambda *_: None)
    monkeypatch.setattr(quantise_module, "quantise", lambda *_: (None, "Entropy"))
    monkeypatch.setattr(quantise_module, "judge", lambda *_: Judged(1200, 0.9, 0.7, 0.02, 3.0, 2.0))
    with pytest.raises(
        EmotionError, match=r"\(Entropy\): the same answer as float32 on 90.00% of 1,200 .* -2.00 points"
    ):
        quantise_module.export_int8(model_dir, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_its_run_is_refused(model_dir, tmp_path):
    result = CliRunner().invoke(main, ["export", str(model_dir), "--int8", "--output", str(tmp_path / "model.onnx")])
    assert result.exit_code == 2
    assert "lies in no run, whose training images INT8 is calibrated on" in result.stderr
