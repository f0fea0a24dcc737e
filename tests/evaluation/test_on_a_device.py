"""Networks run on the device that is picked, with their inputs, and say there what they say on the CPU."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pretend_device import DEVICE, pretended_device

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.splits import assign_splits
from emotion_utils.config import resolve_config
from emotion_utils.deploy import torch_network
from emotion_utils.deploy.predict_files import predict_files
from emotion_utils.evaluation import explain, predict, robustness
from emotion_utils.evaluation.corruptions import corrupt_all
from emotion_utils.evaluation.regions import RegionBox
from emotion_utils.models import card
from emotion_utils.models.network import EmotionNet
from emotion_utils.models.zoo import build_model, load_model, save_model
from emotion_utils.report import explorer
from emotion_utils.run import Run
from emotion_utils.sources.source import source_of
from emotion_utils.store.batches import open_split, restore_images
from emotion_utils.synthetic.faces import render_face

# The pretended device bears the name of one that cannot hold values; torch warns of that.
pytestmark = pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")

PROJECT = Path(__file__).parents[2]
MODEL = "r18_scratch_emotion"
REGIONS = {"left": RegionBox(0, 0, 0.5, 1), "mouth": RegionBox(0.25, 0.6, 0.75, 0.9)}
EXPORTERS = ("export.py", "quantise.py")  # what they write computes on the CPU, and is compared there
LOADERS = [
    *sorted((PROJECT / "emotion_utils" / "evaluation").glob("*.py")),
    *sorted((PROJECT / "emotion_utils" / "report").glob("*.py")),
    *sorted(path for path in (PROJECT / "emotion_utils" / "deploy").glob("*.py") if path.name not in EXPORTERS),
    *sorted((PROJECT / "notebooks").glob("*.ipynb")),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on synthetic faces whose only model knows nothing, and is sure of it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("EMOTION_CACHE_DIR", str(tmp_path_factory.mktemp("device-cache")))
    config = resolve_config("smoke", synthetic_images=60, models=(MODEL,))
    run = Run.create(tmp_path_factory.mktemp("device") / "run", config)
    manifest, audit = audit_images(source_of(config))
    manifest["group"] = ""
    manifest = assign_splits(manifest, val_fraction=0.2, test_fraction=0.2, seed=0, min_images_per_class=3)
    run.write("manifest", manifest)
    run.write("audit", audit)
    net = build_model(MODEL, num_classes=3, image_size_px=config.image_size_px, weights="random", seed=1)
    with torch.no_grad():
        net.network.fc[1].weight.mul_(30)
    save_model(net, run.model_dir(MODEL), run.class_names())
    yield run
    patch.undo()


@pytest.fixture
def devices(monkeypatch):
    """The device of each pass through a network, but for those by which a loaded one is checked."""
    seen, forward, answer = [], EmotionNet.forward, card.reference_logits

    def spy(net, images):
        seen.append((next(net.parameters()).device.type, images.device.type))
        return forward(net, images)

    def check(net):
        before = len(seen)
        answers = answer(net)
        assert {place for pair in seen[before:] for place in pair} == {"cpu"}
        del seen[before:]
        return answers

    monkeypatch.setattr(EmotionNet, "forward", spy)
    monkeypatch.setattr(card, "reference_logits", check)
    return seen


@pytest.fixture
def on_both(monkeypatch, devices, run):
    """on_both(work) -> what it gives with the CPU picked, and with a pretended device picked, where all must run."""

    def both(work):
        results = []
        for device in (torch.device("cpu"), DEVICE):
            for module in (predict, robustness, torch_network, explorer):
                monkeypatch.setattr(module, "pick_device", lambda device=device: device)
            devices.clear()
            for made in ("predictions.csv", "robustness.csv"):  # or they would be read
                (run.model_dir(MODEL) / made).unlink(missing_ok=True)
            if device == DEVICE:
                with pretended_device():
                    results.append(work(device))
            else:
                results.append(work(device))
            assert set(devices) == {(device.type, device.type)}
        return results

    return both


def assert_same(one, other):
    """Rounding apart, which batches of another size do otherwise."""
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-4, atol=1e-5)


def nets_on(run, device):
    return {MODEL: load_model(run.model_dir(MODEL), device)[0]}


def test_a_run_is_predicted_there(run, on_both):
    one, other = on_both(lambda device: predict.predict_splits(run, MODEL))
    assert one["predicted"].nunique() > 1
    assert_same(one, other)


def test_robustness_is_measured_there(run, on_both):
    one, other = on_both(lambda device: robustness.measure_robustness(run, MODEL))
    assert len(one) == 3 * 18
    assert_same(one, other)


def test_faces_in_files_are_judged_there_in_full_batches(run, on_both, monkeypatch, tmp_path):
    sizes, probs_of = [], torch_network.predict_probs
    monkeypatch.setattr(
        torch_network, "predict_probs", lambda net, images: sizes.append(len(images)) or probs_of(net, images)
    )
    for number in range(9):
        Image.fromarray(render_face("happy", number, number, 48)).save(tmp_path / f"{number}.png")
    one, other = on_both(lambda device: predict_files(run.model_dir(MODEL), [tmp_path]))
    assert sizes == [8, 8, 64]
    assert len(one) == 9
    assert_same(one, other)


@pytest.mark.parametrize(
    "work",
    [
        lambda nets, test, chosen: explain.measure_saliency(nets, test, chosen, REGIONS),
        lambda nets, test, chosen: explain.predict_occluded(nets, test, chosen, REGIONS),
        pytest.param(
            lambda nets, test, chosen: explain.compare_randomised(nets, test, chosen, seed=3), marks=pytest.mark.slow
        ),
    ],
    ids=["saliency", "occlusion", "randomised"],
)
def test_what_a_network_looks_at_is_asked_there(run, on_both, work):
    restore_images(run)
    test = open_split(run, "test")
    assert_same(*on_both(lambda device: work(nets_on(run, device), test, np.arange(len(test)))))


def test_faces_are_explained_there(run, on_both):
    restore_images(run)
    faces = open_split(run, "test").batch(np.arange(3)).images.permute(0, 2, 3, 1).numpy()
    one, other = on_both(lambda device: explain.explain_faces(nets_on(run, device), faces)[MODEL])
    assert one.max() == 1
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_photograph_is_shown_to_networks_there(run, on_both, monkeypatch, tmp_path):
    """The explorer's own networks, and what it does with a photograph."""
    path = tmp_path / "face.png"
    Image.fromarray(render_face("happy", 1, 1, 80)).save(path)
    titles, said = {MODEL: "a model"}, []
    plot = explorer.plot_examples
    monkeypatch.setattr(explorer, "plot_examples", lambda faces, table, *rest: said.append(table[MODEL])
                        or plot(faces, table, *rest))  # fmt: skip
    shown = object.__new__(explorer.Explorer)  # its controls need the results of a whole run
    shown.run, shown.results = run, type("Results", (), {"models": [MODEL]})

    def show(device):
        vars(shown).pop("nets", None)
        return explorer.show_photograph(path.read_bytes(), shown.nets, run.class_names(), titles)

    on_both(show)
    assert_same(*said)


