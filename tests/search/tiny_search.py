"""A search on the small network of tiny_training, also in a process that can be killed."""

import itertools
import os
import signal

import pandas as pd
import torch
from tiny_training import MODEL, TinyNet, make_dataset

from emotion_utils.config import resolve_config, validate_config
from emotion_utils.run import Run
from emotion_utils.search import model_search, study
from emotion_utils.training import checkpoint
from emotion_utils.training.learner import Learner

PHASES = [{"epoch": 1, "train_from": "stem"}]


def make_run(folder):
    """A prepared run as far as a search needs one: a configuration, and who is on the validation images."""
    recipes = {MODEL: {"lr": 0.01, "phases": PHASES}}
    settings = {"models": [MODEL], "epochs": 3, "batch_size": 8, "recipes": recipes}
    run = Run.create(folder, validate_config(resolve_config("demo").model_dump() | settings))
    ids = make_dataset(15, 2).ids
    columns = {"path": "", "label": "happy", "split": "val", "status": "kept", "reason": "", "width": 9, "height": 9}
    groups = [f"person {n // 2}" if n < 9 else "" for n in range(15)]
    run.write("manifest", pd.DataFrame({"id": ids, "group": groups} | columns))
    return run


def use_tiny_parts(patch):
    """The small network and its images instead of the run's; `patch(module, name, value)` sets an attribute."""
    patch(model_search, "new_model", lambda run, model: TinyNet())
    patch(model_search, "restore_images", lambda run: None)
    patch(
        model_search, "open_split", lambda run, split: make_dataset(48, 1) if split == "train" else make_dataset(15, 2)
    )
    patch(checkpoint, "INTERVAL_S", 0.0)
    patch(checkpoint, "COST_SHARE", 1e9)


def search_as_a_process(folder, *, storage=None, kill_at=0):
    """What a process does that searches a grid for three trials; killed before it takes step `kill_at`."""
    torch.set_num_threads(1)
    use_tiny_parts(setattr)
    study.HEARTBEAT_S, study.GRACE_S = 1, 2
    steps, original = itertools.count(1), Learner.begin

    def begin(*arguments, **more):
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **more)

    Learner.begin = begin
    model_search.search_model(make_run(folder), MODEL, sampler="grid", trials=3, storage=storage)
