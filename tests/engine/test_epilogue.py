"""Biases that are added by what follows a convolution, as on a device with Triton."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from by_hand import Function
from torch import nn

from xai_layermask import LayerMask
from xai_layermask.engine import dense, epilogue, executor
from xai_layermask.engine.epilogue import Epilogue
from xai_layermask.engine.memory import Memory
from xai_layermask.engine.recording import Recorder
from xai_layermask.engine.waiting import never_waiting

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
ACTIVATIONS = {
    "identity": (("clamp", None, None), lambda x: x),
    "relu": (("clamp", 0.0, None), F.relu),
    "relu6": (("clamp", 0.0, 6.0), F.relu6),
    "hardtanh": (("clamp", -0.1, 0.7), lambda x: F.hardtanh(x, -0.1, 0.7)),
    "clamp_max": (("clamp", None, 0.3), lambda x: x.clamp(max=0.3)),
    "empty range": (("clamp", 1.0, -1.0), lambda x: x.clamp(1.0, -1.0)),
    "silu": (("silu", None, None), F.silu),
    "hardswish": (("hardswish", None, None), F.hardswish),
}
#: Channels, and whether there is a residual, and whether it has a bias.
CALLS = [(1, False, False), (3, True, False), (8, False, False), (12, True, True), (130, True, True)]


# --- the kernel ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kernel_computes_what_torch_does(kernels, name, dtype):
    given, function = ACTIVATIONS[name]
    wide = torch.promote_types(dtype, torch.float32)
    for channels, other, more in CALLS:
        x = (3 * torch.randn(2, channels, 5, 7)).to(dtype, memory_format=torch.channels_last)
        biases = [torch.randn(channels).to(one) for one in (dtype, wide)[: 1 + more]]
        residual = torch.randn_like(x) if other else None
        sums = x.to(wide) + sum(bias.to(wide) for bias in biases).view(-1, 1, 1) + (residual if other else 0)
        expected, before = function(sums).to(dtype), copy.deepcopy(residual)
        found = kernels.finish(x, biases[0], *given, residual, *biases[1:])
        assert found.data_ptr() == x.data_ptr()
        torch.testing.assert_close(found, expected)
        assert residual is None or torch.equal(residual, before)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_kernel_keeps_what_is_not_a_number(kernels, name):
    given, function = ACTIVATIONS[name]
    x = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, -1e30, -0.0, 3, -3]).view(1, 1, 2, 4)
    expected = function(x + 0.0)
    torch.testing.assert_close(kernels.finish(x.clone(), torch.zeros(1), *given), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("name", ["relu", "silu", "hardswish"])
def test_kernel_on_a_device(name, dtype, device):
    kernels = dense.kernels_on(device)
    if kernels is None:
        pytest.skip("no kernels on this device")
    given, function = ACTIVATIONS[name]
    for channels in (3, 24, 130, 512):
        x, residual = torch.randn(2, 2, channels, 13, 11).to(dtype).unbind()
        biases = torch.randn(2, channels)
        sums = x.float() + biases.sum(0).view(-1, 1, 1) + residual
        maps = [one.to(device).contiguous(memory_format=torch.channels_last) for one in (x, residual)]
        found = kernels.finish(maps[0], biases[0].to(device), *given, maps[1], biases[1].to(device))
        torch.testing.assert_close(found.cpu(), function(sums).to(dtype))


# --- models ---


class Block(nn.Module):
    """A residual block as in ResNet, with or without a convolution beside it."""

    def __init__(self, wide, narrow, stride, how):
        super().__init__()
        self.a, self.b = nn.Conv2d(wide, narrow, 3, stride, 1, bias=False), nn.Conv2d(narrow, narrow, 3, 1, 1)
        self.na, self.nb = nn.BatchNorm2d(narrow), nn.BatchNorm2d(narrow)
        self.beside = nn.Sequential(nn.Conv2d(wide, narrow, 1, stride), nn.BatchNorm2d(narrow)) if stride > 1 else None
        self.how = how

    def forward(self, x):
        y = F.relu(self.na(self.a(x)), inplace=self.how == "in place")
        y = self.nb(self.b(y))
        x = x if self.beside is None else self.beside(x)
        if self.how == "in place":
            y += x
        else:
            y = x + y if self.how == "turned" else y + x
        return F.relu(y, inplace=self.how == "in place")


class Inverted(nn.Module):
    """An inverted residual as in EfficientNet: its sum is followed by no activation."""

    def __init__(self, channels, activation):
        super().__init__()
        wide = 2 * channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, wide, 1), nn.BatchNorm2d(wide), activation,
            nn.Conv2d(wide, wide, 3, 1, 1, groups=wide), nn.BatchNorm2d(wide), activation,
            nn.Conv2d(wide, channels, 1, padding="same"), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x):
        return x + self.layers(x)


def ended(*layers):
    torch.manual_seed(0)
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(), part.running_var.uniform_(0.5, 2), nn.init.normal_(part.bias)
    return model


def resnet(how="in place"):
    return ended(
        nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=how == "in place"), nn.MaxPool2d(3, 2, 1),
        Block(8, 8, 1, how), Block(8, 12, 2, how),
    )  # fmt: skip


def inverted(activation):
    blocks = Inverted(6, activation), Inverted(6, activation)
    return ended(nn.Conv2d(3, 6, 3, 1, 1), activation, *blocks, nn.Conv2d(6, 5, 3))


#: Models, with how many maps are finished, and how many convolutions keep their bias.
MODELS = {
    "resnet": (resnet, 5, 0),
    "resnet, not in place": (lambda: resnet("new"), 5, 0),
    "resnet, turned": (lambda: resnet("turned"), 5, 0),
    "silu": (lambda: inverted(nn.SiLU()), 7, 1),
    "hardswish": (lambda: inverted(nn.Hardswish(inplace=True)), 7, 1),
    "relu6": (lambda: inverted(nn.ReLU6(inplace=True)), 7, 1),
    "hardtanh": (lambda: inverted(nn.Hardtanh(-0.3, 0.6)), 7, 1),
    "gelu": (lambda: inverted(nn.GELU()), 2, 5 + 1),
}


@pytest.fixture
def used(kernels, monkeypatch):
    """As on a device with kernels, except for the numbers' place: counts the maps that are finished."""
    count = Counter()

    def finish(x, *rest):
        count[x.dtype] += 1
        return kernels.finish(x, *rest)

    stand_in = type("Kernels", (), {**vars(kernels), "finish": staticmethod(finish)})
    for module in (dense, executor):
        monkeypatch.setattr(module, "kernels_on", lambda device: stand_in)
    with never_waiting():
        yield count


