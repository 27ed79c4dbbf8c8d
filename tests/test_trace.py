"""A trace shows what the masked run computes, against loops, hooks and the plan, and leaves everything as it was."""

from __future__ import annotations

import copy

import naive
import numpy as np
import pytest
import torch
from architectures import build, size_of
from little_net import Net, draw, net
from torch import nn

from xai_layermask import Fill, InputError, LayerMask, UnsupportedOperator, with_presence
from xai_layermask.trace import trace


def pair(stride=2, dtype=torch.float64):
    """Two convolutions with a relu between them, which writes over its input."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3, stride, 1), nn.ReLU(inplace=True)
    ).eval().to(dtype)  # fmt: skip


def convolved(conv, x, presence):
    """Naive padding and a naive convolution; the value where it is present, 0 elsewhere, and its presence."""
    (k, _), (s, _), (p, _) = conv.kernel_size, conv.stride, conv.padding
    filled, _ = naive.neighbor_padding(x, presence, rounds=k - 1)
    y = naive.convolve(
        filled, conv.weight.detach().numpy(), conv.bias.detach().numpy(), (s, s), (p, p), (1, 1), 1
    )
    out = naive.pooled_presence(presence, (k, k), (s, s), (p, p), (1, 1), y.shape[2:])
    return np.where(out, y, 0.0), out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("fraction", [0.05, 0.4])
def test_values_and_presence_are_those_of_loops(stride, fraction):
    model, (x, presence) = pair(stride), draw(n=2, size=(11, 9), fraction=fraction, dtype=torch.float64)
    found = trace(LayerMask(model), x, presence, ["0", "1", "2", "3"])
    first, there = convolved(model[0], x.numpy(), presence.numpy())
    second, then = convolved(model[2], np.maximum(first, 0), there)
    expected = {"0": (first, there), "1": (first.clip(0), there), "2": (second, then), "3": (second.clip(0), then)}
    assert list(found) == list(expected)
    for path, (value, where) in expected.items():
        np.testing.assert_array_equal(found[path].presence.numpy(), where)
        np.testing.assert_allclose(found[path].value.detach().numpy(), value, atol=1e-12)
    assert (first < 0).any()  # the relu had something to write over
    assert not (there if fraction > 0.1 else then).all()


def test_filled_is_what_the_next_window_reads():
    model, (x, presence) = pair(1), draw(n=1, size=(12, 12), fraction=0.04, dtype=torch.float64)
    found = trace(LayerMask(model), x, presence, ["1", "2"])
    one, conv = found["1"], model[2]
    own = conv(one.filled)
    there = found["2"].presence
    np.testing.assert_allclose(torch.where(there, own, 0).detach(), found["2"].value.detach(), atol=1e-12)
    filled, _ = naive.neighbor_padding(one.value.detach().numpy(), one.presence.numpy(), rounds=2)
    ring = (one.filled != one.value).any(1, keepdim=True)
    assert ring.any() and not (ring & one.presence).any()
    where = (ring | one.presence).expand_as(one.value).numpy()
    np.testing.assert_allclose(one.filled.detach().numpy()[where], filled[where], atol=1e-12)
    assert (one.filled.detach().numpy()[~where] == 0).all()


@pytest.mark.parametrize("padding", ["zero", "partial"])
def test_other_paddings_fill_nothing(padding):
    x, presence = draw(fraction=0.2, dtype=torch.float64)
    found = trace(LayerMask(pair(), padding=padding), x, presence, ["1", "2"])
    for one in found.values():
        assert torch.equal(one.filled, one.value)
        assert (one.value[~one.presence.expand_as(one.value)] == 0).all()


def test_presence_is_that_of_the_plan():
    masked, (x, presence) = LayerMask(net()), draw(fraction=0.2)
    masked(x, presence)
    (captured,) = masked._graphs.values()
    program = captured.program(2, masked.settings, None)
    plan = program.plan(presence)
    last = {step.path: step.index for step in program.steps}
    names = ["stem.0", "stem.1", "stem.2", "pool", "one", "two", "norm"]
    for path, one in trace(masked, x, presence, names).items():
        assert torch.equal(one.presence, plan.found[last[path]].mask), path


def watched(model, x):
    """What each module hands on when the plain model runs."""
    seen = {}
    model = copy.deepcopy(model)
    for path, module in model.named_modules():
        module.register_forward_hook(lambda _, __, y, path=path: seen.update({path: y.detach().clone()}))
    model(x)
    return seen


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-lite0", "squeezenet1_1", "mobilenet_v2"])
def test_with_everything_present_it_is_what_hooks_see(name):
    model, size = build(name), size_of(name)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = watched(model, x)
        # In-place modules write over what the one before handed on, in the model as well: hooks saw it before.
        maps = [path for path, y in expected.items() if path and y.dim() == 4 and y.shape[2] > 1]
        maps = [path for path in maps if "norm" not in path and "static_padding" not in path][::7]
        found = trace(LayerMask(model), x, modules=maps)
    assert len(found) == len(maps) >= 5
    for path, one in found.items():
        # The graph knows a module that is called several times by its last call, as hooks do.
        assert one.presence.all()
        torch.testing.assert_close(one.value, expected[path], atol=1e-4, rtol=1e-4)


def test_a_value_is_right_even_where_nobody_reads_it():
    """A sum keeps what is present in both: in front of it the masking computes less than a convolution's presence."""
    model, (x, presence) = net(torch.float64), draw(size=(48, 40), fraction=0.005, dtype=torch.float64)
    alone = nn.Sequential(model.stem, model.pool, model.one, nn.SiLU(), model.two)
    whole = trace(LayerMask(model), x, presence, ["one", "two"])
    part = trace(LayerMask(alone), x, presence, ["2", "4"])
    for path, other in (("one", "2"), ("two", "4")):
        assert torch.equal(whole[path].presence, part[other].presence)
        torch.testing.assert_close(whole[path].value, part[other].value)
    assert not whole["two"].presence.all()


