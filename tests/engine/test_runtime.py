"""One policy of device, arithmetic and batch size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from xai_layermask import LayerMask
from xai_layermask.engine import fusion, runtime
from xai_layermask.engine.batching import auto_batch_size, batched_predict
from xai_layermask.engine.runtime import (
    NOISE_LIMIT,
    autocast_dtype,
    convert,
    find_device,
    first_parameter,
    forward_mode,
    has_float64,
    noise,
)
from xai_layermask.engine.waiting import never_waiting
from xai_layermask.errors import InputError

# --- device ---


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_auto_is_the_accelerator(monkeypatch, kind):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    assert find_device() == find_device("auto") == torch.device(kind)


def test_auto_is_the_processor_without_an_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert find_device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["fpga", "cuda:99", None, 3.5])
def test_a_device_that_is_not_here(name):
    with pytest.raises(InputError, match=r"^expected 'auto' or an available device for device, got .*: use 'cpu'$"):
        find_device(name)


@pytest.mark.parametrize(("name", "kind"), [("mps", "Apple computer"), ("cuda", "CUDA"), ("xpu:1", "Intel")])
def test_a_kind_of_accelerator_that_is_not_here_is_named(monkeypatch, name, kind):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch, "empty", lambda *args, device: (_ for _ in ()).throw(RuntimeError(f"no {device}")))
    with pytest.raises(InputError, match=rf"^expected .*, got '{name}' \(torch finds no GPU of .*{kind}\): use 'cpu'$"):
        find_device(name)


def test_a_device_whose_module_is_missing_is_refused():
    with pytest.raises(InputError, match=r"^expected 'auto' or an available device for device, got 'hpu': use 'cpu'$"):
        find_device("hpu")


# --- arithmetic ---


def test_the_first_floating_point_parameter():
    model = nn.Sequential(nn.Linear(2, 2).half(), nn.Linear(2, 2))
    model[0].register_parameter("count", nn.Parameter(torch.tensor(3), requires_grad=False))
    assert first_parameter(model) is model[0].weight
    only_counts = nn.Module()
    only_counts.register_parameter("count", nn.Parameter(torch.tensor(3), requires_grad=False))
    image = torch.zeros(1, dtype=torch.float64)
    assert first_parameter(only_counts, image) is image
    assert first_parameter(only_counts).dtype == torch.float32


def test_a_model_is_converted_in_a_copy_or_by_autocast(monkeypatch):
    model = nn.Linear(2, 2)
    for precision, dtype, autocast in (
        ("float32", torch.float32, None), ("float64", torch.float64, None),
        ("bfloat16", torch.float32, torch.bfloat16), ("float16", torch.float32, torch.float16),
    ):  # fmt: skip
        run = convert(model, precision)
        assert (run.dtype, run.autocast, run.tries, run.precision) == (dtype, autocast, None, precision)
        assert first_parameter(run.model).dtype == dtype
        assert (run.model is model) == (precision != "float64")
    assert model.weight.dtype == torch.float32
    for fast in (torch.bfloat16, torch.float16, None):
        monkeypatch.setattr(runtime, "autocast_dtype", lambda device, fast=fast: fast)
        assert convert(model).tries == fast
        assert convert(model.double()).tries is None
        model.float()
    assert convert(model.half()).precision == "float16"


def test_a_precision_that_cannot_be_had():
    with pytest.raises(InputError, match=r"expected one of auto, .* for precision, got 'float'"):
        convert(nn.Linear(2, 2), "float")
    for precision in ("bfloat16", "float16"):
        expected = f"expected a float32 model for precision '{precision}', got torch.float64"
        with pytest.raises(InputError, match=expected):
            convert(nn.Linear(2, 2).double(), precision)
    model = nn.Linear(2, 2)
    model.lock = (step for step in ())  # generators cannot be copied
    with pytest.raises(InputError, match=r"expected a model that can be copied for precision 'float64', got TypeError"):
        convert(model, "float64")


def test_noise_is_the_error_relative_to_the_spread():
    exact = np.random.default_rng(0).normal(size=(40, 2))
    error = np.random.default_rng(1).normal(size=(40, 2)) * [0.01, 0.3]
    pairs = zip(exact.T, error.T, strict=True)
    shares = [np.sqrt(np.mean((e - e.mean()) ** 2) / np.mean((x - x.mean()) ** 2)) for x, e in pairs]
    assert noise(exact, exact + error) == pytest.approx(max(shares))
    assert shares[0] < NOISE_LIMIT < shares[1]


def test_the_same_error_everywhere_is_no_noise():
    exact = np.array([[0.0], [1.0], [2.0]])
    assert noise(exact, exact + 0.5) == 0
    assert noise(exact * 0, exact * 0) == 0


def test_emulated_bfloat16_does_not_count(monkeypatch):
    for name in [name for name in dir(torch.cpu) if name.startswith("_is_")]:
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert autocast_dtype(torch.device("cpu")) is None
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert autocast_dtype(torch.device("cpu")) == torch.bfloat16


@pytest.mark.parametrize(
    ("native", "capability", "expected"),
    [(True, (8, 0), torch.bfloat16), (False, (7, 5), torch.float16), (False, (6, 1), None)],
)
def test_gpus_compute_in_the_type_that_they_have(native, capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert autocast_dtype(torch.device("cuda")) == expected


def test_a_device_without_float64_is_never_asked_for_it(monkeypatch):
    """The processor, in the place of a device that has single precision only."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()  # fmt: skip
    x, presence = torch.randn(2, 3, 9, 9), torch.rand(2, 1, 9, 9) < 0.5
    with torch.no_grad():
        expected = LayerMask(model)(x, presence)
        monkeypatch.setattr(fusion, "has_float64", lambda device: False)
        with never_waiting(), _Single():
            found = LayerMask(model)(x, presence)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    monkeypatch.setattr(runtime, "has_float64", lambda device: False)
    with pytest.raises(InputError, match="expected a precision that 'cpu' supports, got 'float64': use device='cpu'"):
        convert(model, "float64")
    assert not has_float64(torch.device("mps"))


