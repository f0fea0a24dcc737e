"""PyTorch's fused AdamW and SGD over the weights in their order in memory, whatever their layout."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch

MOMENTUM = 0.9  # of SGD, Nesterov's


class FlatOptimizer(torch.optim.Optimizer):
    """A fused optimizer over one-dimensional views of the weights, which share their memory.

    That makes it independent of layouts. Where a weight and its gradient or moments are laid out differently, PyTorch's
    own refuses on a GPU, and on a CPU silently pairs the wrong elements. Weights that were moved or laid out anew are
    followed before the next step. `state_dict` has the shapes of the weights, and loads into any layout.
    """

    moments: tuple[str, ...]  # what it keeps of each weight, in its shape

    def __init__(self, groups: list[dict[str, Any]], lr: float, **options: Any) -> None:
        self._weights = [weight for group in groups for weight in group["params"]]
        if len({id(weight) for weight in self._weights}) < len(self._weights):
            raise ValueError("a weight is in the groups twice: each step would update it twice")
        self._views = [_as_it_lies(weight.detach()) for weight in self._weights]
        self._strides = [weight.stride() for weight in self._weights]
        self._is_collected = False
        views = iter(self._views)
        flat = [group | {"params": list(islice(views, len(group["params"])))} for group in groups]
        super().__init__(flat, lr=lr, fused=True, **options)

    def collect(self) -> None:
        """Hands the gradients of the weights, complete by now, to their views."""
        self._follow()
        for weight, view in zip(self._weights, self._views, strict=True):
            if weight.grad is not None and weight.grad.stride() != weight.stride():
                weight.grad = torch.empty_like(weight).copy_(weight.grad)
            view.grad = None if weight.grad is None else _as_it_lies(weight.grad)
        self._is_collected = True

    def measure_gradient(self) -> torch.Tensor:
        """The norm of the whole gradient, collected before; a tensor () that may still be being computed."""
        gradients = [view.grad for view in self._views if view.grad is not None]
        if gradients[0].device.type == "cpu":  # with BLAS in half the time
            return torch.stack([torch.dot(gradient, gradient) for gradient in gradients]).sum().sqrt()
        return torch.nn.utils.get_total_norm(gradients)

    def step_clipped(self, norm: torch.Tensor, limit: float, skip: bool | torch.Tensor) -> None:
        """A step with the gradient, whose norm is `norm`, clipped to the norm `limit`; no step if `skip`.

        `skip` may be a bool tensor that the device is still computing: nothing waits for it. The fused step divides by
        `grad_scale` itself, which saves a pass.
        """
        if isinstance(skip, torch.Tensor):
            self.found_inf, self.grad_scale = skip.float(), (norm / limit).clamp(min=1).float()
        elif skip:
            return
        else:
            self.found_inf, self.grad_scale = None, None if norm <= limit else norm / limit
        self.step()
        self.found_inf = self.grad_scale = None

    def step(self, closure: None = None) -> None:
        if not self._is_collected:
            self.collect()
        super().step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of the weights, and those of their views with them."""
        for weight in self._weights:
            weight.grad = None
        self._is_collected = False
        super().zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """As PyTorch's, with moments of the weights' own shapes, contiguous; a copy."""
        self._follow()
        state = super().state_dict()
        shaped = {}
        for place, kept in state["state"].items():
            weight = self._weights[place]
            moments = {name: kept[name].as_strided(weight.shape, weight.stride()) for name in self.moments}
            copies = {name: value.clone(memory_format=torch.contiguous_format) for name, value in moments.items()}
            shaped[place] = {name: value.clone() for name, value in kept.items()} | copies
        return state | {"state": shaped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads what `state_dict` returned, and leaves it unchanged."""
        self._follow()
        flat = {}
        for place, kept in state_dict["state"].items():
            moments = {name: _laid_out_like(kept[name], self._weights[place]) for name in self.moments}
            flat[place] = {name: value.clone() for name, value in kept.items()} | moments
        super().load_state_dict(state_dict | {"state": flat})

    @torch.no_grad()
    def _follow(self) -> None:
        """Updates views and moments of weights that were moved or laid out anew."""
        for place, (weight, view) in enumerate(zip(self._weights, self._views, strict=True)):
            before = self._strides[place]
            if view.data_ptr() == weight.data_ptr() and before == weight.stride():
                continue
            kept = self.state.get(view, {})
            for name in self.moments if kept else ():
                kept[name] = _laid_out_like(kept[name].as_strided(weight.shape, before), weight)
            view.data, view.grad = _as_it_lies(weight.detach()), None
            self._strides[place] = weight.stride()


class FlatAdamW(FlatOptimizer, torch.optim.AdamW):
    """PyTorch's AdamW with its usual betas."""

    moments = ("exp_avg", "exp_avg_sq")


class FlatSGD(FlatOptimizer, torch.optim.SGD):
    """PyTorch's SGD with Nesterov's momentum."""

    moments = ("momentum_buffer",)

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, lr, momentum=MOMENTUM, nesterov=True)

    def collect(self) -> None:
        """Momentum begins at 0: PyTorch's own would begin with whatever lies in memory where a step is skipped."""
        super().collect()
        for view in self._views:
            if view.grad is not None and not self.state[view]:
                self.state[view]["momentum_buffer"] = torch.zeros_like(view)


OPTIMIZERS = {"adamw": FlatAdamW, "sgd": FlatSGD}


def _laid_out_like(tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A copy of `tensor`, of the shape of `weight`, in the order of its memory: (N,), on its device."""
    return _as_it_lies(torch.empty_like(weight, dtype=tensor.dtype, requires_grad=False).copy_(tensor))


def _as_it_lies(tensor: torch.Tensor) -> torch.Tensor:
    """A view (N,) of a dense tensor in its order in memory. Raises ValueError for one that is not dense."""
    reach = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    if tensor.numel() and reach != tensor.numel():
        raise ValueError(f"a weight of shape {tuple(tensor.shape)} is not dense in memory: use a copy of it")
    return tensor.as_strided((tensor.numel(),), (1,))
