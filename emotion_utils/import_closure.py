"""Which files of this package a piece of code rests on, and their checksum: what decides whether it must run again."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from emotion_utils import PUBLIC
from emotion_utils.provenance import PACKAGE_DIR

NAMED = re.compile(
    rf"{PACKAGE_DIR.name}(\.\w+)+(:\w+)?"
)  # a module as a string: imported later, or run by another process


IDLE = {f"{PACKAGE_DIR.name}.hand_report", f"{PACKAGE_DIR.name}.hand_report.show_report"}  # in a run it does nothing


def closure_sha256(code: str) -> str:
    """SHA-256 (hex) over the names and bytes of all files in `imported_files(code)`."""
    digest = hashlib.sha256()
    for path in imported_files(code):
        digest.update(f"{path.relative_to(PACKAGE_DIR).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def imported_files(code: str) -> list[Path]:
    """The package's modules that `code` imports, at its top or within functions, those that they import in turn, and
    the data files that they name, sorted."""
    found: set[Path] = set()
    waiting = _modules_in(code)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _modules_in(path.read_text(encoding="utf-8"))
    return sorted(found.union(*(_data_files(path) for path in found)))


def _modules_in(code: str) -> list[Path]:
    """The files of the package that are imported there: `a.b.c` is c.py, and the __init__.py of each folder above."""
    files = []
    for name in _imported_names(code) - IDLE:
        parts = PUBLIC.get(name, name).split(".")
        if parts[0] == PACKAGE_DIR.name:
            for end in range(1, len(parts) + 1):
                place = PACKAGE_DIR.joinpath(*parts[1:end])
                files += [path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()]
    return files


@lru_cache(maxsize=512)
def _imported_names(code: str) -> frozenset[str]:
    """Of modules, and of what is taken from them, which may be modules too."""
    return frozenset(_walk_imports(ast.parse(code)))


def _walk_imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and NAMED.fullmatch(child.value):
            yield child.value.partition(":")[0]
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue  # never run
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _walk_imports(child)


def _data_files(module: Path) -> set[Path]:
    """What is no Python and lies beside `module` under a name that it holds as a string: a file, or a whole folder."""
    named = _strings(module.read_text(encoding="utf-8"))
    beside = [path for path in module.parent.iterdir() if path.name in named and path.suffix != ".py"]
    folders = [path for path in beside if path.is_dir() and not any(path.rglob("*.py"))]
    return {path for path in beside if path.is_file()} | {path for folder in folders for path in folder.iterdir()}


@lru_cache(maxsize=512)
def _strings(code: str) -> frozenset[str]:
    constants = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))
