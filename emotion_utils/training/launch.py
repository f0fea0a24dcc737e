"""A training in several processes that nobody has to start by hand: one per GPU, from a command or a notebook.

torch's own launcher, the library behind torchrun, starts them, and starts all of them again from the checkpoint when
one dies. It lives in a process of its own: it takes over the signals of the process that it runs in, which in a
notebook belong to the kernel. Whoever called holds one end of a pipe that all others read from: it closes when the
caller stops waiting or dies, and then they end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from emotion_utils.config import RunConfig, validate_config
from emotion_utils.devices import VARIABLE, count_gpus
from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import read_json, write_json
from emotion_utils.progress import Progress
from emotion_utils.provenance import PACKAGE_DIR
from emotion_utils.run import Run

MODULE = "emotion_utils.training.launch"  # this one, also where it runs as __main__
RESTARTS = 3  # of all processes together, after one has died
LOOK_S = 0.2  # from one look at the progress to the next
TASK, PROGRESS, FAILURE = "task.json", "progress.json", "failure.json"  # in the folder that all share


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


def train_in_processes(run: Run, model: str, processes: int, progress: Progress | None = None) -> None:
    """Trains `model` in so many new processes, which write the same files as one would, and waits for their end.

    Raises the InputError or EmotionError that one of them raised, and EmotionError where they fail otherwise each time.
    """
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # what this process only keeps for later is theirs now
    with tempfile.TemporaryDirectory(prefix="emotion-") as name:
        folder = Path(name)
        place = {"root": str(run.root.absolute()), "model_folder": run.model_folder, "model": model}
        write_json(folder / TASK, {**place, "config": run.config.model_dump(mode="json"), "processes": processes})
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


# -- in the new processes --------------------------------------------------------------------------


def main() -> None:
    """`python -m emotion_utils.training.launch FOLDER` is the launcher, and each process that it starts."""
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
    from emotion_utils.training.fit import train_model  # which imports this module

    task = read_json(folder / TASK)
    run = Run(Path(task["root"]), validate_config(task["config"]), task["model_folder"])
    try:
        train_model(run, task["model"], progress=_progress_file(folder / PROGRESS))
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
