"""Numbers at absent cells reach no answer: poisoned activations and shifted images."""

from __future__ import annotations

import copy

import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Function, maps
from torch import nn

from xai_layermask import LayerMask
from xai_layermask.engine import executor
from xai_layermask.engine.mask import PresenceMask


def conv(inputs, outputs, **options):
    return nn.Conv2d(inputs, outputs, 3, padding=1, **options)


def wide(y, size=12):
    """A map whose presence is the same along W."""
    return y.mean(3, keepdim=True).expand(-1, -1, -1, size)


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gate = conv(3, 4), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        y = F.max_pool2d(self.conv(x), 3, 2, 1)
        return (y * self.gate(y.mean((2, 3), keepdim=True)).sigmoid()).mean((2, 3))


UNIFORM = {
    "expand": Function(lambda x, a, b: b(wide(a(x))).mean((2, 3)), conv(3, 4), conv(4, 4)),
    "expand along H": Function(
        lambda x, a, b: b(a(x).mean(2, keepdim=True).expand(-1, -1, 12, -1)).mean((2, 3)), conv(3, 4), conv(4, 4)
    ),
    "repeat": Function(
        lambda x, a, b: b(a(x).mean(3, keepdim=True).repeat(1, 1, 1, 9)).mean((2, 3)), conv(3, 4), conv(4, 4)
    ),
    "linear over W": Function(
        lambda x, a, f, g, b: b(g(f(a(x)))).mean((2, 3)), conv(3, 4), nn.Linear(12, 7), nn.Linear(7, 9), conv(4, 4)
    ),
    "nearest": Function(
        lambda x, a, b: b(F.interpolate(wide(a(x), 3), scale_factor=2)).mean((2, 3)), conv(3, 4), conv(4, 4)
    ),
    "bilinear": Function(
        lambda x, a, b: b(F.interpolate(wide(a(x)), scale_factor=2, mode="bilinear")).mean((2, 3)),
        conv(3, 4),
        conv(4, 4),
    ),
    "global pool": Function(lambda x, a: F.adaptive_avg_pool2d(wide(a(x)), 1).flatten(1), conv(3, 4)),
    "border": Function(lambda x, a, b: b(F.pad(wide(a(x)), (1, 2, 1, 0))).mean((2, 3)), conv(3, 4), conv(4, 4)),
    "mirror": Function(
        lambda x, a, b: b(F.pad(wide(a(x)), (1, 2, 1, 0), mode="reflect")).mean((2, 3)), conv(3, 4), conv(4, 4)
    ),
    "max pool": Function(lambda x, a: F.max_pool2d(wide(a(x)), 3).mean((2, 3)), conv(3, 4)),
    "two directions": Function(
        lambda x, a, b: b(a(x).mean(3, keepdim=True) + a(x).mean(2, keepdim=True)).mean((2, 3)), conv(3, 4), conv(4, 4)
    ),
    "parts along W": Function(
        lambda x, a, b: b(torch.cat([wide(a(x)), wide(a(x).flip(2), 3)], 3)).mean((2, 3)), conv(3, 4), conv(4, 4)
    ),
}
BORDERS = {
    "border, then bilinear": nn.Sequential(nn.ConstantPad2d(1, 1.5), nn.Upsample(scale_factor=2, mode="bilinear")),
    "border, then bicubic": nn.Sequential(
        nn.ConstantPad2d(2, 1.5), nn.Upsample(scale_factor=2, mode="bicubic"), conv(3, 4)
    ),
    "border, then smaller": nn.Sequential(
        nn.ConstantPad2d(3, 1.5), nn.Upsample(size=(7, 8), mode="bilinear", align_corners=True), conv(3, 4)
    ),
    "shifted cat": Function(lambda x, a: a(torch.cat([x, F.pad(x, (-1, 1, -1, 1))], 1)).mean((2, 3)), conv(6, 4)),
    "shifted cat, mean": Function(lambda x: torch.cat([x, F.pad(x, (-1, 1, -1, 1))], 1).mean((2, 3))),
    "border plus map": Function(
        lambda x, a, b: b(F.pad(x, (1, 1, 1, 1)) + a(x)).mean((2, 3)), nn.Conv2d(3, 3, 3, padding=2), conv(3, 4)
    ),
    "border times map": Function(
        lambda x, a: (F.pad(x, (1, 1, 1, 1), value=2.0) * a(x)).mean((2, 3)), nn.Conv2d(3, 3, 3, padding=2)
    ),
    "two borders": Function(
        lambda x, a: a(F.pad(x, (2, 0, 1, 1), value=2.0) + F.pad(x, (0, 2, 1, 1), value=1.0)).mean((2, 3)), conv(3, 4)
    ),
    "border in some channels": nn.Sequential(nn.ConstantPad2d(1, 1.5), nn.PixelUnshuffle(2), conv(12, 4)),
}
CHANNELS = {
    "bilinear": Function(
        lambda x, a: a(F.interpolate(F.pixel_unshuffle(x, 2), scale_factor=2, mode="bilinear")).mean((2, 3)),
        conv(12, 4),
    ),
    "bicubic, mean": Function(
        lambda x: F.interpolate(F.pixel_unshuffle(x, 2), scale_factor=2, mode="bicubic").mean((2, 3))
    ),
    "gate": Gate(),
    "logarithm": Function(lambda x, a: a(x).abs().log().mean((2, 3)), nn.Conv2d(3, 3, 1, bias=False)),
    "quotient": Function(
        lambda x, a: (a(x) / a(x).norm(dim=1, keepdim=True)).mean((2, 3)), nn.Conv2d(3, 3, 1, bias=False)
    ),
    "attention": Function(lambda x: _attention(F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2))),
}


