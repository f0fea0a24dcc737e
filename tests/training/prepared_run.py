"""A prepared run of few faces, and the trainer of its model as notebooks make it."""

import pytest

from emotion_utils.audit.audit import audit_images
from emotion_utils.audit.splits import divide_images
from emotion_utils.config import resolve_config
from emotion_utils.run import Run
from emotion_utils.sources.source import source_of
from emotion_utils.store.batches import open_split, prepare_images
from emotion_utils.training.trainer import Trainer, new_model

MODEL = "r18_scratch_emotion"


def prepare(root, settings):
    """A run of the profile smoke in the new folder `root`, with its images divided and prepared."""
    run = Run.create(root, resolve_config("smoke", settings))
    source = source_of(run.config)
    manifest, audit = audit_images(source)
    manifest, division = divide_images(manifest, run.config)
    run.write("manifest", manifest)
    run.write("audit", audit | division)
    prepare_images(run, source, manifest)
    return run


@pytest.fixture
def run(tmp_path):
    """A prepared run of 36 synthetic faces of 32 px; its scratch model trains for one epoch of two steps."""
    settings = [f"models=[{MODEL}]", "synthetic_images=36", "epochs=1", "max_steps_per_epoch=2"]
    return prepare(tmp_path / "run", [*settings, "min_images_per_class=3"])


def make(run, *, net=None, recipe=None, train_set=None, retrain=False):
    """A Trainer of what the settings say, but for what is given."""
    return Trainer(
        net or new_model(run, MODEL), train_set or open_split(run, "train"), open_split(run, "val"),
        recipe or run.config.recipes[MODEL], run=run, model=MODEL, retrain=retrain,
    )  # fmt: skip


def folders(run):
    return sorted(path.name for path in (run.root / "models" / MODEL).iterdir() if path.is_dir())
