"""Writing in place changes no bit of the answer, and no value that is still needed."""

from __future__ import annotations

import copy

import pytest
import torch
from architectures import build, size_of
from torch import nn

from xai_layermask import LayerMask
from xai_layermask.engine import inplace
from xai_layermask.engine.inplace import Writer


def written(model, image):
    """The names of the operators that write over an input when they answer for the model without gradients."""
    names = []

    class Watched(Writer):
        def __call__(self, values, memory):
            value = super().__call__(values, memory)
            if value is not None:
                names.append(self._step.name)
            return value

    presence = torch.rand(image.shape[0], 1, *image.shape[2:], generator=torch.Generator().manual_seed(0)) > 0.5
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(inplace, "Writer", Watched)
        LayerMask(model)(image, presence)
    return names


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
    "it is the masking's copy of the image": (lambda net, x: net.a(torch.relu(x)).mean((2, 3)), True),
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
    assert ("aten.relu.default" in written(model, IMAGE)) == writes
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
    assert len(written(model, image.detach())) >= 2


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


SHARED = {
    "crop": lambda net, x: _both(net, net.b(torch.relu(net.a(x)))),
    "crop of the image": lambda net, x: net.a(x[:, :, :5]).mean((2, 3)) + net.a(x).mean((2, 3)),
    "pool of a crop": lambda net, x: _pooled(net, torch.relu(net.a(x))),
    "chunk": lambda net, x: _chunks(net, torch.relu(net.a(x))),
    "reshape": lambda net, x: _reshaped(net, torch.relu(net.a(x))),
    "dropout": lambda net, x: _dropped(net, torch.relu(net.a(x))),
    "expand": lambda net, x: torch.relu(net.a(x)[:, :, :1].expand(-1, -1, 8, -1)).mean((2, 3)),
    "it is returned": lambda net, x: _crop_returned(net, torch.relu(net.a(x))),
    "a parameter": lambda net, x: net.a(x).mean((2, 3)) * torch.relu(net.a.bias.view(1, -1)),
    "a parameter like an activation": lambda net, x: net.a(x) * torch.relu(net.b.weight[0, :1].to(x)).mean((1, 2)),
}


def _both(net, y):
    return net.b(y[:, :, :5]).mean((2, 3)) + net.b(y).mean((2, 3))


def _pooled(net, y):
    return nn.functional.max_pool2d(y[:, :, :5], 3, 1, 1).mean((2, 3)) + net.b(y).mean((2, 3))


def _chunks(net, y):
    first, second = y.chunk(2, 2)
    return net.b(first).mean((2, 3)) + net.b(second).mean((2, 3)) + net.b(y).mean((2, 3))


def _reshaped(net, y):
    return net.b(y.reshape(y.shape[0], 4, 64, 1)).mean((2, 3)) + net.b(y).mean((2, 3))


def _dropped(net, y):
    """In evaluation mode dropout returns its input itself."""
    return net.b(torch.relu(nn.functional.dropout(y, training=False) - 0.1)).mean((2, 3)) + net.b(y).mean((2, 3))


def _crop_returned(net, y):
    return net.b(y[:, :, :5]).mean((2, 3)), y


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", SHARED)
def test_a_fill_changes_no_other_value(name, batch):
    """Gradients forbid writing in place; without them every bit must be the same."""
    torch.manual_seed(0)
    model = Net(SHARED[name]).eval().requires_grad_(False)
    image, state = IMAGE[:batch].contiguous(memory_format=torch.channels_last), copy.deepcopy(model.state_dict())
    before = image.clone()
    masked = LayerMask(model)
    for presence in (torch.arange(8).expand(1, 1, 8, 8) < 4, torch.rand(batch, 1, 8, 8) < 0.3):
        with torch.no_grad():
            fast = masked(image, presence)
        plain = masked(image.clone().requires_grad_(), presence)
        for one, other in zip(*[(y,) if isinstance(y, torch.Tensor) else y for y in (fast, plain)], strict=True):
            assert torch.equal(one, other.detach())
    assert torch.equal(image, before)
    assert all(torch.equal(tensor, state[key]) for key, tensor in model.state_dict().items())
