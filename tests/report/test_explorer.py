"""The explorer, driven as a person would: its controls are set, and what it shows is looked at."""

import io
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from fake_run import make_history
from PIL import Image

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.splits import assign_splits
from emotion_utils.config import resolve_config
from emotion_utils.evaluation.predict import predict_splits
from emotion_utils.models.zoo import build_model, save_model
from emotion_utils.report.explorer import Explorer, explore, select
from emotion_utils.run import Run
from emotion_utils.sources.source import source_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on drawn faces whose only model knows nothing."""
    patch = pytest.MonkeyPatch()
    patch.setenv("EMOTION_CACHE_DIR", str(tmp_path_factory.mktemp("explorer-cache")))
    config = resolve_config("smoke", synthetic_images=60, models=("r18_scratch_emotion",))
    run = Run.create(tmp_path_factory.mktemp("explorer") / "run", config)
    manifest, audit = audit_images(source_of(config))
    manifest["group"] = ""
    manifest = assign_splits(manifest, val_fraction=0.2, test_fraction=0.2, seed=0, min_images_per_class=3)
    run.write("manifest", manifest)
    unread = {  # by the explorer
        "groups": {"persons": 0, "line": ""},
        "leaks": {"choice": "set_aside", "line": "", "as_given": None, "at_random": None, "as_used": []},
        "splits": {"brought": [], "seed": 0, "line": ""},
        "suspects": {"judged": 0, "doubted": 0, "listed": []},
    }
    run.write("audit", audit | unread)
    model = config.models[0]
    net = build_model(model, num_classes=3, image_size_px=32, weights="random")
    save_model(net, run.model_dir(model), run.class_names())
    predict_splits(run, model)
    run.write("history", make_history(np.random.default_rng(0), run, model, 2), model)
    yield run
    patch.undo()


@pytest.fixture(scope="module")
def explorer(run):
    return Explorer(run)


def drop(explorer, data):
    """As if a file were dropped on the explorer."""
    file = {"name": "me.png", "type": "image/png", "size": len(data), "content": memoryview(data)}
    explorer.upload.value = ({**file, "last_modified": datetime(2026, 1, 1, tzinfo=UTC)},)


def image(data):
    return Image.open(io.BytesIO(data))


def test_selection_is_the_one_counted_by_hand():
    table = pd.DataFrame({
        "id": ["a", "b", "c", "d"], "split": "test", "label": ["x", "x", "y", "y"], "predicted": ["x", "y", "y", "y"],
        "x": [0.9, 0.3, 0.2, 0.2], "y": [0.1, 0.7, 0.8, 0.8],
    })  # fmt: skip
    assert select(table) == ["a", "c", "d", "b"]
    assert select(table, label="x") == ["a", "b"]
    assert select(table, verdict="wrong") == ["b"]
    assert select(table, verdict="right", confidence=(0.8, 0.85)) == ["c", "d"]


def test_controls_filter_what_is_shown(explorer):
    everything = len(explorer.chosen)
    assert explorer.count.value.startswith(f"{everything} of {everything} test images")
    explorer.label.value = "happy"
    table = explorer.results.tests["r18_scratch_emotion"].set_index("id")
    assert set(table.loc[explorer.chosen, "label"]) == {"happy"}
    explorer.verdict.value = "wrong"
    assert (table.loc[explorer.chosen, "predicted"] != "happy").all()
    explorer.confidence.value = (1, 1)
    assert explorer.chosen == []
    assert (explorer.examples.value, explorer.examples.layout.display) == (b"", "none")
    assert explorer.count.value.startswith("None of the")
    explorer.label.value = explorer.verdict.value = "all"
    explorer.confidence.value = (0, 1)
    assert len(explorer.chosen) == everything
    assert explorer.examples.layout.display is None


def test_pages_show_different_examples_and_end(explorer):
    first = explorer.examples.value
    assert image(first).format == "PNG"
    explorer.page.value = 2
    assert explorer.examples.value != first
    explorer.page.value = 99
    assert explorer.page.value == explorer.page.max
    explorer.page.value = 1
    assert explorer.examples.value == first


def test_photograph_of_ones_own_is_named_by_every_model(explorer):
    pixels = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    drop(explorer, buffer.getvalue())
    assert explorer.note.value.startswith("90 x 120 pixels")
    assert image(explorer.photograph.value).size[0] > 100


def test_file_that_is_no_image_is_refused_in_words_and_as_text(explorer):
    drop(explorer, b"<script>alert(1)</script>")
    assert explorer.note.value.startswith("This image cannot be used")
    assert "<script>" not in explorer.note.value
    assert explorer.photograph.layout.display == "none"


def test_explorer_appears_in_a_live_session_only(run, monkeypatch):
    monkeypatch.setenv("EMOTION_QUIET", "1")
    assert "JupyterLab" in explore(run).html
    monkeypatch.delenv("EMOTION_QUIET")
    hidden = Run(run.root, run.config.model_copy(update={"show_faces": False}))
    assert "as <code>show_faces</code> is off" in explore(hidden).html
    assert hasattr(explore(run), "children")
