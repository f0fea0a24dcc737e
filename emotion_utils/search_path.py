"""PYTHONPATH may lead to other copies of what the environment holds, as cluster modules and ROS do: they come last."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from emotion_utils.printable import printable
from emotion_utils.provenance import PROJECT_DIR

SUFFIXES = (".py", ".so", ".pyd")


def leave_out_copies() -> None:
    """Leaves out of this process and of those that it starts each folder of PYTHONPATH with such copies, and says so.

    To be called before anything that the environment holds is imported.
    """
    kept, own = [], _modules(Path(sysconfig.get_path("purelib"))) | _modules(Path(sysconfig.get_path("platlib")))
    for entry in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        copies = [] if _is_own(Path(entry)) else sorted(own & _modules(Path(entry)))
        if not copies:
            kept.append(entry)
            continue
        named = ", ".join(copies[:3]) + (" ..." if len(copies) > 3 else "")
        print(printable(f"PYTHONPATH: {entry} is left out: it holds another {named}"), file=sys.stderr)
        sys.path[:] = [folder for folder in sys.path if folder != os.path.abspath(entry)]
    os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def _is_own(folder: Path) -> bool:
    return folder.resolve() in (PROJECT_DIR.resolve(), Path(sysconfig.get_path("purelib")).resolve())


def _modules(folder: Path) -> set[str]:
    """Names under which Python finds a package or a module in `folder`."""
    try:
        paths = list(folder.iterdir())
    except OSError:
        return set()
    packages = {path.name for path in paths if (path / "__init__.py").exists()}
    return packages | {path.name.partition(".")[0] for path in paths if path.suffix in SUFFIXES}