def test_the_answer_is_the_masking_s_own():
    model, (x, presence) = net(), draw()
    masked = LayerMask(model)
    with torch.no_grad():
        torch.testing.assert_close(trace(masked, x, presence).answer, masked(x, presence), atol=1e-5, rtol=1e-5)
    assert torch.equal(trace(masked, x, presence).answer, masked(x, presence))  # here it folds nothing either
    torch.testing.assert_close(trace(masked, x).answer, masked(x), atol=1e-5, rtol=1e-5)


def test_a_convolution_is_seen_before_its_norm():
    model, (x, presence) = net(), draw()
    with torch.no_grad():
        found = trace(LayerMask(model), x, presence, ["stem.0", "stem.1"])
        conv, norm = found["stem.0"], found["stem.1"]
        torch.testing.assert_close(torch.where(norm.presence, model.stem[1](conv.value), 0), norm.value)
    assert (conv.value - norm.value).abs().max() > 0.1


def test_absent_pixels_do_not_show():
    masked, (x, presence) = LayerMask(net()), draw()
    names = ["stem.0", "stem.2", "two"]
    one, other = (trace(masked, y, presence, names) for y in (x, torch.where(presence, x, float("nan"))))
    for path in names:
        assert torch.equal(one[path].value, other[path].value)
        assert torch.equal(one[path].filled, other[path].filled)


def test_nothing_is_changed():
    model, (x, presence) = net(), draw()
    masked = LayerMask(model)
    with torch.no_grad():
        before = masked(x, presence)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes = [set(vars(module)) for module in model.modules()]
    image = x.clone()
    model.train()
    trace(masked, x, presence, ["stem", "two"])
    assert model.training
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(x, image)
    with torch.no_grad():
        assert torch.equal(masked(x, presence), before)
    assert len(masked._graphs) == 1  # the trace used the graph that was there


def test_a_later_reader_does_not_change_what_was_traced():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.act = nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)

        def forward(self, x):
            y = self.a(x)
            return self.act(y.view(y.shape)).mean((2, 3))

    torch.manual_seed(0)
    model, (x, presence) = Reader().eval(), draw()
    with torch.no_grad():
        found = trace(LayerMask(model), x, presence, ["a"])["a"].value
        torch.testing.assert_close(found, torch.where(presence, model.a(torch.where(presence, x, 0)), 0))
    assert found.min() < 0


# --- which places ---


def test_by_default_the_outermost_modules_one_for_each_size():
    model = build("resnet18")
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    presence = torch.zeros(1, 1, 64, 64)
    presence[..., :24, :24] = 1
    with torch.no_grad():
        found = trace(LayerMask(model), x, presence)
    assert list(found) == ["relu", "layer1", "layer2", "layer3", "layer4"]
    assert [one.value.shape[2] for one in found.values()] == [32, 16, 8, 4, 2]


def test_borders_and_pooled_vectors_are_no_places_by_default():
    model = nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1))
    x, presence = draw()
    assert list(trace(LayerMask(model), x, presence)) == ["1"]


def test_a_network_without_modules_inside_is_a_place_itself():
    found = trace(LayerMask(nn.Conv2d(3, 4, 3)), *draw())
    assert list(found) == [""]


