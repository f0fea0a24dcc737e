"""Makes a virtual environment where one is needed and fills it with pip; needs nothing but Python itself."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pip_progress import run_pip

MARKER = ".emotion_utils.json"  # written last: an environment without it is not finished
LIST_PACKAGES = "import importlib.metadata as m; print(*{d.metadata['Name'] for d in m.distributions()}, sep='\\n')"
PRINT_PACKAGE_FOLDER = "import sysconfig; print(sysconfig.get_path('purelib'))"
USE_TORCH_PAIR = """
import torch, torchvision
torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
"""


class EnvironmentFault(Exception):
    """No environment: the message is one line that says why and what to do."""


@dataclass(frozen=True)
class Environment:
    """Where the packages are, and which versions of torch and torchvision must stay (none: free choice)."""

    kind: str
    root: Path
    base: Path  # the Python that it is made from; of an active one its own
    torch: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return self.base if self.kind == "active" else self.root / "bin" / "python"

    @property
    def marker(self) -> Path:
        return self.root / MARKER

    def fingerprint(self, checkout: Path) -> str:
        """SHA-256 of everything that decides which packages belong into the environment."""
        lists = [(checkout / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "constraints.txt")]
        facts = [self.kind, str(self.root), dict(self.torch), *lists]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def installed_extras(self, checkout: Path) -> set[str]:
        """The extras that are installed and up to date; `core` is among them."""
        try:
            stored = json.loads(self.marker.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return set()
        current = stored.get("fingerprint") == self.fingerprint(checkout) and os.access(self.python, os.X_OK)
        return set(stored["extras"]) if current else set()


@contextmanager
def lock(environment: Environment) -> Iterator[int]:
    """Two starts at once make one environment; the lock ends with the last process that holds the file."""
    root = environment.root
    path = root / f"{MARKER}.lock" if environment.kind == "active" else root.with_name(f"{root.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write to {path.parent} ({error.strerror}); set EMOTION_VENV to a folder for the environment"
        ) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another start is making the environment in {root}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:  # some network drives have no locks
            say(
                f"{path.parent} has no locks ({error.strerror}): do not start a second command until this one has begun"
            )
        yield handle.fileno()


def install(environment: Environment, checkout: Path, extras: set[str], lock_file: int) -> None:
    """Makes the virtual environment if it is not there or not usable, and installs what is missing."""
    if environment.kind != "active" and environment.root.is_symlink():  # somebody else's would be emptied
        place = environment.root.resolve()
        raise EnvironmentFault(f"{environment.root} is a link to {place}; set EMOTION_VENV to that, or remove the link")
    environment.marker.unlink(missing_ok=True)
    if environment.kind != "active" and not is_usable(environment):
        make(environment, lock_file)
    ensure_pip(environment, lock_file)
    say(f"installing packages into {environment.root}; this is done once and can take some minutes")
    packages = package_folder(environment.python)  # once pip has written its own pointer, not every Python starts
    names = ",".join(sorted(extras - {"core"}))
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(constrain(environment, checkout)) + "\n", encoding="utf-8")
        pip = [environment.python, "-m", "pip", "install", "--no-color", "--progress-bar", "off"]
        if environment.kind != "active":
            pip.append("--no-compile")  # on one core alone; all do it below, in half the time
        command = [*pip, "--constraint", constraints, "--editable", f".[{names}]"]
        log = environment.marker.with_suffix(".log")
        if not run_pip(command, log, cwd=checkout, lock_file=lock_file):
            raise EnvironmentFault(
                f"pip could not install the packages into {environment.root} (its last lines are above, all of them "
                f"in {log}); fix that, or the connection, and start again"
            )
    if environment.kind != "active":  # files that some Python cannot read are part of packages too; pip is as lenient
        say("compiling them")
        succeeds([environment.python, "-m", "compileall", "-q", "-j", "0", packages], lock_file=lock_file)
    for pointer in list(packages.glob("*emotion_utils.pth")) or [packages / "emotion_utils.pth"]:  # pip's own
        write_pointer(pointer, checkout)
    check_torch_pair(environment)
    facts = {"fingerprint": environment.fingerprint(checkout), "root": str(environment.root), "extras": sorted(extras)}
    part = environment.marker.with_suffix(".part")
    part.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    part.replace(environment.marker)


def is_usable(environment: Environment) -> bool:
    """Whether the virtual environment starts, was made in this very place and layers what it should."""
    settings = environment.root / "pyvenv.cfg"
    starts = os.access(environment.python, os.X_OK) and succeeds([environment.python, "-c", "import sys"])
    if not settings.exists() or not starts:
        return False
    lines = settings.read_text(encoding="utf-8").splitlines()
    moved = any(line.startswith("command = ") and not line.endswith(str(environment.root)) for line in lines)
    layers = "include-system-site-packages = true" in lines
    return layers == (environment.kind == "layered") and not moved


def make(environment: Environment, lock_file: int) -> None:
    root = environment.root
    if root.exists() and any(root.iterdir()) and not (root / "pyvenv.cfg").exists():
        raise EnvironmentFault(f"{root} is not empty and not a virtual environment; set EMOTION_VENV to another folder")
    layers = ["--system-site-packages"] if environment.kind == "layered" else []
    command = [environment.base, "-m", "venv", "--clear", "--without-pip", *layers, root]
    if not succeeds(command, show=True, lock_file=lock_file):
        raise EnvironmentFault(f"{environment.base} could not make a virtual environment in {root}")
    if environment.kind == "layered" and "torch" not in packages_of(environment.python):
        # The platform's Python is in a virtual environment itself, and --system-site-packages means those below that.
        write_pointer(package_folder(environment.python) / "platform.pth", package_folder(environment.base))


def write_pointer(pointer: Path, folder: Path) -> None:
    """Has the environment look for packages in `folder` too, after its own.

    In ASCII, because Python < 3.13 does not even start in locale C with an umlaut in a .pth file.
    """
    pointer.write_text(f"import sys; sys.path.append({str(folder)!a})\n", encoding="ascii")


def package_folder(python: Path) -> Path:
    """Where its packages are."""
    return Path(run([python, "-c", PRINT_PACKAGE_FOLDER]).strip())


def packages_of(python: Path) -> set[str]:
    """The names of all packages that it sees."""
    return {normalise(name) for name in run([python, "-c", LIST_PACKAGES]).split()}


def ensure_pip(environment: Environment, lock_file: int) -> None:
    """pip may be the platform's, Python's own copy, or come through the pip of the Python that made it."""
    attempts = (
        [environment.python, "-m", "pip", "--version"],
        [environment.python, "-m", "ensurepip", "--default-pip"],
        [environment.base, "-m", "pip", "--python", environment.python, "install", "pip"],
    )
    if not any(succeeds(attempt, lock_file=lock_file) for attempt in attempts):
        raise EnvironmentFault(
            f"{environment.base} has neither pip nor ensurepip; install them (Debian, Ubuntu: the package python3-venv)"
        )


def constrain(environment: Environment, checkout: Path) -> list[str]:
    """The tested versions and those of the torch that stays; what an active environment has is left as it is."""
    tested = (checkout / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = [line for line in tested if "==" in line and not line.startswith("#")]
    if environment.kind == "active":
        present = packages_of(environment.python)
        tested = [line for line in tested if normalise(line.partition("==")[0]) not in present]
    return tested + [f"{name}=={version}" for name, version in environment.torch.items()]


def check_torch_pair(environment: Environment) -> None:
    """torch and torchvision are built for each other; a pair from two places fails at its first operator."""
    result = subprocess.run([environment.python, "-c", USE_TORCH_PAIR], capture_output=True, text=True)
    if result.returncode:
        fix = f"remove {environment.root}" if environment.kind == "own" else "set EMOTION_VENV to a new folder"
        raise EnvironmentFault(
            f"torch and torchvision in {environment.root} do not work together; "
            f"{fix} and start again ({last_line(result.stderr)})"
        )


# -- small tools ---------------------------------------------------------------------------------------


def run(command: Sequence[str | Path]) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise EnvironmentFault(f"{command[0]} does not work: {last_line(result.stderr)}")
    return result.stdout


def succeeds(command: Sequence[str | Path], *, show: bool = False, cwd: Path | None = None, lock_file: int = 2) -> bool:
    """Whether the command ends well; it shows its output as messages, and holds the lock while it lives."""
    output = 2 if show else subprocess.DEVNULL
    return subprocess.run(command, stdout=output, stderr=output, cwd=cwd, pass_fds=(lock_file,)).returncode == 0


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def say(message: str) -> None:
    print(f"environment: {message}", file=sys.stderr)