def test_random_weights_are_the_same_wherever_the_network_is(run):
    drawn = []
    for device in (torch.device("cpu"), DEVICE):
        with pretended_device():
            net = nets_on(run, device)[MODEL]
            explain.randomise(list(net.modules()), seed=5)
            assert {value.device.type for value in net.state_dict().values()} == {device.type}
            drawn.append({name: value.detach().cpu() for name, value in net.state_dict().items()})
    torch.testing.assert_close(*drawn, atol=0, rtol=0)


def test_images_are_corrupted_on_their_device_and_the_same_everywhere():
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 40, 48), dtype=np.uint8))
    expected = [corrupted for _, _, corrupted in corrupt_all(images, list("abc"))]
    with pretended_device():
        found = [corrupted for _, _, corrupted in corrupt_all(images.to(DEVICE), list("abc"))]
        assert {corrupted.device for corrupted in found} == {DEVICE}
        found = [corrupted.cpu() for corrupted in found]
    torch.testing.assert_close(found, expected, atol=0, rtol=0)


def test_a_pretended_device_keeps_its_tensors_apart():
    images = torch.ones(2, 2)
    with pretended_device():
        there = images.to(DEVICE)
        with pytest.raises(RuntimeError, match="two devices"):
            there + images
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        with pytest.raises(TypeError, match="float64"):
            there.double()
        assert (there * 2 + torch.tensor(1.0)).cpu().tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize("path", LOADERS, ids=lambda path: path.name)
def test_every_network_that_is_loaded_to_be_run_goes_to_the_picked_device(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    loads = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "load_model"]
    assert [ast.unparse(call.args[1]) for call in loads] == ["pick_device()"] * len(loads)
