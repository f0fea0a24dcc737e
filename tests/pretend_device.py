"""A second device for tests on a machine that has none: it computes on the CPU and keeps its tensors apart."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

DEVICE = torch.device("meta")  # torch knows the name, and nothing here computes on it otherwise
ITS_SEED = 987
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Elsewhere(torch.Tensor):
    """A tensor of the pretended device; `inner` holds its values, and numpy cannot have them."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Elsewhere:
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device=DEVICE, requires_grad=inner.requires_grad,
        )  # fmt: skip
        if inner.dtype == torch.float64:
            raise TypeError("this device has no float64, as Apple's GPU has none")
        wrapper.inner = inner
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


def compute(function, args, kwargs):
    """Does on the CPU what was asked for, after a look at where all its tensors are."""
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    away = [isinstance(tensor, Elsewhere) for tensor in tensors]
    others = [tensor for tensor, is_away in zip(tensors, away, strict=True) if not is_away and tensor.dim()]
    if any(away) and others and function not in MOVES:
        raise RuntimeError(f"{function}: tensors of two devices, {[tuple(tensor.shape) for tensor in tensors]}")
    target = kwargs.get("device")
    goes_away = any(away) if target is None else torch.device(target) == DEVICE
    if function is torch.ops.aten.copy_.default:
        goes_away = away[0]
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    inner_args, inner_kwargs = tree_map_only(Elsewhere, lambda tensor: tensor.inner, (args, kwargs))
    draws_its_own = goes_away and torch.Tag.nondeterministic_seeded in function.tags  # as other devices do
    with torch.random.fork_rng(devices=[]) if draws_its_own else nullcontext():
        if draws_its_own:
            torch.default_generator.manual_seed(ITS_SEED)
        results = function(*inner_args, **inner_kwargs)
    if not goes_away:
        return results
    known = {id(tensor.inner): tensor for tensor in tensors if isinstance(tensor, Elsewhere)}  # changed in place

    def wrap(result: torch.Tensor) -> Elsewhere:
        return known[id(result)] if id(result) in known else Elsewhere(result)

    return tree_map_only(torch.Tensor, wrap, results)


class _Pretend(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return compute(function, args, kwargs or {})


@contextmanager
def pretended_device():
    """Inside, tensors and networks may be moved to DEVICE; whatever mixes the two devices is a RuntimeError."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with _Pretend():
            yield DEVICE
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
