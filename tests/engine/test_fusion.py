"""Norms folded into convolutions, and weights that change afterwards."""

from __future__ import annotations

import copy

import pytest
import torch
from by_hand import Function
from torch import nn

from xai_layermask.engine.capture import capture
from xai_layermask.engine.fusion import fuse
from xai_layermask.maskings import LayerMask

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
PRESENCE = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.4


def network(bias=True, affine=True):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=bias), nn.BatchNorm2d(4, affine=affine), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1)
    )
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.2, 1.5)
    return model.eval()


def answers(masked):
    """With norms folded, and without."""
    with torch.no_grad():
        folded = masked(X.to(next(masked.parameters())), PRESENCE)
    return folded, masked(X.to(next(masked.parameters())), PRESENCE).detach()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_folding_changes_no_answer(bias, affine):
    model = network(bias, affine)
    graph = capture(model, X.shape, X.dtype, X.device)
    steps, prepared = fuse(graph.steps(2), graph.held)
    assert [step.name for step in steps] == ["aten.conv2d.default", "aten.relu.default", "aten.conv2d.default"]
    assert [one.norm is not None for one in prepared.parts] == [True, False]
    folded, plain = answers(LayerMask(model))
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=1e-5)


CHANGES = {
    "weight": lambda m: nn.init.ones_(m[0].weight),
    "later weight": lambda m: nn.init.ones_(m[3].weight),
    "bias": lambda m: nn.init.ones_(m[0].bias),
    "statistics": lambda m: m[1].running_mean.add_(3),
    "variance": lambda m: m[1].running_var.mul_(3),
    "scale": lambda m: nn.init.ones_(m[1].weight),
    "state dict": lambda m: m.load_state_dict({k: v * 2 for k, v in m.state_dict().items()}),
    "assigned state dict": lambda m: m.load_state_dict({k: v * 2 for k, v in m.state_dict().items()}, assign=True),
    "new parameter": lambda m: setattr(m[0], "weight", nn.Parameter(m[0].weight.detach() * 2)),
    "written data": lambda m: m[0].weight.data.mul_(2),
    "written data of a later weight": lambda m: m[3].weight.data.clamp_(max=0.5),
    "written data of a filter": lambda m: m[0].weight.data[3].zero_(),
    "written data of a channel": lambda m: m[0].weight.data[:, 2].zero_(),
    "written data of a bias": lambda m: m[3].bias.data.zero_(),
    "written data of a scale": lambda m: m[1].weight.data.mul_(2),
    "new data": lambda m: setattr(m[0].weight, "data", m[0].weight.data * 2),
    "training": lambda m: (m.train(), m(X * 5), m.eval()),
    "optimiser": lambda m: (m(X).sum().backward(), torch.optim.SGD(m.parameters(), 0.1).step()),
    "bias gone": lambda m: setattr(m[3], "bias", None),
    "filters gone": lambda m: setattr(m[3], "weight", nn.Parameter(m[3].weight.detach()[:, :, 1:2, 1:2] * 1)),
    "module": lambda m: m.__setitem__(0, nn.Conv2d(3, 4, 3)),
    "norm": lambda m: m.__setitem__(1, nn.BatchNorm2d(4).eval()),
    "other operator": lambda m: m.__setitem__(2, nn.Tanh()),
    "type": lambda m: m.double(),
    "there and back": lambda m: m.half().float(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_the_model_are_seen(change):
    model = network()
    masked = LayerMask(model)
    before = answers(masked)[0]
    CHANGES[change](model)
    folded, plain = answers(masked)
    fresh = answers(LayerMask(copy.deepcopy(model)))[1]
    torch.testing.assert_close(plain, fresh, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(folded, fresh, atol=1e-5, rtol=1e-5)
    assert not torch.equal(folded, before)


def test_prepared_weights_are_kept_while_nothing_changes():
    model = network()
    graph = capture(model, X.shape, X.dtype, X.device)
    _, prepared = fuse(graph.steps(2), graph.held)
    state = graph.state(X.device)
    assert prepared.parts[0].values(state) is prepared.parts[0].values(graph.state(X.device))
    first = prepared.parts[0].values(state)
    model[1].running_var.mul_(2)
    assert prepared.parts[0].values(state) is not first


def test_folding_leaves_the_model_alone():
    model = network()
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        LayerMask(model)(X, PRESENCE)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_convolution_that_is_returned_or_read_twice_is_not_folded():
    def returned(x, conv, norm):
        y = conv(x)
        return y, norm(y)

    def twice(x, conv, norm):
        y = conv(x)
        return norm(y) + y

    for function in (returned, twice):
        parts = network()[:2]
        graph = capture(Function(function, *parts), X.shape, X.dtype, X.device)
        _, prepared = fuse(graph.steps(2), graph.held, graph.outputs)
        assert [one.norm for one in prepared.parts] == [None]
    with torch.no_grad():
        y, z = LayerMask(Function(returned, *network()[:2]))(X, PRESENCE)
        torch.testing.assert_close(z, LayerMask(network()[:2])(X, PRESENCE), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(y, LayerMask(network()[:1])(X, PRESENCE), atol=1e-5, rtol=1e-5)


def test_a_convolution_is_not_folded_over_the_end_of_masking():
    graph = capture(network(), X.shape, X.dtype, X.device)
    steps = graph.steps(2)
    ends = [step.index for step in steps]
    assert fuse(steps, graph.held, (), ends[0])[1].parts[0].norm is None
    assert fuse(steps, graph.held, (), ends[1])[1].parts[0].norm is not None


def test_weights_that_are_computed_are_left_as_they_are():
    model = Function(lambda x, conv: nn.functional.conv2d(x, conv.weight * 2, conv.bias), nn.Conv2d(3, 4, 3))
    with torch.no_grad():
        y = LayerMask(model)(X, PRESENCE)
        model.parts[0].weight.mul_(2)
        twice = LayerMask(model.parts[0])(X, PRESENCE)
    torch.testing.assert_close(y, twice, atol=1e-5, rtol=1e-5)


def test_a_first_call_in_inference_mode_does_not_spoil_later_gradients():
    model = network().requires_grad_(False)
    masked = LayerMask(model)
    with torch.inference_mode():
        masked(X, PRESENCE)
    image = X.clone().requires_grad_()
    masked(image, PRESENCE).sum().backward()
    assert image.grad.abs().sum() > 0
