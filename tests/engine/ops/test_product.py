"""Matrix products and einsum against loops over every index, in which terms with an absent factor are left out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from by_hand import Function, invariants, maps
from torch import nn

from xai_layermask.engine.ops.product import of_equation
from xai_layermask.maskings import LayerMask


def by_loops(equation, tensors, presences):
    """A sum of products over present factors, and where any product is present."""
    terms, out = equation.replace(" ", "").split("->")
    names = terms.split(",")
    sizes = {label: n for name, x in zip(names, tensors, strict=True) for label, n in zip(name, x.shape, strict=True)}
    y, found = np.zeros([sizes[label] for label in out]), np.zeros([sizes[label] for label in out], bool)
    for place in itertools.product(*(range(size) for size in sizes.values())):
        at = dict(zip(sizes, place, strict=True))
        where = [tuple(at[label] for label in name) for name in names]
        if all(presence[index] for presence, index in zip(presences, where, strict=True)):
            to = tuple(at[label] for label in out)
            y[to] += np.prod([x[index].item() for x, index in zip(tensors, where, strict=True)])
            found[to] = True
    return torch.from_numpy(y), torch.from_numpy(found)


@pytest.mark.parametrize(
    "equation",
    [
        "bchw,bdhw->bcd",  # a Gram matrix over space
        "bchw,bdhw->bchd",  # along one row
        "bchw,bdxy->bhwxy",  # every cell with every other one: summed over channels
        "bchw,bchv->bhwv",
        "bchw,bchw->b",
        "b c h w, b c h w -> b c h w",
    ],
)
def test_an_einsum_of_two_maps(equation):
    x, presence = maps(0, c=2, h=3, w=4)
    shown = presence.expand_as(x)

    def function(x):
        return torch.einsum(equation, x, x.sin() + 1)

    y = invariants(function, x, presence)
    expected, found = by_loops(equation, (x, x.sin() + 1), (shown, shown))
    torch.testing.assert_close(y, torch.where(found, expected, 0.0))


def test_an_einsum_with_an_ordinary_tensor():
    x, presence = maps(1, c=3)
    weight = torch.randn(5, 3, 8, dtype=torch.float64)
    y = invariants(lambda x: torch.einsum("nchw,kcw->nkh", x, weight.to(x)), x, presence)
    shown = presence.expand_as(x)
    expected, _ = by_loops("nchw,kcw->nkh", (x, weight), (shown, torch.ones_like(weight).bool()))
    torch.testing.assert_close(y, expected)


def test_an_einsum_without_an_output_and_with_an_ellipsis():
    x, presence = maps(2)
    y = invariants(lambda x: torch.einsum("...ij,...kj", x, x), x, presence)
    shown = presence.expand_as(x)
    expected, found = by_loops("ncij,nckj->ncik", (x, x), (shown, shown))
    torch.testing.assert_close(y, torch.where(found, expected, 0.0))


def test_a_sum_over_one_operand_keeps_its_scale():
    x, presence = maps(3)
    y = invariants(lambda x: torch.einsum("nchw->nc", x), x, presence)
    torch.testing.assert_close(y, LayerMask(Function(lambda x: x.sum((2, 3))))(x, presence))
    y = invariants(lambda x: torch.einsum("nchw->nwhc", x), x, presence)
    torch.testing.assert_close(y, torch.where(presence, x, 0.0).permute(0, 3, 2, 1))


@pytest.mark.parametrize(
    ("equation", "rank", "reason"),
    [
        ("nchh->nc", 4, "named twice"),
        ("nchw->cn", 4, "sum or reorder dimensions, not both"),
        ("n...->n", 4, "only if it names every dimension"),
    ],
)
def test_equations_without_a_masked_form(equation, rank, reason):
    assert reason in of_equation(equation, [rank])


def test_a_tensor_times_itself_is_zeroed_in_both_places():
    """Along columns alone its presence varies: what stands there must not come in through the other factor."""
    x, _ = maps(4, h=8, w=8)
    presence = torch.ones(2, 1, 8, 8, dtype=torch.bool)
    presence[..., 5:] = False

    def function(x):
        y = x.amax(2, keepdim=True).expand(-1, -1, 8, -1)
        return (y @ y).mean((2, 3))

    invariants(function, x, presence)


def test_matrix_products_of_other_ranks():
    x, presence = maps(5)
    weight = torch.randn(8, dtype=torch.float64)
    y = invariants(lambda x: x @ weight.to(x), x, presence)
    torch.testing.assert_close(y, (torch.where(presence, x, 0.0) * weight).sum(-1))
    tall = torch.randn(8, 5, dtype=torch.float64)
    y = invariants(lambda x: torch.bmm(x.flatten(0, 1), tall.to(x).expand(8, -1, -1)).unflatten(0, (2, 4)), x, presence)
    torch.testing.assert_close(y, torch.where(presence, x, 0.0) @ tall)


def test_distances_between_tokens():
    x, presence = maps(6, c=3)
    tokens, shown = x.flatten(2).transpose(1, 2), presence.flatten(2).transpose(1, 2)
    y = invariants(lambda x: torch.cdist(x.flatten(2).transpose(1, 2), x.flatten(2).transpose(1, 2)), x, presence)
    expected = torch.zeros(2, 48, 48, dtype=torch.float64)
    for b, i, j in itertools.product(range(2), range(48), range(48)):
        if shown[b, i] and shown[b, j]:
            expected[b, i, j] = (tokens[b, i] - tokens[b, j]).square().sum().sqrt()
    torch.testing.assert_close(y, expected, atol=1e-6, rtol=1e-6)


def test_distances_along_space_are_refused():
    (found,) = LayerMask(Function(lambda x: torch.cdist(x, x))).unsupported((1, 3, 8, 8))
    assert found == ("aten.cdist.default", "")
    assert found.reason == "distances need all features of a token"


class Lambda(nn.Module):
    """Content lambdas: every position sums up all others (LambdaNetworks)."""

    def __init__(self, channels, keys=4):
        super().__init__()
        self.keys = keys
        self.qkv = nn.Conv2d(channels, 2 * keys + channels, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = self.qkv(x).flatten(2).split([self.keys, self.keys, c], 1)
        context = torch.einsum("bkm,bvm->bkv", k.softmax(-1), v)
        return torch.einsum("bkn,bkv->bvn", q, context).reshape(n, c, h, w)


def test_a_lambda_layer_sums_over_present_positions():
    model = Lambda(3).double()
    x, presence = maps(7, c=3)
    y = LayerMask(model)(x, presence)
    q, k, v = model.qkv(x).flatten(2).split([4, 4, 3], 1)
    for b in range(2):
        shown = presence[b].flatten()
        context = k[b][:, shown].softmax(-1) @ v[b][:, shown].T
        expected = (context.T @ q[b]).reshape(3, 6, 8)
        torch.testing.assert_close(y[b], torch.where(presence[b], expected, 0.0))
