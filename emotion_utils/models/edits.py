"""What was changed by hand in a network of the table, as plain values: another head, other activations, more dropout.

A model's folder holds numbers and no code. A network that was edited in a notebook is therefore kept as its design and
the layers that differ from it; these must be PyTorch's own, which their printed form describes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from torch import nn

from emotion_utils.errors import InputError

Layer = list[Any]  # [class name, arguments as printed, {name: Layer} of its children]


def find_edits(network: nn.Module, original: nn.Module) -> dict[str, Layer]:
    """The layers of `network` that `original` has otherwise: dotted name to their description.

    Raises InputError where such a layer cannot be described, and so could not be rebuilt from the model's folder.
    """
    if _is_same(network, original):
        return {}
    found: dict[str, Layer] = {}
    _compare("", network, original, found)
    return found


def apply_edits(network: nn.Module, edits: Mapping[str, Layer]) -> None:
    """Puts the described layers in place, with initial weights."""
    for name, layer in edits.items():
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, _build(layer))


def _compare(name: str, module: nn.Module, original: nn.Module, found: dict[str, Layer]) -> None:
    children, before = dict(module.named_children()), dict(original.named_children())
    is_alike = type(module) is type(original) and module.extra_repr() == original.extra_repr()
    if name and not (is_alike and children.keys() == before.keys()):
        found[name] = _describe(name, module)
        return
    if not is_alike or before.keys() - children.keys() or "forward" in vars(module):
        raise _cannot_keep(name or "the network", type(module).__name__)
    for child, inner in children.items():
        path = f"{name}.{child}".lstrip(".")
        if child not in before:
            found[path] = _describe(path, inner)
        elif not _is_same(inner, before[child]):
            _compare(path, inner, before[child], found)


def _is_same(module: nn.Module, original: nn.Module) -> bool:
    own = any("forward" in vars(inner) for inner in module.modules())
    kinds, before = (
        [type(inner) for _, inner in each.named_modules(remove_duplicate=False)] for each in (module, original)
    )
    return not own and kinds == before and repr(module) == repr(original)


def _describe(name: str, module: nn.Module) -> Layer:
    layer = [type(module).__name__, module.extra_repr(), {}]
    layer[2] = {child: _describe(f"{name}.{child}", inner) for child, inner in module.named_children()}
    try:
        rebuilt = repr(_build(layer))
    except (SyntaxError, ValueError, TypeError, AttributeError, InputError):
        rebuilt = None
    if rebuilt != repr(module) or getattr(nn, layer[0]) is not type(module) or "forward" in vars(module):
        raise _cannot_keep(name, layer[0])
    return layer


def _build(layer: Layer) -> nn.Module:
    """The layer with initial weights. Raises InputError, or what its class raises, where it cannot be built."""
    kind, arguments, children = layer
    if not isinstance(getattr(nn, kind, None), type) or not issubclass(getattr(nn, kind), nn.Module):
        raise InputError(f"{kind} is no layer of torch.nn")
    if children:
        module = getattr(nn, kind)()
        for name, child in children.items():
            module.add_module(name, _build(child))
        return module
    call = ast.parse(f"f({arguments})", mode="eval").body
    keywords = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    return getattr(nn, kind)(*map(ast.literal_eval, call.args), **keywords)


def _cannot_keep(name: str, kind: str) -> InputError:
    return InputError(
        f"{name} ({kind}) was edited in a way that a model's folder cannot hold: only layers of torch.nn can be put in "
        "place by hand; write the network as a file and train it as a model of its own (docs/own_network.md)"
    )