def _attention(tokens):
    return F.scaled_dot_product_attention(tokens, tokens, tokens).mean(1)


class All(nn.Module):
    """All networks of a group as one, which is exported once."""

    def __init__(self, networks, shift=0.0):
        super().__init__()
        self.names, self.networks, self.shift = list(networks), nn.ModuleList(networks.values()), shift

    def forward(self, x):
        x = x - self.shift
        return {name: network(x) for name, network in zip(self.names, self.networks, strict=True)}


GROUPS = {"uniform": UNIFORM, "borders": BORDERS, "channels": CHANNELS}
SHIFT = 5.0


@pytest.fixture(scope="module", params=GROUPS)
def models(request):
    """A group, and the same with the shift undone in front; each is exported once for all settings."""
    torch.manual_seed(0)
    both = [All(GROUPS[request.param]).double().eval(), All(GROUPS[request.param], SHIFT).double().eval()]
    for parameter in both[0].parameters():
        nn.init.normal_(parameter)
    export, made = torch.export.export, {}

    def once(model, *arguments, **options):
        if not isinstance(model, All):
            return export(model, *arguments, **options)
        if model.shift not in made:
            made[model.shift] = export(model, *arguments, **options)
        return made[model.shift]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.export, "export", once)
        yield both


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, answer in expected.items():
        torch.testing.assert_close(found[name], answer, msg=lambda text, name=name: f"{name}: {text}")


def written(value, found, inside, number):
    if isinstance(found, tuple):
        return [written(*one, number) for one in zip(value, found, inside, strict=True)]
    return torch.where(found.with_borders(inside).mask, value, number) if isinstance(found, PresenceMask) else value


class Poisoned:
    """A masked operator behind which a number stands at every absent cell, before any of them is filled."""

    def __init__(self, operator, inside, number):
        self.operator, self.inside, self.number = operator, inside, number

    def value(self, call, values):
        y = self.operator.value(call, values)
        # A border is put around a map that is filled already.
        return y if self.operator.hands_on else written(y, call.out, self.inside, self.number)


def poisoned(masked, x, presence, number):
    run = executor.run

    def poisoning(program, plan, values):
        program = copy.copy(program)
        program.masked = {i: Poisoned(one, plan.inside[i], number) for i, one in program.masked.items()}
        values[program.image] = written(values[program.image], plan.found[program.image], None, number)
        run(program, plan, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "run", poisoning)
        return masked(x, presence)


def presences():
    half = (torch.arange(12) < 6).expand(2, 1, 12, 12)
    return [half, half.mT, *(maps(seed, h=12, w=12, fraction=f)[1] for seed, f in ((1, 0.4), (2, 0.05)))]


@pytest.mark.parametrize("padding", ["neighbor", "zero", "partial"])
def test_absent_cells_reach_no_answer(models, padding):
    model, shifted = models[0], LayerMask(models[1], padding=padding)
    masked = LayerMask(model, padding=padding)
    x = maps(3, c=3, h=12, w=12)[0]
    with torch.no_grad():
        own = model(x)
        assert_same(masked(x, torch.ones(1, 1, 1, 1)), own)
        assert all(torch.isfinite(y).all() for y in masked(x, torch.zeros(1, 1, 1, 1)).values())
        for presence in presences():
            answer = masked(x, presence)
            assert all(not torch.allclose(answer[name], own[name]) for name in own)
            assert_same(shifted(x + SHIFT, presence), answer)
            for i in range(2):
                alone = masked(x[i : i + 1], presence[i : i + 1])
                assert_same(alone, {name: y[i : i + 1] for name, y in answer.items()})
            for number in (float("nan"), 1e4):
                assert_same(poisoned(masked, x, presence, number), answer)


@pytest.mark.parametrize("padding", ["neighbor", "zero", "partial"])
def test_gradients_are_finite_and_none_reaches_absent_pixels(models, padding):
    masked = LayerMask(models[0], padding=padding)
    for presence in presences():
        leaf = maps(3, c=3, h=12, w=12)[0].requires_grad_()
        answer = masked(leaf, presence)
        with torch.no_grad():
            assert_same(masked(leaf, presence), {name: y.detach() for name, y in answer.items()})
        for name, y in answer.items():
            inputs = [leaf, *models[0].parameters()]
            found = torch.autograd.grad(y.square().sum(), inputs, retain_graph=True, allow_unused=True)
            assert all(one is None or torch.isfinite(one).all() for one in found), name
            assert found[0].masked_select(~presence).eq(0).all()