def case(size=9):
    draw = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, size, size, generator=draw), torch.rand(2, 1, size, size, generator=draw) < 0.4


def plainly(masked, *given):
    """The answer of the CPU path."""
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(executor, "kernels_on", lambda device: None)
        patch.setattr(dense, "kernels_on", lambda device: None)
        return masked(*given)


def steps_of(masked):
    """The steps of the latest program."""
    (captured,) = masked._graphs.values()
    return list(captured._programs.values())[-1].steps


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [*((name, {}) for name in MODELS), ("resnet", {"padding": "zero"}), ("resnet", {"padding": "partial"}),
     ("hardswish", {"threshold": 0.3}), ("resnet", {"until": "4"})],
    ids=str,
)  # fmt: skip
def test_models_answer_the_same(used, name, kwargs):
    make, finished, left = MODELS[name]
    masked, given = LayerMask(make(), **kwargs), case()
    expected = plainly(masked, *given)
    with torch.no_grad():
        found = masked(*given)
        whole = masked(given[0], torch.ones_like(given[1]))
        torch.testing.assert_close(whole, masked.model(given[0]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    # Partial convolutions may change the layout of a map.
    assert used == {torch.float32: 2 * finished} or (kwargs == {"padding": "partial"} and used)
    convolutions = [step for step in steps_of(masked) if "conv2d" in step.name]
    assert sum(len(step.inputs) > 2 for step in convolutions) == left


@pytest.mark.parametrize("name", ["resnet", "silu"])
def test_autocast(used, name):
    masked, given = LayerMask(MODELS[name][0]()), case()
    exact = plainly(masked, *given)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found, rough = masked(*given), plainly(masked, *given)
    assert set(used) == {torch.bfloat16}
    assert found.dtype == rough.dtype
    torch.testing.assert_close(found.float(), exact, atol=0.01, rtol=0.02)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(used, dtype):
    masked, (x, presence) = LayerMask(resnet().to(dtype)), case()
    expected = plainly(masked, x.to(dtype), presence)
    with torch.no_grad():
        found = masked(x.to(dtype), presence)
    rough = dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, atol=0.01 if rough else 1e-12, rtol=0.02 if rough else 1e-12)
    assert used == {dtype: 5}


def test_gradients_use_no_kernel(used):
    masked, (x, presence) = LayerMask(resnet()), case()
    masked(x, presence).sum().backward()
    masked(x.requires_grad_(), presence).sum().backward()
    assert x.grad.abs().sum() > 0
    assert not used
    assert not any(isinstance(step, Epilogue) for step in steps_of(masked))


def test_recorded_runs(used):
    masked, given = LayerMask(ended(nn.Conv2d(3, 6, 3), nn.ReLU(), Block(6, 8, 2, "in place"))), case()
    expected = plainly(masked, *given)
    (captured,) = masked._graphs.values()
    captured._recorder = Recorder(lambda device, run: run() or run, "cpu")
    with torch.no_grad():
        for _ in range(6):
            torch.testing.assert_close(masked(*given), expected, atol=1e-5, rtol=1e-5)
    assert captured._recorder._recordings
    masked.model[0].bias.data.add_(1)
    masked.model[2].nb.bias.data.add_(1)
    changed = plainly(LayerMask(masked.model), *given)
    with torch.no_grad():
        torch.testing.assert_close(masked(*given), changed, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(changed, expected)


# --- where it does not apply ---


def _twice(x, a, b):
    y = a(x)
    return torch.relu(y) + y.abs()


def _view(x, a, b):
    y = a(x)
    part = y[:, :2]
    return torch.relu(y)[:, :2] + part


def _returned(x, a, b):
    y = a(x)
    return torch.relu(y), y


def _sum_returned(x, a, b):
    y = a(x).tanh() + b(x)
    return torch.relu(y).mean((2, 3)), y


def _scaled(x, a, b):
    return torch.relu(torch.add(a(x).tanh(), b(x), alpha=2))


def _overwritten(x, a, b):
    y = a(x).tanh()
    z = b(x) + y
    y.mul_(3)
    return torch.relu(z) + y


def _into_residual(x, a, b):
    y = a(x).tanh()
    y += b(x)
    return torch.relu(y)


def _pooled(x, a, b):
    return torch.relu(F.max_pool2d(a(x), 2))


def _bound(x, a, b):
    return torch.clamp(a(x), min=b.bias.view(-1, 1, 1))


CASES = {
    "read twice": (_twice, 0),
    "read by a view": (_view, 0),
    "returned": (_returned, 0),
    "filled": (lambda x, a, b: F.avg_pool2d(a(x), 3, 1, 1), 0),
    "followed by a convolution": (lambda x, a, b: F.conv2d(a(x), b.weight[:, :1], groups=4), 0),
    "added to itself": (lambda x, a, b: (lambda y: y + y)(a(x)), 0),
    "a factor": (_scaled, 0),
    "a sum of one channel": (lambda x, a, b: torch.relu(a(x) + b(x)[:, :1]), 0),
    "a sum with a number": (lambda x, a, b: torch.relu(a(x) + 3), 0),
    "a bound for each channel": (_bound, 0),
    "a pool between": (_pooled, 0),
    "another activation": (lambda x, a, b: F.gelu(a(x)), 0),
    "the residual is the target": (_into_residual, 0),
    "the sum is returned": (_sum_returned, 1),
    "the residual is overwritten": (_overwritten, 1),
    "both are convolutions": (lambda x, a, b: torch.relu(a(x) + b(x)), 1),
    "no activation": (lambda x, a, b: a(x) + b(x).tanh(), 1),
    "wider residual": (lambda x, a, b: torch.relu(a(x) + b(x).double().tanh()), 0),
    "bounds": (lambda x, a, b: a(x).clamp(-0.1, 0.2) + b(x).clamp_min(0.1).tanh(), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_only_where_nothing_else_sees_it(used, name):
    function, finished = CASES[name]
    model = Function(function, nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)).eval()
    masked, given = LayerMask(model), case()
    expected = plainly(masked, *given)
    with torch.no_grad():
        found = masked(*given)
    for one, other in zip(*[(y,) if isinstance(y, torch.Tensor) else y for y in (found, expected)], strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert sum(used.values()) == finished


@pytest.mark.parametrize(("until", "finished"), [("0", 0), ("1", 1), (None, 1)])
def test_the_end_of_masking_stays_where_it_is(used, until, finished):
    model = ended(nn.Conv2d(3, 4, 3), nn.ReLU())
    masked, given = LayerMask(model, until=until), case()
    expected = plainly(masked, *given)
    with torch.no_grad():
        torch.testing.assert_close(masked(*given), expected, atol=1e-5, rtol=1e-5)
    assert sum(used.values()) == finished


# --- maps that cannot be written over ---


def test_other_layouts_and_shared_memory_are_left_alone(used):
    masked, given = LayerMask(ended(nn.Conv2d(3, 4, 3), nn.ReLU())), case()
    with torch.no_grad():
        masked(*given)
    (step,) = (one for one in steps_of(masked) if isinstance(one, Epilogue))
    number, bias = step.inputs
    x, memory = torch.randn(2, 4, 5, 6).contiguous(memory_format=torch.channels_last), Memory()
    memory.add(number, x, ())
    row, expected = torch.randn(4), None
    for one in (x, x.contiguous(), x.clone()[..., 1:], x.half()):
        before = one.clone()
        expected = torch.relu(one + row.to(one.dtype).view(-1, 1, 1))
        assert torch.equal(step({number: one, bias: row}), expected)
        assert torch.equal(one, before)
    assert step.write({number: x.contiguous(), bias: row}, memory) is None
    assert step.write({number: x[..., 1:], bias: row}, memory) is None
    assert step.write({number: x, bias: torch.randn(8)[::2]}, memory) is None
    memory.add(99, x[:1], (x,))
    assert step.write({number: x, bias: row}, memory) is None
    memory.drop(99)
    assert step.write({number: x, bias: row}, memory) is x


@pytest.mark.parametrize("name", ["resnet", "resnet, turned", "hardswish"])
def test_models_answer_the_same_in_another_layout(used, name, monkeypatch):
    masked, given = LayerMask(MODELS[name][0]()), case()
    expected = plainly(masked, *given)
    monkeypatch.setattr(epilogue, "_is_dense", lambda x: False)
    with torch.no_grad():
        torch.testing.assert_close(masked(*given), expected, atol=1e-5, rtol=1e-5)
    assert not used
    assert any(isinstance(step, Epilogue) for step in steps_of(masked))
