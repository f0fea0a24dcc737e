"""PyTorch's AdamW in one pass over the weights; on a processor over weights as they lie in memory."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch


class FlatAdamW(torch.optim.AdamW):
    """Fused AdamW over one-dimensional views of the weights, which share their memory; for a processor.

    How a weight is laid out is none of its concern then. Given the weights themselves, PyTorch's would copy each
    gradient that is laid out channels last, and take the wrong one for a weight whose gradient lies otherwise.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        self._weights = [weight for group in groups for weight in group["params"]]
        self._views = [_as_it_lies(weight.detach()) for weight in self._weights]
        views = iter(self._views)
        flat = [group | {"params": list(islice(views, len(group["params"])))} for group in groups]
        super().__init__(flat, lr=lr, fused=True)

    def collect(self) -> None:
        """Gives the views the gradients that their weights have by now."""
        for weight, view in zip(self._weights, self._views, strict=True):
            if weight.grad is not None and weight.grad.stride() != weight.stride():
                weight.grad = torch.empty_like(weight).copy_(weight.grad)
            view.grad = None if weight.grad is None else _as_it_lies(weight.grad)

    def step(self, closure: None = None) -> None:
        self.collect()
        super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of the weights, and those of their views with them."""
        for weight in self._weights:
            weight.grad = None
        super().zero_grad(set_to_none=True)


def make_optimizer(groups: list[dict[str, Any]], lr: float, device: torch.device) -> torch.optim.AdamW:
    """AdamW for parameter groups on `device`."""
    return FlatAdamW(groups, lr) if device.type == "cpu" else torch.optim.AdamW(groups, lr=lr, fused=True)


def collect_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Once they are complete, and before anything is done to them through the optimizer."""
    if isinstance(optimizer, FlatAdamW):
        optimizer.collect()


def clip_gradients(optimizer: torch.optim.Optimizer, limit: float) -> float:
    """Has the next step shorten the whole gradient, collected before, to `limit` if it is longer; returns its length.

    The gradients stay as they are: the fused step divides by `grad_scale` as it goes, which costs no pass of its own.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if isinstance(optimizer, FlatAdamW):  # BLAS takes half the time of a norm
        norm = torch.stack([torch.dot(gradient, gradient) for gradient in gradients]).sum().sqrt()
    else:
        norm = torch.nn.utils.get_total_norm(gradients)
    optimizer.grad_scale = None if norm <= limit else norm / limit
    return float(norm)


def _as_it_lies(tensor: torch.Tensor) -> torch.Tensor:
    """All numbers of a dense tensor in the order of memory, (N,), sharing it."""
    return tensor.as_strided((tensor.numel(),), (1,))
