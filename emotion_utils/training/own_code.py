"""The code of a network that is neither PyTorch's nor this package's, as bytes that are the same in every process.

Of a file: the file as it was run, comments and docstrings aside, with the files that it imports from its own folders.
Of a notebook, or where there is no file: what was compiled, with the functions, classes and constants that it uses.
"""

from __future__ import annotations

import ast
import dis
import enum
import functools
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from emotion_utils.errors import InputError
from emotion_utils.model_table import own_sources
from emotion_utils.own_files import is_installed

PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(...), torch.dtype, torch.device)
GLOBAL_LOADS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
# Of a class: what Python adds by itself, and what changes nothing.
BESIDE_CODE = {
    "__dict__", "__weakref__", "__module__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "__abstractmethods__", "_abc_impl", "__annotate__", "__annotate_func__",
    "__annotations_cache__",
}  # fmt: skip


def is_installed_class(kind: type) -> bool:
    """Whether a class stands where it says in an installed module; what `exec` makes may only say so."""
    found: Any = sys.modules.get(kind.__module__) if is_installed(kind.__module__) else None
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind


def describe_code(net: nn.Module) -> list[str | bytes]:
    """The code and the plain attributes of all layers, as far as their classes are not installed.

    Raises InputError where a notebook's code uses a value that could not be recognised again.
    """
    description = _Description()
    parts: list[str | bytes] = []
    for kind in sorted({type(module) for module in net.modules()}, key=lambda kind: kind.__qualname__):
        if not is_installed_class(kind):
            parts += description.describe(kind)
        for base in filter(is_installed_class, kind.__mro__):
            parts += description.describe_patches(base)
    for name, module in net.named_modules():
        if not is_installed_class(type(module)):
            own = {key: value for key, value in sorted(vars(module).items()) if not key.startswith("_")}
            parts += [name, *_Description(lenient=True).describe(own)]
    return parts + sorted(map(without_docstrings, description.files.values()))


