"""PyTorch's AdamW in one pass over the weights as they lie in memory, whatever their layout."""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch

MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each weight, beside a count of its steps


class FlatAdamW(torch.optim.AdamW):
    """Fused AdamW over one-dimensional views of the weights, which share their memory.

    How a weight is laid out is none of its concern then. Given the weights themselves, PyTorch's refuses on a GPU what
    does not lie alike, and on a CPU takes the wrong gradient or moment for a weight that lies otherwise, without a
    word. Weights that were laid out anew, or moved, are followed before the next step. What `state_dict` holds has the
    shapes of the weights: it can be loaded whatever the layout is then.
    """

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        self._weights = [weight for group in groups for weight in group["params"]]
        if len({id(weight) for weight in self._weights}) < len(self._weights):
            raise ValueError("a weight stands in the groups twice: it would be moved twice in each step")
        self._views = [_as_it_lies(weight.detach()) for weight in self._weights]
        self._strides = [weight.stride() for weight in self._weights]
        self._is_collected = False
        views = iter(self._views)
        flat = [group | {"params": list(islice(views, len(group["params"])))} for group in groups]
        super().__init__(flat, lr=lr, fused=True)

    def collect(self) -> None:
        """Gives the views the gradients that their weights have by now: once these are complete."""
        self._follow()
        for weight, view in zip(self._weights, self._views, strict=True):
            if weight.grad is not None and weight.grad.stride() != weight.stride():
                weight.grad = torch.empty_like(weight).copy_(weight.grad)
            view.grad = None if weight.grad is None else _as_it_lies(weight.grad)
        self._is_collected = True

    def measure_gradient(self) -> torch.Tensor:
        """The length of the whole gradient, collected before; a number on the device, not waited for."""
        gradients = [view.grad for view in self._views if view.grad is not None]
        if gradients[0].device.type == "cpu":  # BLAS takes half the time of a norm
            return torch.stack([torch.dot(gradient, gradient) for gradient in gradients]).sum().sqrt()
        return torch.nn.utils.get_total_norm(gradients)

    def step_clipped(self, norm: torch.Tensor, limit: float, skip: bool | torch.Tensor) -> None:
        """One step with the gradient, `norm` long, shortened to `limit` if it is longer; none if `skip`.

        `skip` may be a bool that is still being computed on the device: nothing waits for it. The fused step divides
        by `grad_scale` as it goes, which costs no pass of its own.
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
            moments = {name: kept[name].as_strided(weight.shape, weight.stride()) for name in MOMENTS}
            copies = {name: value.clone(memory_format=torch.contiguous_format) for name, value in moments.items()}
            shaped[place] = {**kept, "step": kept["step"].clone(), **copies}
        return state | {"state": shaped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The other way; the state itself stays as it is."""
        self._follow()
        flat = {}
        for place, kept in state_dict["state"].items():
            moments = {name: _laid_out_like(kept[name], self._weights[place]) for name in MOMENTS}
            flat[place] = {**kept, "step": kept["step"].clone(), **moments}
        super().load_state_dict(state_dict | {"state": flat})

    @torch.no_grad()
    def _follow(self) -> None:
        """Views and moments of weights that lie elsewhere or otherwise than before."""
        for place, (weight, view) in enumerate(zip(self._weights, self._views, strict=True)):
            before = self._strides[place]
            if view.data_ptr() == weight.data_ptr() and before == weight.stride():
                continue
            kept = self.state.get(view, {})
            for name in MOMENTS if kept else ():
                kept[name] = _laid_out_like(kept[name].as_strided(weight.shape, before), weight)
            view.data, view.grad = _as_it_lies(weight.detach()), None
            self._strides[place] = weight.stride()


def _laid_out_like(tensor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """A copy of `tensor`, of the shape of `weight`, in the order of its memory: (N,), on its device."""
    return _as_it_lies(torch.empty_like(weight, dtype=tensor.dtype, requires_grad=False).copy_(tensor))


def _as_it_lies(tensor: torch.Tensor) -> torch.Tensor:
    """All numbers of a dense tensor in the order of memory, (N,), sharing it. Raises ValueError for another one."""
    reach = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    if tensor.numel() and reach != tensor.numel():
        raise ValueError(f"a weight of shape {tuple(tensor.shape)} does not lie densely in memory: use a copy of it")
    return tensor.as_strided((tensor.numel(),), (1,))