class _Single(TorchDispatchMode):
    """Refuses float64, as MPS does."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        assert getattr(made, "dtype", None) != torch.float64, func
        return made


def test_a_series_of_forward_passes_looks_at_weights_and_image_once(monkeypatch):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    bound = LayerMask(model).bind(torch.rand(1, 1, 6, 6))
    looks, look = [], fusion.Weights._changed
    monkeypatch.setattr(fusion.Weights, "_changed", lambda *args: looks.append(1) or look(*args))
    presence = torch.rand(2, 1, 6, 6) < 0.5
    with forward_mode(torch.device("cpu")):
        answers = [bound(presence) for _ in range(4)]
    assert len(looks) == 1
    assert all(torch.equal(one, answers[0]) for one in answers)
    model[1].running_mean.data += 1
    assert not torch.equal(bound(presence), answers[0])


def test_forward_mode_takes_no_gradients():
    weight = torch.ones(2, 2, requires_grad=True)
    with forward_mode(torch.device("cpu")):
        assert not (weight @ weight).requires_grad
    assert torch.is_grad_enabled()


# --- batch size ---


def test_auto_batch_size_is_bounded_by_the_size_of_pictures():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert auto_batch_size(224, 224, cpu) == 8
    assert auto_batch_size(448, 448, cpu) == 2
    assert auto_batch_size(4000, 4000, cpu) == 1
    assert auto_batch_size(8, 8, gpu) == 256


def limited(most, error):
    """A function that counts its batches, and fails for more than some rows."""
    batches = []

    def predict(rows):
        if len(rows) > most:
            raise error
        batches.append(len(rows))
        return rows * 2

    return predict, batches


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("rows", [np.arange(39), torch.arange(39)])
def test_batches_are_halved_until_they_fit(rows, error):
    predict, batches = limited(5, error)
    done = []
    found, fitting = batched_predict(predict, rows, 32, done.append)
    assert fitting == 4
    assert batches == done == [4] * 9 + [3]
    assert type(found) is type(rows)
    assert found.tolist() == (rows * 2).tolist()


@pytest.mark.parametrize("batch_size", [1, 7, 39, 64])
def test_batches_have_the_size_that_was_asked_for(batch_size):
    predict, batches = limited(64, None)
    found, fitting = batched_predict(predict, np.arange(39), batch_size)
    assert fitting == batch_size
    assert max(batches) == min(batch_size, 39)
    assert found.tolist() == list(range(0, 78, 2))


def test_a_row_that_never_fits_and_other_errors_are_raised():
    with pytest.raises(MemoryError):
        batched_predict(limited(0, MemoryError())[0], np.arange(4), 4)
    with pytest.raises(RuntimeError, match="out of luck"):
        batched_predict(limited(1, RuntimeError("out of luck"))[0], np.arange(4), 4)
