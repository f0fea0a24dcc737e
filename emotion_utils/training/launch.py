"""A training in several processes that nobody has to start by hand: one per GPU, from a command or a notebook.

torch's own launcher, the library behind torchrun, starts them, and starts all of them again from the checkpoint when
one dies. It lives in a process of its own: it takes over the signals of the process that it runs in, which in a
notebook belong to the kernel. Whoever called holds one end of a pipe that all others read from: it closes when the
caller stops waiting or dies, and then they end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from emotion_utils.config import RunConfig
from emotion_utils.devices import VARIABLE, count_gpus
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import read_json, write_json
from emotion_utils.models.card import save_model
from emotion_utils.models.network import EmotionNet
from emotion_utils.progress import Progress
from emotion_utils.provenance import PACKAGE_DIR
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run

MODULE = "emotion_utils.training.worker"  # what the new processes run
RESTARTS = 3  # of all processes together, after one has died
LOOK_S = 0.2  # from one look at the progress to the next
# In the folder that all share.
TASK, PROGRESS, FAILURE, INITIAL = "task.json", "progress.json", "failure.json", "initial"


def processes_to_start(config: RunConfig) -> int:
    """How many processes the setting asks for; 1, none to start, in one that torchrun or this module has started.

    Raises InputError where there are GPUs, and fewer than processes.
    """
    if "WORLD_SIZE" in os.environ:
        return 1
    gpus = count_gpus()
    if config.processes == "auto":
        return max(1, gpus)
    if gpus and config.processes > gpus:
        raise InputError(
            f"processes={config.processes}: each needs a GPU of its own, and there {'is' if gpus == 1 else 'are'} "
            f"{gpus}; give fewer, or set {VARIABLE}=cpu"
        )
    return config.processes


def train_in_processes(
    run: Run, model: str, processes: int, progress: Progress | None = None, *, net: EmotionNet, recipe: Recipe,
    facts: dict[str, Any], replaces: bool,
) -> None:  # fmt: skip
    """Trains `net` in so many new processes, which write the same files as one would, and waits for their end.

    Raises the InputError or EmotionError that one of them raised, and EmotionError where they fail otherwise each time.
    """
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # what this process only keeps for later is theirs now
    with tempfile.TemporaryDirectory(prefix="emotion-") as name:
        folder = Path(name)
        save_model(net, folder / INITIAL, run.taught_classes())
        task = {
            "root": str(run.root.absolute()), "model_folder": run.model_folder, "model": model, "facts": facts,
            "config": run.config.model_dump(mode="json"), "recipe": recipe.model_dump(mode="json"),
            "processes": processes, "replaces": replaces,
        }  # fmt: skip
        write_json(folder / TASK, task)
        launcher = subprocess.Popen(
            [sys.executable, "-m", MODULE, name], stdin=subprocess.PIPE, env=_environment(processes),
            start_new_session=True,  # an interrupt reaches this process alone, which then closes the pipe
        )  # fmt: skip
        try:
            _follow(launcher, folder, progress)
        finally:
            launcher.stdin.close()
            launcher.wait()
        _raise_failure(folder, launcher.returncode)


def _environment(processes: int) -> dict[str, str]:
    """This process's, with its share of the threads for each, and the package where it was found here."""
    threads = str(max(1, torch.get_num_threads() // processes))
    search_path = os.pathsep.join([str(PACKAGE_DIR.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONPATH": search_path}


def _follow(launcher: subprocess.Popen, folder: Path, progress: Progress | None) -> None:
    """Until the launcher ends, or a process has refused to go on."""
    told = None
    while launcher.poll() is None and not (folder / FAILURE).exists():
        with suppress(subprocess.TimeoutExpired):
            launcher.wait(LOOK_S)
        if progress and (folder / PROGRESS).exists() and (now := read_json(folder / PROGRESS)) != told:
            progress(*now)
            told = now


def _raise_failure(folder: Path, status: int) -> None:
    if (folder / FAILURE).exists():
        failure = read_json(folder / FAILURE)
        raise (InputError if failure["input"] else EmotionError)(failure["message"])
    if status:
        raise EmotionError(
            f"the launcher of the training's processes ended with status {status}; its words stand above"
        )
