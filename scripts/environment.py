"""Finds or makes the project's environment and prints the path of its Python; needs nothing but Python itself.

    python scripts/environment.py [--here] EXTRA...

With --here it completes the Python that runs it, that of a notebook's kernel, or says why that cannot be.
Three kinds: `own` is a virtual environment of the project with a torch of its own; `layered` is one on top of the
packages of Kaggle or Colab; `active` is the conda or virtual environment from which the project was started.
In the last two torch and torchvision stay exactly as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from installation import MARKER, Environment, EnvironmentFault, install, lock, run, say, succeeds

HERE = "--here"
MINIMUM_TORCH = (2, 10)
PLATFORM_VARIABLES = ("KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_URL_BASE", "COLAB_RELEASE_TAG", "COLAB_GPU")
FIND_TORCH = """
import importlib.metadata, json, sys
def find(name):
    return next((found.version for found in importlib.metadata.distributions(name=name)), None)
print(json.dumps({"python": sys.version_info[:2], "torch": {name: find(name) for name in ("torch", "torchvision")}}))
"""


# A person's settings for pip that would put packages elsewhere than into the environment.
PIP_ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_REQUIRE_VIRTUALENV")


def main(arguments: Sequence[str]) -> int:
    checkout = Path(__file__).resolve().parents[1]
    for name in PIP_ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["PIP_USER"] = "0"  # overrules a configuration file, too
    try:
        if arguments[:1] == [HERE]:
            print(prepare_here(checkout, arguments[1:]))
        else:
            print(prepare(checkout, arguments, os.environ))
    except (EnvironmentFault, OSError) as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def prepare(checkout: Path, extras: Sequence[str], variables: Mapping[str, str]) -> Path:
    """The Python of an environment that has the core dependencies and `extras`, made or completed where needed."""
    return complete(choose(checkout, variables), checkout, {"core", *extras})


def prepare_here(checkout: Path, extras: Sequence[str]) -> Path:
    """The Python that runs this, completed beside its torch. Raises EnvironmentFault where its torch cannot be used."""
    here = Environment("active", Path(sys.prefix), Path(sys.executable))
    torch, complaint = examine(here.python)
    here = replace(here, torch=torch)
    if not complaint and not here.installed_extras(checkout):
        complaint = try_out(here)
    if complaint:
        raise EnvironmentFault(
            f"{here.python}, the Python of this kernel, {complaint}; ./run_all.sh makes an environment with a torch of "
            "its own: start JupyterLab there"
        )
    return complete(here, checkout, {"core", *extras})


def complete(environment: Environment, checkout: Path, wanted: set[str]) -> Path:
    """Its Python, once what is `wanted` of the core dependencies and the extras is installed."""
    if wanted <= environment.installed_extras(checkout):
        return environment.python
    with lock(environment) as lock_file:
        installed = environment.installed_extras(checkout)  # somebody else may have been quicker
        if not wanted <= installed:
            install(environment, checkout, wanted | installed, lock_file)
    return environment.python


# -- which environment ---------------------------------------------------------------------------------


def choose(checkout: Path, variables: Mapping[str, str]) -> Environment:
    """EMOTION_VENV first; then the platform's or the active one if its torch can be used; else the project's own."""
    starter = Path(sys.executable)
    if variables.get("EMOTION_VENV"):
        return Environment("own", Path(variables["EMOTION_VENV"]).absolute(), starter)
    own = Environment("own", own_root(checkout, variables), starter)
    around = surrounding(variables, own.root)
    if around is None:
        return own
    torch, complaint = examine(around.base)
    chosen = replace(around, torch=torch)
    if not complaint and not chosen.installed_extras(checkout):
        complaint = try_out(chosen)
    if complaint:
        say(f"{around.base} {complaint}; it is left alone, and {own.root} is used with a torch of its own")
        return own
    return chosen


def own_root(checkout: Path, variables: Mapping[str, str]) -> Path:
    """`.venv` in the checkout, or a folder in the cache where the checkout cannot be written."""
    beside = checkout / ".venv"
    is_finished = (beside / MARKER).exists() and os.access(beside / "bin" / "python", os.X_OK)
    if is_finished or os.access(checkout, os.W_OK):
        return beside
    base = variables.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(variables.get("EMOTION_CACHE_DIR") or Path(base) / "emotion_utils")
    return cache.absolute() / f"venv-{hashlib.sha256(str(checkout).encode()).hexdigest()[:12]}"


def surrounding(variables: Mapping[str, str], own_root: Path) -> Environment | None:
    """Kaggle's or Colab's Python, or that of the active virtual or conda environment, if it is not the project's."""
    if any(variables.get(name) for name in PLATFORM_VARIABLES):
        folders = variables.get("PATH", "").split(os.pathsep)
        path = os.pathsep.join(folder for folder in folders if folder != str(own_root / "bin"))
        if python := shutil.which("python3", path=path):
            return Environment("layered", own_root, Path(python))
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        if variables.get(variable):
            root = Path(variables[variable]).absolute()
            return Environment("active", root, root / "bin" / "python") if root != own_root else None
    return None


def examine(python: Path) -> tuple[dict[str, str], str]:
    """The versions of torch and torchvision there, and why they cannot be used (empty: they can)."""
    if not os.access(python, os.X_OK):
        return {}, "is not a Python that starts"
    facts = json.loads(run([python, "-c", FIND_TORCH]))
    torch = {name: version for name, version in facts["torch"].items() if version}
    if "torch" not in torch:
        return {}, "has no torch"
    if tuple(facts["python"]) < (3, 11):
        return {}, f"is Python {'.'.join(map(str, facts['python']))}, older than 3.11"
    if tuple(int(number) for number in re.findall(r"\d+", torch["torch"])[:2]) < MINIMUM_TORCH:
        return {}, f"has torch {torch['torch']}, older than {'.'.join(map(str, MINIMUM_TORCH))}"
    return torch, ""


def try_out(environment: Environment) -> str:
    """Why packages cannot be added beside this torch (empty: they can)."""
    if environment.kind == "active" and not os.access(environment.root, os.W_OK):
        return "cannot be written"
    if not succeeds([environment.base, "-c", "import torch"]):
        return f"has torch {environment.torch['torch']}, which fails to import"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