def test_a_module_that_is_called_twice_shows_its_last_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Tanh())

        def forward(self, x):
            return self.block(self.block(x)).mean((2, 3))

    torch.manual_seed(0)
    model, (x, _) = Twice().eval(), draw()
    with torch.no_grad():
        found = trace(LayerMask(model), x, modules=["block", "block.0"])
        once = model.block(x)
        torch.testing.assert_close(found["block.0"].value, model.block[0](once))
        torch.testing.assert_close(found["block"].value, model.block(once))


def test_channels_come_second_where_the_network_has_them_last():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3, 2), nn.LayerNorm(4)

        def forward(self, x):
            return self.norm(self.conv(x).permute(0, 2, 3, 1)).mean((1, 2))

    torch.manual_seed(0)
    model, (x, presence) = Last().eval(), draw(fraction=0.1)
    with torch.no_grad():
        found = trace(LayerMask(model), x, presence, ["conv", "norm"])
        conv, norm = found["conv"], found["norm"]
        assert norm.value.shape == conv.value.shape == (2, 4, 5, 8)
        assert torch.equal(norm.presence, conv.presence)
        own = model.norm(conv.value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(norm.value, torch.where(conv.presence, own, 0))


def test_behind_until_everything_is_present():
    model, (x, presence) = pair(), draw(fraction=0.1, dtype=torch.float64)
    with torch.no_grad():
        found = trace(LayerMask(model, until="0"), x, presence, ["0", "1", "2"])
        assert not found["0"].presence.all()
        assert found["2"].presence.all()
        torch.testing.assert_close(found["2"].value, model[2](found["0"].value.relu()))


# --- how it is called ---


def test_it_is_called_as_the_masking_is():
    masked, (x, presence) = LayerMask(net()), draw()
    expected = trace(masked, x, presence)["stem"].value
    assert torch.equal(trace(masked, with_presence(x, presence))["stem"].value, expected)
    many = trace(masked, x[:1], presence)["stem"]
    assert many.value.shape[0] == many.presence.shape[0] == 2
    torch.testing.assert_close(many.value[:1], expected[:1])


def test_gradients_flow():
    masked, (x, presence) = LayerMask(net()), draw()
    x.requires_grad_()
    trace(masked, x, presence, ["pool"])["pool"].value.sum().backward()
    assert x.grad is not None and x.grad.abs().max() > 0
    assert (x.grad[~presence.expand_as(x)] == 0).all()


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (["stem.3"], r"expected paths of the model's modules for modules, got 'stem.3': did you mean 'stem\.\d'\?"),
        (["?"], r"got '\?': model.named_modules\(\) lists them"),
        ("stem", "expected a list with at least one path for modules, got 'stem'"),
        ([], r"expected a list with at least one path for modules, got \[\]"),
        (["head"], r"expected modules that return maps \(N, C, h, w\) for modules, got 'head', which returns \(2, 5\)"),
        (["unused"], "expected modules that the model calls for modules, got 'unused', which computes nothing"),
    ],
)
def test_places_that_are_none(modules, message):
    model = net()
    model.unused = nn.ReLU()
    with pytest.raises(InputError, match=message):
        trace(LayerMask(model), *draw(), modules)


def test_other_mistakes():
    x, presence = draw()
    with pytest.raises(InputError, match="expected a LayerMask for masked, got Fill"):
        trace(Fill(net(), "grey"), x, presence)
    with pytest.raises(InputError, match="expected a LayerMask for masked, got Net"):
        trace(Net(), x, presence)
    with pytest.raises(InputError, match=r"expected a tensor broadcastable to .* for presence"):
        trace(LayerMask(net()), x, presence[..., 1:])
    with pytest.raises(InputError, match=r"expected .*, as the model's parameters are, for image"):
        trace(LayerMask(net()), x.double(), presence)


def test_an_operator_without_a_masked_form_is_named():
    class Sorting(nn.Module):
        def forward(self, x):
            return x.sort(dim=-1).values

    with pytest.raises(UnsupportedOperator, match=r"aten\.sort\.default in 1"):
        trace(LayerMask(nn.Sequential(nn.Conv2d(3, 4, 3), Sorting())), *draw())


def test_a_trace_is_a_mapping_that_says_what_is_in_it():
    found = trace(LayerMask(net()), *draw(), ["stem", "two"])
    assert len(found) == 2 and "stem" in found and "pool" not in found
    assert repr(found).startswith("Trace('stem': 2 x 4 x 6 x 9, ")
