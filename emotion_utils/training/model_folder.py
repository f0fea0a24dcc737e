"""The folder of a model: held by one training at a time; its model stays until the next one is finished. No torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emotion_utils.locks import hold
from emotion_utils.models.folders import CARD_FILE

CHECKPOINT_FILE = "checkpoint.pt"
MEASURED = ("predictions.csv", "robustness.csv", "README.md")  # of a model, after its training
STALE = (CARD_FILE, "model.safetensors", *MEASURED)  # of an earlier training
RETRAINING = "retraining"  # below the folder of a finished model: where its successor is trained
PATIENCE_S = 60.0  # with a process that moves its finished model into place, which takes milliseconds


@contextmanager
def hold_model(*folders: Path, patience_s: float = 0.0) -> Iterator[None]:
    """Holds the folders of a model; a finished one that a killed process left beside its predecessor takes its place.

    Raises EmotionError that says who holds one of them.
    """
    with ExitStack() as held:
        for folder in folders:
            held.enter_context(hold(folder, "wait for it, or end it, and run this again", patience_s))
            if (folder / RETRAINING / CARD_FILE).exists():
                replace_model(folder)
        yield


def finish_replacement(folder: Path) -> None:
    """What `hold_model` does first, where there is something to do."""
    if (folder / RETRAINING / CARD_FILE).exists():
        with hold_model(folder, patience_s=PATIENCE_S):
            pass


def replace_model(folder: Path) -> None:
    """Puts the finished model in RETRAINING into `folder`, which must be held.

    At each moment `folder` holds the old model, the new one, or none while the new one is complete in RETRAINING: the
    card is taken away first and comes last.
    """
    beside = folder / RETRAINING
    for name in (CARD_FILE, *MEASURED):  # no more: after a kill, the weights there may be the new ones
        (folder / name).unlink(missing_ok=True)
    for path in beside.iterdir():
        if path.name != CARD_FILE and not _is_passing(path):
            path.replace(folder / path.name)
    (beside / CARD_FILE).replace(folder / CARD_FILE)
    shutil.rmtree(beside)


def _is_passing(path: Path) -> bool:
    """A checkpoint, or what a killed process was writing."""
    return path.name.startswith((CHECKPOINT_FILE, "."))
