"""Python files of a user's own: which modules they are, and which further ones they import. Needs no torch."""

from __future__ import annotations

import ast
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

INSTALLED = {"torch", "torchvision", "numpy", "emotion_utils", "builtins"}  # wherever they are
PLACES = ("site-packages", "dist-packages")


@lru_cache(maxsize=1024)
def is_installed(module: str) -> bool:
    """Whether a module is Python's, this package's or an installed one."""
    top = module.partition(".")[0]
    if top in INSTALLED or (top in sys.stdlib_module_names and top != "__main__"):
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and _is_installed_file(Path(file).absolute())


def _is_installed_file(path: Path) -> bool:
    folders = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places = [*folders, site.getusersitepackages()]
    return not set(PLACES).isdisjoint(path.parts) or any(path.is_relative_to(place) for place in places if place)


def read_own_files(path: str, code: bytes) -> dict[str, bytes]:
    """The Python file at `path` and those of the user's own that it imports, and they in turn: path to content.

    It has been run, so that what it imports is known.
    """
    found = {path: code}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        for other in _imported_files(file, found[file]):
            if other not in found:
                found[other] = Path(other).read_bytes()
                waiting.append(other)
    return found


def _imported_files(path: str, code: bytes) -> Iterator[str]:
    for name, level in _imported_names(ast.parse(code)):
        file = None if level else getattr(sys.modules.get(name), "__file__", None)
        beside = Path(path).absolute().parents[max(level - 1, 0)].joinpath(*name.split("."))
        candidates = [Path(file)] if file else [beside.with_suffix(".py"), beside / "__init__.py"]
        if level or not is_installed(name):
            yield from (str(each) for each in candidates if each.suffix == ".py" and each.is_file())


def _imported_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted names of modules, of what is taken from them, which may be modules too, and of the packages above; with
    the number of dots before a relative one."""
    for node in ast.walk(tree):
        names, level = [], 0
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base, level = node.module or "", node.level
            names = [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
        for name in filter(None, names):
            parts = name.split(".")
            yield from ((".".join(parts[:end]), level) for end in range(1, len(parts) + 1))
