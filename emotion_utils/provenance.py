"""Where a run was made: versions, hardware and revision of the sources. Needs no torch."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGE_DIR = Path(__file__).parent
PROJECT_DIR = PACKAGE_DIR.parent
PACKAGES_SHOWN = (
    "torch", "torchvision", "numpy", "pandas", "scikit-learn", "statsmodels", "pillow", "opencv-python-headless",
    "matplotlib", "papermill", "nbconvert", "weasyprint",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Versions, hardware and git revision, as they go into run.json."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "git_revision": git_revision(),
        "versions": {name: version for name in PACKAGES_SHOWN if (version := _version(name))},
    }


def git_revision() -> str:
    """The commit of the checkout, with '+changes' where files differ from it; 'unknown' outside a checkout."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT_DIR), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
