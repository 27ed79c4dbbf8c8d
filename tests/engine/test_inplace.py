"""Writing over inputs changes no bit of the answer, and nothing that anybody still needs."""

from __future__ import annotations

import copy

import pytest
import torch
from architectures import build, size_of
from torch import nn

from xai_layermask import LayerMask

aten = torch.ops.aten


def operators(model, image):
    """The names of the operators that answer for the model without gradients."""
    masked = LayerMask(model)
    presence = torch.rand(image.shape[0], 1, *image.shape[2:], generator=torch.Generator().manual_seed(0)) > 0.5
    with torch.no_grad():
        masked(image, presence)
    (captured,) = masked._graphs.values()
    (program,) = captured._programs.values()
    return [getattr(step.operator, "__name__", "") + str(step.operator) for step in program.steps]


class Net(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self._how = forward

    def forward(self, x):
        return self._how(self, x)


IMAGE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))

#: What a network does, and whether its relu may write over the convolution's memory.
CASES = {
    "one reader": (lambda net, x: torch.relu(net.a(x)).mean((2, 3)), True),
    "last of two readers": (lambda net, x: _last(net, net.a(x)), True),
    "first of two readers": (lambda net, x: _first(net, net.a(x)), False),
    "a view is left": (lambda net, x: _view(net.a(x)), False),
    "it is the image": (lambda net, x: net.a(torch.relu(x)).mean((2, 3)), False),
    "it is returned": (lambda net, x: _returned(net.a(x)), False),
    "the result is larger": (lambda net, x: torch.relu(net.a(x) + net.a(x)[:, :1]).mean((2, 3)), True),
}


def _last(net, y):
    pooled = net.b(y).mean((2, 3))
    return torch.relu(y).mean((2, 3)) + pooled


def _first(net, y):
    z = torch.relu(y)
    return z.mean((2, 3)) + net.b(y).mean((2, 3))


def _view(y):
    part = y[:, :2]
    return torch.relu(y).mean((2, 3))[:, :2] + part.mean((2, 3))


def _returned(y):
    return torch.relu(y).mean((2, 3)), y


@pytest.mark.parametrize("name", CASES)
def test_only_memory_that_nobody_needs_is_written_over(name):
    forward, writes = CASES[name]
    torch.manual_seed(0)
    model = Net(forward).eval().requires_grad_(False)
    assert any("relu_" in one for one in operators(model, IMAGE)) == writes
    presence = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5
    masked, before = LayerMask(model), IMAGE.clone()
    with torch.no_grad():
        fast = masked(IMAGE, presence)
    plain = masked(IMAGE.clone().requires_grad_(), presence)
    for one, other in zip(*[(y,) if isinstance(y, torch.Tensor) else y for y in (fast, plain)], strict=True):
        assert torch.equal(one, other.detach())
    assert torch.equal(IMAGE, before)


SOME = ("efficientnet-lite0", "efficientnet_b0", "convnext_tiny", "mobilenet_v3_small", "vit")


@pytest.mark.parametrize("name", SOME)
def test_answers_are_the_same_bits(name):
    model = copy.deepcopy(build(name)).requires_grad_(False)
    size = size_of(name)
    generator = torch.Generator().manual_seed(2)
    image = torch.randn(2, 3, size, size, generator=generator)
    presence = torch.rand(2, 1, size, size, generator=generator) > 0.5
    masked = LayerMask(model)
    with torch.no_grad():
        fast = masked(image, presence)
    assert torch.equal(fast, masked(image.requires_grad_(), presence).detach())
    assert sum("_." in one for one in operators(model, image.detach())) >= 2


def test_a_sum_of_two_types_keeps_the_wider_one():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(3, 4, 3)
            self.b = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return (self.a(x) + self.b(x).double()).mean((2, 3))

    torch.manual_seed(0)
    masked = LayerMask(Mixed().eval())
    with torch.no_grad():
        assert masked(IMAGE, torch.ones(1, 1, 8, 8)).dtype == torch.float64


def test_gradients_still_flow():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image = IMAGE.clone().requires_grad_()
    presence = torch.ones(2, 1, 8, 8)
    presence[..., 4:] = 0
    LayerMask(model)(image, presence).sum().backward()
    assert image.grad is not None and image.grad[..., :3].abs().min() > 0
    assert model[0].weight.grad is not None
