"""What was changed by hand in a network of the table, as plain values: another head, other activations, more dropout.

A model's folder holds numbers and no code. A network that was edited in a notebook is therefore kept as its design and
the layers that differ from it; these must be PyTorch's own, which their printed form describes.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from emotion_utils.errors import InputError

BAD_LAYER = (
    SyntaxError, ValueError, TypeError, AttributeError, KeyError, IndexError, ArithmeticError, RuntimeError, MemoryError
)  # fmt: skip
MOST_CHARACTERS = 2000  # of a layer's arguments
LARGEST_ARGUMENT = 100_000  # of width, stride ...
# Built by loops as long as their arguments say, and of no use between images and logits.
REFUSED = (nn.RNNBase, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder, nn.AdaptiveLogSoftmaxWithLoss)
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
    """Puts the described layers in place, with initial weights. Raises InputError for what describes no layer."""
    for name, layer in edits.items():
        parent, _, child = name.rpartition(".")
        try:
            module = network.get_submodule(parent)
            if child not in dict(module.named_children()) and (not child or hasattr(module, child)):
                raise InputError("no layer can be put there")
            setattr(module, child, _build(layer))
        except BAD_LAYER as error:
            raise InputError(f"the edited layer {name!r} cannot be built ({error})") from None


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
    except BAD_LAYER:
        rebuilt = None
    if rebuilt != repr(module) or getattr(nn, layer[0]) is not type(module) or "forward" in vars(module):
        raise _cannot_keep(name, layer[0])
    return layer


def _build(layer: Layer) -> nn.Module:
    """The layer with initial weights. Raises one of BAD_LAYER where it cannot be built."""
    kind, arguments, children = layer
    build = getattr(nn, kind, None)
    if not isinstance(build, type) or not issubclass(build, nn.Module) or issubclass(build, REFUSED):
        raise InputError(f"{kind} is no layer of torch.nn that can be put in place")
    if children:
        module = build()
        for name, child in children.items():
            module.add_module(name, _build(child))
        return module
    if len(arguments) > MOST_CHARACTERS:
        raise InputError(f"{kind}: its arguments are too long")
    with warnings.catch_warnings():
        warnings.simplefilter("error", SyntaxWarning)  # of 1or 2: refused, and not on the terminal
        call = ast.parse(f"f({arguments})", mode="eval").body
    values = [ast.literal_eval(node) for node in call.args]
    keywords = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    if any(abs(number) > LARGEST_ARGUMENT for number in _whole_numbers([*values, *keywords.values()])):
        raise InputError(f"{kind}: an argument is larger than {LARGEST_ARGUMENT:,}")
    return build(*values, **keywords)


def _whole_numbers(values: Iterable[Any]) -> Iterator[int]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _whole_numbers(value)
        elif isinstance(value, int):
            yield value


def _cannot_keep(name: str, kind: str) -> InputError:
    return InputError(
        f"{name} ({kind}) was edited in a way that a model's folder cannot hold: only layers of torch.nn can be put in "
        "place by hand; write the network as a file and train it as a model of its own (docs/own_network.md)"
    )
