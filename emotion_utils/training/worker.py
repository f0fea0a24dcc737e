"""One of several processes that train a model together, and the process that starts them; see launch.py."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from emotion_utils.config import validate_config
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import read_json, write_json
from emotion_utils.models.card import load_model
from emotion_utils.progress import Progress
from emotion_utils.recipe import Recipe
from emotion_utils.run import Run
from emotion_utils.store.batches import open_split
from emotion_utils.training.launch import FAILURE, INITIAL, LOOK_S, MODULE, PROGRESS, RESTARTS, TASK
from emotion_utils.training.one_process import train_here


def main() -> None:
    """`python -m emotion_utils.training.worker FOLDER` is the launcher, and each process that it starts."""
    folder = Path(sys.argv[1])
    threading.Thread(target=_end_with_caller, daemon=True).start()
    if "WORLD_SIZE" in os.environ:
        _train(folder)
    else:
        _launch(folder)


def _end_with_caller() -> None:
    os.read(sys.stdin.fileno(), 1)  # nobody ever writes: this returns when the pipe is closed
    os.kill(os.getpid(), signal.SIGTERM)


def _launch(folder: Path) -> None:
    logging.disable(logging.CRITICAL)  # what torch says of a process that failed, the caller says in one line
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=read_json(folder / TASK)["processes"], max_restarts=RESTARTS,
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="localhost", run_id=uuid.uuid4().hex,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
    )  # fmt: skip
    try:
        elastic_launch(config, sys.executable)("-m", MODULE, str(folder))
    except SignalException:
        sys.exit(1)
    except ChildFailedError as error:
        if not (folder / FAILURE).exists():
            _write_failure(folder, EmotionError(_explain(error, folder)))


def _train(folder: Path) -> None:
    task = read_json(folder / TASK)
    run = Run(Path(task["root"]), validate_config(task["config"]), task["model_folder"])
    try:
        net, _ = load_model(folder / INITIAL)
        train_here(
            net, open_split(run, "train"), open_split(run, "val"), Recipe.model_validate(task["recipe"]), run,
            task["model"], task["facts"], task["replaces"], _progress_file(folder / PROGRESS),
        )  # fmt: skip
    except EmotionError as error:
        _write_failure(folder, error)
        sys.exit(1)
    except Exception as error:
        _note_first(folder, error)
        raise


def _write_failure(folder: Path, error: EmotionError) -> None:
    write_json(folder / FAILURE, {"input": isinstance(error, InputError), "message": str(error)})


def _progress_file(path: Path) -> Progress:
    """Keeps the last progress in a file, at most as often as somebody looks."""
    last = -LOOK_S

    def update(done: int, total: int) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < LOOK_S:
            return
        last = time.monotonic()
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps([done, total]), encoding="utf-8")
        temporary.replace(path)

    return update


def _note_first(folder: Path, error: Exception) -> None:
    """The first error of this try: the others only follow, as they lose a partner."""
    with suppress(FileExistsError), _reason_path(folder).open("x", encoding="utf-8") as file:
        file.write(f"{type(error).__name__}: {error}")


def _reason_path(folder: Path) -> Path:
    return folder / f"reason-{os.environ.get('TORCHELASTIC_RESTART_COUNT', RESTARTS)}.txt"


def _explain(error: ChildFailedError, folder: Path) -> str:
    """Why the last try ended: a process that was killed comes first, as the others fail for want of it."""
    killed = [f for f in error.failures.values() if f.exitcode < 0 and f.exitcode != -signal.SIGTERM]
    if killed:
        reason = f"it was ended by {killed[0].signal_name()}"
    elif _reason_path(folder).exists():
        reason = _reason_path(folder).read_text(encoding="utf-8").partition("\n")[0]
    else:
        reason = f"status {error.get_first_failure()[1].exitcode}"
    mend = "trained again, it goes on from its last checkpoint"
    return f"a process of the training failed {1 + RESTARTS} times ({reason}); {mend}"


if __name__ == "__main__":
    main()
