"""One notebook in a kernel of its own: what the kernel inherits, how long a cell may take, and what ends it early."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from emotion_utils.errors import EmotionError, InputError
from emotion_utils.files import FULL_DISK, FullDisk
from emotion_utils.given_paths import absolute
from emotion_utils.progress import QUIET_VARIABLE
from emotion_utils.provenance import IN_CHECKOUT, PROJECT_DIR
from emotion_utils.waiting import limit_spinning

FOLDER_VARIABLES = ("EMOTION_CACHE_DIR", "EMOTION_WEIGHTS_DIR", "XDG_CACHE_HOME")
START_TIMEOUT_S = 120
MEMORY_EVENTS = Path("/sys/fs/cgroup/memory.events")  # of Linux: counts what its memory killer did in this container
SOCKET_NAME = "emotion-12345678/kernel-5"  # as long as tempfile and jupyter_client make it
SOCKET_PATH_BYTES = 103  # of a Unix socket on macOS; Linux allows four more


class KernelDeath(EmotionError):
    """The kernel ended without an error: it crashed, or somebody killed it."""


def execute_notebook(
    source: Path, executed: Path, parameters: Mapping[str, Any], *, cell_minutes: float, environment: Mapping[str, str]
) -> None:
    """Runs `source` beside its own folder; `executed` and a log next to it stay readable also after a failure.

    Raises KernelDeath; InputError where a cell raised one; EmotionError for any other error and for a cell that takes
    longer than `cell_minutes`.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    log = executed.with_suffix(".log")
    executed.parent.mkdir(exist_ok=True)
    for old in (executed, log):
        old.unlink(missing_ok=True)  # they are written in place, and an old one may have a second name elsewhere
    killed_before = _count_memory_kills()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="emotion-", dir=_socket_root()) as private,
            _kernel_environment(private, environment),
            log.open("w", encoding="utf-8") as log_file,
        ):
            sockets = {"transport": "ipc", "ip": os.path.join(private, "kernel")}  # that only this user can reach
            papermill.execute_notebook(
                _literal(source),
                _literal(executed),
                parameters=dict(parameters),
                kernel_name="python3",
                start_timeout=START_TIMEOUT_S,
                execution_timeout=round(60 * cell_minutes),
                progress_bar=False,
                stdout_file=log_file,
                stderr_file=log_file,
                cwd=_literal(source.parent),
                config=Config({"KernelManager": sockets}),
                kernel_manager_class=_own_kernel_manager(log_file),
            )
    except DeadKernelError:
        by_memory = _count_memory_kills() > killed_before
        reason = "the system ended it for lack of memory" if by_memory else "it crashed or was killed"
        raise KernelDeath(f"{source.stem}: its kernel died ({reason}); see {executed} and {log}") from None
    except CellTimeoutError:
        raise EmotionError(
            f"{source.stem}: a cell did not end within {cell_minutes:g} minutes and was stopped; if it needs longer, "
            f"--set cell_minutes=N allows it; see {executed} and {log}"
        ) from None
    except PapermillExecutionError as error:
        with log.open("a", encoding="utf-8") as log_file:
            log_file.write("\n".join(error.traceback) + "\n")
        if error.ename == "InputError":
            raise InputError(error.evalue) from None
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        raise EmotionError(f"{source.stem}, cell {error.cell_index}: {reason}; see {executed} and {log}") from None
    except KeyboardInterrupt:  # nbclient leaves what would have started its kernel
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        raise
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        executed.unlink(missing_ok=True)  # papermill writes in place
        raise FullDisk(executed, error.strerror) from None


def _own_kernel_manager(log_file: TextIO) -> type:
    """Starts kernels in the Python of this process. A kernelspec called python3 may lead to any other.

    What the kernel itself says (not its cells) goes to `log_file`: when a run is interrupted, it complains at length
    that its sockets are gone.
    """
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpec

    class OwnKernelManager(AsyncKernelManager):
        kernel_spec = KernelSpec(**get_kernel_dict())

        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(stderr=log_file, **options)

    return OwnKernelManager


def _literal(path: Path) -> str:
    """A path as papermill takes it, which puts parameters in place of names in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _socket_root() -> str:
    """The first folder for temporary files whose path leaves room for the name of a socket."""
    roots = [tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/var/tmp"]
    for root in roots:
        fits = len(os.fsencode(os.path.join(root, SOCKET_NAME))) <= SOCKET_PATH_BYTES
        if fits and os.path.isabs(root) and os.access(root, os.W_OK | os.X_OK):
            return root
    raise InputError(
        f"{roots[0]}: its path is too long for the sockets of a kernel ({SOCKET_PATH_BYTES} bytes in all), and no "
        "shorter folder can be written: set TMPDIR to one"
    )


def _count_memory_kills() -> int:
    """How many processes of this container the system has ended for lack of memory; 0 where that is not told."""
    if not MEMORY_EVENTS.exists():
        return 0
    counts = dict(line.split() for line in MEMORY_EVENTS.read_text(encoding="ascii").splitlines())
    return int(counts.get("oom_kill", 0))


@contextmanager
def _kernel_environment(private: str, more: Mapping[str, str]) -> Iterator[None]:
    """The package's place, no bars, a private folder for how to reach the kernel, how threads wait, and `more`."""
    before = dict(os.environ)
    own = str(PROJECT_DIR) if IN_CHECKOUT else ""  # an installed package is found where this process found it
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))
    os.environ["JUPYTER_RUNTIME_DIR"] = private
    os.environ["IPYTHONDIR"] = os.path.join(private, "ipython")  # a person's own startup files are for sessions
    Path(private, "matplotlibrc").touch()  # a person's own look is for their own figures
    os.environ["MATPLOTLIBRC"] = private
    os.environ.pop("MPLBACKEND", None)  # figures are to go into the notebook
    for name in FOLDER_VARIABLES:
        if os.environ.get(name):  # relative to the folder of the command, not to that of the notebooks
            os.environ[name] = absolute(os.environ[name])
    os.environ[QUIET_VARIABLE] = "1"
    limit_spinning(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
