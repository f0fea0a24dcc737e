"""Work that is recorded once as a CUDA graph and then replayed: the GPU no longer waits for each launch.

What needs a GPU is in `capture` alone; a test may replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from emotion_utils.training.recovery import BufferSnapshot

WARM_UP = 3  # runs before the recording, in which libraries choose their kernels and reserve their memory

Work = Callable[..., tuple[torch.Tensor, ...]]  # tensors to tensors; adds gradients to the parameters


class RecordedWork:
    """`work` as a CUDA graph for inputs of the shapes of `inputs`; it leaves gradients in `net` as well.

    Raises RuntimeError where it cannot be recorded, or its replay gives other results than `work` itself.
    """

    def __init__(self, net: nn.Module, work: Work, inputs: Sequence[torch.Tensor]) -> None:
        self._inputs = [tensor.clone() for tensor in inputs]
        self._learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
        before = BufferSnapshot(net)

        def run() -> tuple[tuple[torch.Tensor, ...], list[torch.Tensor | None]]:
            return work(*self._inputs), [parameter.grad for parameter in self._learning]

        def forget() -> None:
            net.zero_grad(set_to_none=True)
            before.restore()

        results, gradients = run()
        expected = [tensor.clone() for tensor in (*results, *gradients) if tensor is not None]
        forget()
        self._replay, (self._results, self._gradients) = capture(run, forget)
        forget()
        self._replay()
        found = [tensor for tensor in (*self._results, *self._gradients) if tensor is not None]
        if not all(_agree(one, other) for one, other in zip(expected, found, strict=True)):
            raise RuntimeError("a replay does not give what the step itself gives")
        forget()

    def __call__(self, inputs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The results, valid until the next call. The gradients replace any that `net` had."""
        for kept, tensor in zip(self._inputs, inputs, strict=True):
            kept.copy_(tensor)
        self._replay()
        for parameter, gradient in zip(self._learning, self._gradients, strict=True):
            parameter.grad = gradient
        return self._results


def capture(work: Callable[[], Any], forget: Callable[[], None]) -> tuple[Callable[[], None], Any]:
    """A function that replays `work`, and the results that a replay fills. Raises RuntimeError where that fails.

    `forget` undoes the effects of the runs before the recording. See "Whole-network capture" in PyTorch's notes on CUDA
    graphs.
    """
    own, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(own)
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            work()
            forget()
    own.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        # Other threads prepare batches meanwhile, and NCCL has a watchdog: only this thread is recorded.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            results = work()
    finally:
        torch.cuda.set_stream(own)  # a recording that fails leaves another one current
    return graph.replay, results


def _agree(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether both are equal up to rounding."""
    largest = float(one.abs().nan_to_num(posinf=0).max())
    return torch.allclose(one, other, rtol=1e-2, atol=1e-3 * largest + 1e-12, equal_nan=True)