def test_a_window_over_a_map_that_is_the_same_along_rows():
    """The pooled rows and their presence, repeated by hand."""
    torch.manual_seed(0)
    model = Function(lambda x, a: a(wide(x, 5)), conv(4, 3).double())
    x, presence = maps(4, h=7, fraction=0.1)
    parts = ((x.numpy()[:, :, i : i + 1], presence.numpy()[:, :, i : i + 1]) for i in range(7))
    rows = np.stack([naive.mean_present(*part) for part in parts], 2)
    shown = np.repeat(presence.numpy().any(3, keepdims=True), 5, 3)
    filled, _ = naive.neighbor_padding(np.repeat(rows[..., None], 5, 3), shown, 2)
    weight, bias = (parameter.detach().numpy() for parameter in model.parameters())
    expected = naive.convolve(filled, weight, bias, (1, 1), (1, 1), (1, 1), 1)
    kept = naive.pooled_presence(shown, (3, 3), (1, 1), (1, 1), (1, 1), (7, 5))
    np.testing.assert_allclose(LayerMask(model)(x, presence).detach().numpy(), np.where(kept, expected, 0), atol=1e-12)


def test_a_border_that_meets_a_map_is_present_where_the_map_is():
    """A shifted map beside itself: what was pushed in at the edge is the model's own, what was absent is not."""
    torch.manual_seed(0)
    model = Function(lambda x, a: a(torch.cat([x, F.pad(x, (-1, 1, -1, 1))], 1)), conv(8, 3).double())
    x, presence = maps(5, h=6, w=7, fraction=0.5)
    presence[:, :, -1, -1] = True
    joined = torch.cat([x, F.pad(x, (-1, 1, -1, 1))], 1).numpy()
    shifted = F.pad(presence, (-1, 1, -1, 1))
    shifted[:, :, -1], shifted[..., -1] = True, True  # the zeros at the edge are the model's own
    shown = (presence & shifted).numpy()
    filled, _ = naive.neighbor_padding(joined, shown, 2)
    weight, bias = (parameter.detach().numpy() for parameter in model.parameters())
    expected = naive.convolve(filled, weight, bias, (1, 1), (1, 1), (1, 1), 1)
    kept = naive.pooled_presence(shown, (3, 3), (1, 1), (1, 1), (1, 1), (6, 7))
    np.testing.assert_allclose(LayerMask(model)(x, presence).detach().numpy(), np.where(kept, expected, 0), atol=1e-12)


@pytest.mark.parametrize("padding", ["neighbor", "partial"])
def test_means_in_double_precision_are_of_double_precision(padding):
    x, _ = maps(6, h=11, w=13)
    model = Function(lambda x, a: (a(x).mean((2, 3)), F.adaptive_avg_pool2d(a(x), 1), a(x).mean(3).mean(2)), conv(4, 4))
    masked = LayerMask(model.double(), padding=padding)
    for found, own in zip(masked(x, torch.ones(1, 1, 1, 1)), model(x), strict=True):
        torch.testing.assert_close(found, own, rtol=1e-14, atol=1e-14)


def test_absent_tokens_do_not_reach_border_tokens_through_products():
    """A query from a border must not look at absent keys: a term of a border and an absent cell is absent."""

    def attend(x, conv):
        tokens = F.pad(conv(x), (0, 1)).flatten(2).transpose(1, 2)
        return (tokens + (tokens @ tokens.transpose(-2, -1) * 0.5).softmax(-1) @ tokens).mean(1)

    torch.manual_seed(0)
    x, presence = maps(3)
    masked = LayerMask(Function(attend, nn.Conv2d(x.shape[1], 3, 1)).double())
    with torch.no_grad():
        answer = masked(x, presence)
        for number in (float("nan"), 1e4):
            assert torch.equal(poisoned(masked, x, presence, number), answer)


def test_a_border_stays_a_border_through_a_product_with_weights():
    """A border that weights multiply is read as it is by an interpolation, and not filled."""
    weights = nn.Parameter(torch.randn(4, 3))
    x, presence = maps(3)
    x, presence = x[:, :3], presence[..., : x.shape[2], : x.shape[3]]

    def function(x, product):
        y = product(F.pad(x, (2, 1, 0, 1), value=1.5))
        return F.interpolate(y, scale_factor=0.5, mode="bicubic")

    def product(x):
        return (weights.double() @ x.flatten(2)).unflatten(2, x.shape[2:])

    def convolution(x):
        return F.conv2d(x, weights.double()[:, :, None, None])

    one, other = (LayerMask(Function(lambda x, by=by: function(x, by)).double()) for by in (product, convolution))
    torch.testing.assert_close(one(x, presence), other(x, presence))