@functools.lru_cache(maxsize=64)
def without_docstrings(code: str | bytes) -> str:
    """Python code without comments and docstrings."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        holds_text = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if holds_text and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@functools.lru_cache(maxsize=1024)
def _is_installed_file(name: str) -> bool:
    return name.startswith("<frozen ") or Path(name).exists()


def _is_installed_function(function: types.FunctionType) -> bool:
    return is_installed(function.__module__ or "") and _is_installed_file(function.__code__.co_filename)


def _unwrap(value: Any) -> Any:
    return getattr(value, "__func__", getattr(value, "fget", value))


class _Description:
    """What decides how values behave, one part after the other; what refers to itself is described once.

    `files` are those of one's own that the values come from. With `lenient`, of a value that cannot be compared only
    the class counts: code in a file, which is known, has made it.
    """

    def __init__(self, lenient: bool = False) -> None:
        self.files: dict[str, bytes] = {}
        self._lenient = lenient
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # an id is only unique among what lives

    def describe_patches(self, kind: type) -> list[str | bytes]:
        """Functions that somebody has put into an installed class."""
        found = {name: _unwrap(value) for name, value in sorted(vars(kind).items())}
        return self._all(*(
            value for value in found.values()
            if isinstance(value, types.FunctionType) and not is_installed(value.__module__ or "builtins")
        ))  # fmt: skip

    def describe(self, value: Any) -> list[str | bytes]:
        kind = type(value)
        if kind in PLAIN or isinstance(value, types.BuiltinFunctionType | np.generic):
            is_function = isinstance(value, types.BuiltinFunctionType)
            return [f"{kind.__name__} {_full_name(value) if is_function else repr(value)}"]
        if isinstance(value, types.ModuleType):
            self._add_files(value.__name__)
            return [f"module {value.__name__.rpartition('.')[2]}"]
        if id(value) in self._seen:
            return [f"seen {self._seen[id(value)]}"]
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        return [kind.__name__, *self._describe_new(value)]

    def _describe_new(self, value: Any) -> list[str | bytes]:
        if isinstance(value, types.CodeType):
            return self._code(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, staticmethod | classmethod):
            return self.describe(value.__func__)
        if isinstance(value, types.MethodType):
            return self._all(value.__func__, value.__self__)
        if isinstance(value, property):
            return self._all(value.fget, value.fset, value.fdel)
        if isinstance(value, functools.partial):
            return self._all(value.func, value.args, value.keywords)
        if isinstance(value, set | frozenset):
            return sorted(repr(_Description(self._lenient).describe(item)) for item in value)
        if isinstance(value, tuple | list):
            return [str(len(value)), *self._all(*value)]
        if isinstance(value, dict):
            return [str(len(value)), *self._all(*value.keys(), *value.values())]
        if isinstance(value, torch.Tensor):
            array = value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
            return [f"{value.dtype} {tuple(value.shape)}", array.tobytes()]
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            return [f"{value.dtype} {value.shape}", value.tobytes()]
        if isinstance(value, nn.Module):
            return [*self.describe(type(value)), repr(value), *self.describe(dict(value.state_dict()))]
        return self._object(value)

    def _all(self, *values: Any) -> list[str | bytes]:
        return [part for value in values for part in self.describe(value)]

    def _code(self, code: types.CodeType) -> list[str | bytes]:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        return [code.co_code, repr(names), *self._all(*code.co_consts)]

    def _function(self, function: types.FunctionType) -> list[str | bytes]:
        """Code, defaults, what it encloses, and the globals that it reads."""
        if _is_installed_function(function):
            return [_full_name(function)]
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        parts = self._all(function.__defaults__, function.__kwdefaults__, cells)
        if self._add_files(function.__module__ or ""):
            return [function.__qualname__, *parts]
        code = function.__code__
        if function.__doc__ is not None and code.co_consts[:1] == (function.__doc__,):
            code = code.replace(co_consts=(None, *code.co_consts[1:]))
        parts += self.describe(code)
        for name in _names(code, GLOBAL_LOADS):
            if name in function.__globals__:
                parts += [name, *self._global(name, function.__globals__[name])]
        for name in _names(code, ("IMPORT_NAME",)):
            self._add_files(name)
        return parts

    def _global(self, name: str, value: Any) -> list[str | bytes]:
        try:
            return self.describe(value)
        except _IndescribableError as error:
            raise InputError(
                f"the code of the network uses {name} ({error}), which cannot be compared with that of another "
                "training: use plain values, functions and classes, or write the network as a file "
                "(docs/own_network.md)"
            ) from None

    def _class(self, kind: type) -> list[str | bytes]:
        """Its bases, and what was defined in it, wherever that came from since."""
        if is_installed_class(kind):
            return [_full_name(kind)]
        was_lenient, self._lenient = self._lenient, self._add_files(kind.__module__)
        contents = {name: value for name, value in sorted(vars(kind).items()) if name not in BESIDE_CODE}
        parts = [kind.__qualname__, *self._all(*kind.__bases__), *self.describe(contents)]
        self._lenient = was_lenient
        return parts

    def _add_files(self, module: str) -> bool:
        """Whether a module is in a file of one's own."""
        found = {} if is_installed(module) else own_sources(module)
        self.files |= found
        return bool(found)

    def _object(self, value: Any) -> list[str | bytes]:
        """By the attributes, where its class is one's own."""
        if isinstance(value, types.MemberDescriptorType | types.WrapperDescriptorType | types.MethodDescriptorType):
            return [value.__name__]
        if isinstance(value, enum.Enum):
            return [str(value)]
        if not is_installed_class(type(value)) and hasattr(value, "__dict__"):
            return self._all(type(value), dict(vars(value)))
        if self._lenient:
            return []
        raise _IndescribableError(f"of the class {type(value).__name__}")


class _IndescribableError(InputError):
    """A value that no bytes stand for."""


def _full_name(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _names(code: types.CodeType, operations: tuple[str, ...]) -> list[str]:
    """What these operations of the compiled code, and of the functions within it, name; sorted."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname in operations}
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return sorted(found.union(*(_names(each, operations) for each in inner)))
