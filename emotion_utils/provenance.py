"""Where a run was made: versions, hardware and revision of the sources. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from emotion_utils import __version__

PACKAGE_DIR = Path(__file__).parent
PROJECT_DIR = PACKAGE_DIR.parent  # the checkout; of an installed package the folder of all packages
IN_CHECKOUT = (PROJECT_DIR / "pyproject.toml").is_file()
NOTEBOOKS_DIR = (PROJECT_DIR if IN_CHECKOUT else PACKAGE_DIR) / "notebooks"  # a wheel carries them in the package
REPORTS_DIR = PROJECT_DIR / "reports" if IN_CHECKOUT else Path("reports")
PACKAGES_SHOWN = (
    "torch", "torchvision", "numpy", "pandas", "scikit-learn", "statsmodels", "pillow", "opencv-python-headless",
    "matplotlib", "papermill", "nbconvert", "weasyprint",
)  # fmt: skip


def describe_environment() -> dict[str, Any]:
    """Versions, hardware and git revision, as they go into run.json."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "git_revision": git_revision(),
        "versions": {name: version for name in PACKAGES_SHOWN if (version := _version(name))},
    }


def _processor() -> str:
    """The model of the processor as Linux names it, or what Python knows of it elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or "unknown")


def package_sha256() -> str:
    """SHA-256 (hex) of the package's own code as it lies on the disk now."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE_DIR.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE_DIR).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def git_revision() -> str:
    """The commit of the checkout, with '+changes' where files differ from it, or that which pip installed from a
    repository; 'unknown' where neither is known."""
    if not IN_CHECKOUT:
        return _installed_commit()
    try:
        commit, *above = _git("rev-parse", "--short=12", "HEAD", "--show-cdup").split()
        if above:  # an unpacked copy below somebody else's repository
            return "unknown"
        return commit + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _installed_commit() -> str:
    """What pip wrote down where it was given the address of a repository (PEP 610)."""
    try:
        origin = metadata.distribution("emotion-utils").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        origin = None
    commit = json.loads(origin or "{}").get("vcs_info", {}).get("commit_id", "")
    return commit[:12] or "unknown"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PROJECT_DIR), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
