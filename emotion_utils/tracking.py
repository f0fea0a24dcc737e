"""Curves in Weights & Biases, where they are asked for; history.csv and events.jsonl are written whatever happens.

Nothing of wandb is imported unless `tracking=wandb` is set. Without an account the curves stay on this machine, in the
run folder's `wandb`, until `wandb sync` sends them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from emotion_utils.config import RunConfig
from emotion_utils.errors import InputError
from emotion_utils.run import Run

CURVES = ("train_loss", "val_loss", "train_acc", "val_acc", "lr", "seconds", "images_per_second")

LogEpoch = Callable[[Sequence[Mapping[str, Any]]], None]  # gets the rows of the history so far


def check_tracking(config: RunConfig) -> None:
    """Raises InputError where curves are asked for and wandb is not installed."""
    if config.tracking == "wandb" and find_spec("wandb") is None:
        raise InputError(
            "tracking=wandb: Weights & Biases is not installed; pip install 'emotion-utils[tracking]', or leave it out"
        )


@contextmanager
def track(run: Run, model: str) -> Iterator[LogEpoch]:
    """Yields what adds an epoch to the curves of `model`; it does nothing where none are asked for.

    A training that is resumed adds to the curves that it began. Raises InputError where wandb is not installed.
    """
    check_tracking(run.config)
    if run.config.tracking == "none":
        yield lambda rows: None
        return
    curves = _begin(run, model)
    try:
        yield lambda rows: curves.log({"epoch": rows[-1]["epoch"], **{name: rows[-1][name] for name in CURVES}})
    except BaseException:
        curves.finish(exit_code=1)
        raise
    curves.finish()


def _begin(run: Run, model: str) -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    place = run.root.resolve()
    identity = f"{place} {run.config.fingerprint()} {model}"
    curves = wandb.init(
        project="emotion_utils",
        group=place.name,
        name=f"{place.name} {model}",
        id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        resume="allow",
        dir=place,
        config={"model": model, **run.config.model_dump(mode="json")},
        mode=os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False) else "offline"),
        settings=wandb.Settings(
            console="off", disable_git=True, x_disable_stats=True, x_disable_meta=True, silent=True
        ),
    )
    curves.define_metric("*", step_metric="epoch")
    curves.define_metric("val_acc", step_metric="epoch", summary="max")
    return curves
