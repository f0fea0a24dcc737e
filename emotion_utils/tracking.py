"""Curves in Weights & Biases or TensorBoard, where they are asked for; history.csv is written whatever happens.

Neither is imported unless `tracking` names it. Without an account the curves of Weights & Biases stay on this machine,
in the run folder's `wandb`, until `wandb sync` sends them; those of TensorBoard lie in the run folder's `tensorboard`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from emotion_utils.config import RunConfig
from emotion_utils.errors import InputError
from emotion_utils.run import Run

CURVES = ("train_loss", "val_loss", "train_acc", "val_acc", "lr", "seconds", "images_per_second")

TITLES = {"wandb": "Weights & Biases", "tensorboard": "TensorBoard"}
EXTRAS = {"wandb": "tracking", "tensorboard": "tensorboard"}

LogEpoch = Callable[[Sequence[Mapping[str, Any]]], None]  # gets the rows of the history so far


def check_tracking(config: RunConfig) -> None:
    """Raises InputError where curves are asked for and the package that draws them is not installed."""
    asked = config.tracking
    if asked != "none" and find_spec(asked) is None:
        raise InputError(
            f"tracking={asked}: {TITLES[asked]} is not installed; pip install 'emotion-utils[{EXTRAS[asked]}]', or "
            "leave it out"
        )


@contextmanager
def track(run: Run, model: str) -> Iterator[LogEpoch]:
    """Yields what adds an epoch to the curves of `model`; it does nothing where none are asked for.

    A training that is resumed adds to the curves that it began. Raises as `check_tracking` does.
    """
    check_tracking(run.config)
    if run.config.tracking == "none":
        yield lambda rows: None
        return
    curves = {"wandb": _begin, "tensorboard": TensorBoardCurves}[run.config.tracking](run, model)
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


class TensorBoardCurves:
    """The curves of a model; `tensorboard --logdir RUN/tensorboard` shows them beside those of the others."""

    def __init__(self, run: Run, model: str) -> None:
        self._folder = run.inside(Path("tensorboard", model, run.model_folder))
        self._writer: Any = None

    def log(self, point: Mapping[str, Any]) -> None:
        """Adds an epoch; what an earlier training has from there on is no longer shown."""
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is None:
            self._writer = SummaryWriter(self._folder, purge_step=point["epoch"])
        for name in CURVES:
            self._writer.add_scalar(name, point[name], point["epoch"])
        self._writer.flush()

    def finish(self, exit_code: int = 0) -> None:
        """TensorBoard knows no failed training."""
        if self._writer is not None:
            self._writer.close()
