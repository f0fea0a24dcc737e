"""On which device networks run: decided in one place, by trying it out."""

from __future__ import annotations

import copy
import logging
import os
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from emotion_utils.errors import InputError

VARIABLE = "EMOTION_DEVICE"  # cpu, cuda, cuda:1, mps: what a person wants instead of what would be picked
REPEATABLE_CUBLAS = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, at its first product
TOLERANCE = 0.02  # of the largest value: room for TF32, none for a kernel that computes something else
CPU = torch.device("cpu")
EVALUATION_BATCH_SIZE = 64  # on a CPU; products of another size are summed in another order
GPU_BATCH_PIXELS = 1 << 22  # keep a GPU busy, and VGG16's largest layer in 1 GB: 83 images of 224 px, 1,820 of 48 px


def pick_device(local_rank: int = 0) -> torch.device:
    """The GPU (CUDA, ROCm or Apple's) if it computes what the CPU computes, else the CPU. EMOTION_DEVICE overrules it.

    `local_rank` chooses among several GPUs of a machine. A GPU that reports itself as available and then fails, or
    answers otherwise, is left, and the log gets one line that says why.
    Raises InputError where EMOTION_DEVICE names a device that cannot be used.
    """
    device = _pick(os.environ.get(VARIABLE, "").lower(), local_rank)
    if device.type == "cuda":  # graphs, streams and collectives go to the current one, wherever tensors are
        torch.cuda.set_device(device)
    return device


def count_gpus() -> int:
    """How many GPUs a training may use: one process each."""
    device = pick_device()
    if device.type == "cpu":
        return 0
    named = os.environ.get(VARIABLE, "")
    return torch.cuda.device_count() if device.type == "cuda" and ":" not in named else 1


def evaluation_batch_size(device: torch.device, size_px: int) -> int:
    """How many images of `size_px` a network is shown at once, where nothing is learned and only speed counts."""
    if device.type == "cpu":
        return EVALUATION_BATCH_SIZE
    return max(EVALUATION_BATCH_SIZE, GPU_BATCH_PIXELS // size_px**2)


def synchronise(device: torch.device) -> None:
    """Waits until the device has done all that it was given; a CPU always has."""
    if device.type != "cpu":
        torch.get_device_module(device).synchronize()


def wide_float(device: torch.device) -> torch.dtype:
    """For what is added up over many images; Apple's GPU has nothing wider than float32."""
    return torch.float32 if device.type == "mps" else torch.float64


@lru_cache
def _pick(named: str, local_rank: int) -> torch.device:
    if named:
        return _check_named(named, local_rank)
    found = _find_gpu(local_rank)
    if found is None:
        return CPU
    fault = find_fault(found)
    if fault:
        logging.getLogger("emotion_utils").warning(
            "%s is not used, everything runs on the CPU: %s; %s=cpu stops asking", found, fault, VARIABLE
        )
    return CPU if fault else found


def _find_gpu(local_rank: int) -> torch.device | None:
    if torch.cuda.is_available():
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return torch.device("mps") if torch.backends.mps.is_available() else None


def _check_named(named: str, local_rank: int) -> torch.device:
    try:
        device = torch.device(named)
    except RuntimeError:
        raise InputError(f"--device or {VARIABLE}={named}: no such device; name cpu, cuda, cuda:N or mps") from None
    if device.type == "cpu":
        return CPU
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
    fault = find_fault(device)
    if fault:
        raise InputError(f"--device or {VARIABLE}={named}: it cannot be used ({fault}); leave it out, or name cpu")
    return device


def find_fault(device: torch.device) -> str:
    """What is wrong with a device, in one line; empty where a forward pass, a backward pass and a step of the optimizer
    agree with the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(512, 3)
        )
        images = torch.rand(4, 3, 8, 8)
    os.environ.setdefault(*REPEATABLE_CUBLAS)
    try:
        expected, found = _exercise(net, images, CPU), _exercise(net, images, device)
    except (RuntimeError, NotImplementedError, AssertionError) as error:  # torch raises any of them
        return str(error).strip().partition("\n")[0] or type(error).__name__
    for what, ours, theirs in zip(("outputs", "gradients", "the optimizer's step"), expected, found, strict=True):
        difference, largest = float((ours - theirs).abs().max()), float(ours.abs().max())
        if not difference <= TOLERANCE * largest:
            return f"{what} differ from the CPU's by {difference:.2g}, where {largest:.2g} is the largest"
    return ""


def _exercise(net: nn.Module, images: torch.Tensor, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Logits, all gradients, and what a step of AdamW makes of a weight and a scaled gradient; on the CPU."""
    net = copy.deepcopy(net).to(device)
    logits = net(images.to(device))
    logits.square().sum().backward()
    gradients = torch.cat([parameter.grad.flatten().cpu() for parameter in net.parameters()])
    weight = nn.Parameter(torch.zeros(64, device=device))
    weight.grad = torch.linspace(-1, 1, 64).to(device)
    optimizer = torch.optim.AdamW([weight], lr=1.0, fused=True)
    optimizer.grad_scale = torch.tensor(2.0, device=device)  # as where a gradient is clipped
    optimizer.step()
    moments = optimizer.state[weight]["exp_avg"]
    stepped = torch.cat([weight.detach(), moments]).cpu()
    return logits.detach().cpu(), gradients, stepped


# -- there and back --------------------------------------------------------------------------------


def upload(values: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
    """`values` on the device; on their way to a GPU when this returns, behind what it has to do already."""
    tensor = torch.as_tensor(values)
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class Download:
    """A few numbers on their way from the device; `read` waits for them."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values.to(CPU, non_blocking=values.is_cuda)
        self._done = torch.cuda.current_stream(values.device).record_event() if values.is_cuda else None

    def read(self) -> list[float]:
        """Of a tensor (N,)."""
        if self._done is not None:
            self._done.synchronize()
        return self._values.tolist()
