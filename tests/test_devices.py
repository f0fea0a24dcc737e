"""Which device is used: a GPU only if it computes what the CPU computes, and what EMOTION_DEVICE says of it."""

import logging

import pytest
import torch

from emotion_utils import devices
from emotion_utils.devices import CPU, find_fault, pick_device
from emotion_utils.errors import InputError

META = torch.device("meta")  # a device that is there and cannot compute


@pytest.fixture(autouse=True)
def picks_anew(monkeypatch):
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    devices._pick.cache_clear()
    yield
    devices._pick.cache_clear()


def test_a_device_that_computes_as_the_cpu_does_has_no_fault():
    assert find_fault(CPU) == ""


@pytest.mark.parametrize(
    "message", ["CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors ...", ""]
)
def test_a_gpu_that_fails_at_its_first_kernel_is_left_with_one_line(monkeypatch, caplog, message):
    monkeypatch.setattr(devices, "_find_gpu", lambda local_rank: META)

    def to(self, device):
        raise RuntimeError(message)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    with caplog.at_level(logging.WARNING):
        assert pick_device() == pick_device() == CPU
    (line,) = [record.getMessage() for record in caplog.records]  # once, however often it is asked
    assert "\n" not in line
    assert (message.partition("\n")[0] or "RuntimeError") in line
    assert "EMOTION_DEVICE=cpu" in line


@pytest.mark.parametrize(("place", "what"), [(0, "outputs"), (1, "gradients"), (2, "the optimizer's step")])
def test_a_gpu_that_computes_something_else_is_left(monkeypatch, place, what):
    original, calls = devices._exercise, []

    def exercise(net, images, device):
        results = list(original(net, images, CPU))
        calls.append(device)
        if len(calls) == 2:  # the CPU is asked first
            results[place] = results[place] * 1.1
        return tuple(results)

    monkeypatch.setattr(devices, "_exercise", exercise)
    assert find_fault(META).startswith(f"{what} differ from the CPU's by ")


def test_not_a_number_is_a_difference(monkeypatch):
    original = devices._exercise
    results = iter([1.0, float("nan")])
    monkeypatch.setattr(
        devices, "_exercise", lambda net, images, device: [next_ * factor for factor in [next(results)]
                                                            for next_ in original(net, images, CPU)]
    )  # fmt: skip
    assert find_fault(META).startswith("outputs differ")


def test_the_variable_overrules_a_gpu_without_trying_it(monkeypatch):
    monkeypatch.setattr(devices, "_find_gpu", lambda local_rank: pytest.fail("asked for a GPU"))
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert pick_device() == CPU
    assert devices.count_gpus() == 0


@pytest.mark.parametrize("named", ["cuda", "cuda:7", "mps", "meta", "gpu", "cpu:x"])
def test_a_named_device_that_cannot_be_used_is_refused_with_its_name(monkeypatch, named):
    if (named.startswith("cuda") and torch.cuda.is_available()) or (
        named == "mps" and torch.backends.mps.is_available()
    ):
        pytest.skip(f"{named} is there")
    monkeypatch.setenv(devices.VARIABLE, named)
    with pytest.raises(InputError, match=f"EMOTION_DEVICE={named}: "):
        pick_device()


def test_each_process_gets_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "find_fault", lambda device: "")
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert [pick_device(rank) for rank in (0, 1, 2)] == [torch.device("cuda", place) for place in (0, 1, 0)]
    assert current == [torch.device("cuda", place) for place in (0, 1, 0)]
    assert devices.count_gpus() == 2
    monkeypatch.setenv(devices.VARIABLE, "cuda:1")
    assert (pick_device(), devices.count_gpus()) == (torch.device("cuda", 1), 1)
