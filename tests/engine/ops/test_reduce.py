"""Every reduction against a loop over the present cells."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from by_hand import Function, aten, check, maps, run
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_layermask.maskings import LayerMask

#: An operator, its arguments before and after the dimensions, and what it gives for the present of `n` cells.
REDUCTIONS = {
    "mean": (aten.mean.dim, [], [], lambda cells, n: cells.mean()),
    "sum": (aten.sum.dim_IntList, [], [], lambda cells, n: cells.mean() * n),
    "amax": (aten.amax.default, [], [], lambda cells, n: cells.max()),
    "amin": (aten.amin.default, [], [], lambda cells, n: cells.min()),
    "logsumexp": (aten.logsumexp.default, [], [], lambda cells, n: math.log(sum(map(math.exp, cells)))),
    "norm": (aten.linalg_vector_norm.default, [2], [], lambda cells, n: math.sqrt(sum(c * c for c in cells))),
    "norm 1": (aten.linalg_vector_norm.default, [1], [], lambda cells, n: sum(map(abs, cells))),
    "norm 0": (aten.linalg_vector_norm.default, [0], [], lambda cells, n: float(len(cells))),
    "norm -2": (
        aten.linalg_vector_norm.default, [-2], [], lambda cells, n: sum(abs(c) ** -2.0 for c in cells) ** -0.5
    ),
    "norm inf": (aten.linalg_vector_norm.default, [math.inf], [], lambda cells, n: max(map(abs, cells))),
    "norm -inf": (aten.linalg_vector_norm.default, [-math.inf], [], lambda cells, n: min(map(abs, cells))),
    "old norm": (aten.norm.ScalarOpt_dim, [3], [], lambda cells, n: sum(abs(c) ** 3 for c in cells) ** (1 / 3)),
    "var": (aten.var.dim, [], [True], lambda cells, n: cells.var(ddof=1) if len(cells) > 1 else 0.0),
    "var 0": (aten.var.correction, [], [], lambda cells, n: cells.var(ddof=1) if len(cells) > 1 else 0.0),
    "std": (aten.std.dim, [], [False], lambda cells, n: cells.std()),
}  # fmt: skip
#: Operators on one dimension.
SINGLE = {
    "prod": (aten.prod.dim_int, lambda cells: math.prod(cells)),
    "max": (aten.max.dim, lambda cells: (max(cells), int(np.argmax(cells)))),
    "min": (aten.min.dim, lambda cells: (min(cells), int(np.argmin(cells)))),
    "argmax": (aten.argmax.default, lambda cells: int(np.argmax(cells))),
    "argmin": (aten.argmin.default, lambda cells: int(np.argmin(cells))),
}
fractions = st.sampled_from([0.0, 0.03, 0.4, 1.0])


def by_loops(x, presence, dims, reduce):
    """`reduce` over the present cells of each slice along `dims`; 0 where there is none."""
    x, presence = x.numpy(), presence.expand_as(x).numpy()
    kept = [dim for dim in range(x.ndim) if dim not in dims]
    y = np.zeros([x.shape[dim] for dim in kept])
    for place in itertools.product(*(range(size) for size in y.shape)):
        where = [slice(None)] * x.ndim
        for dim, index in zip(kept, place, strict=True):
            where[dim] = index
        cells = x[tuple(where)][presence[tuple(where)]]
        y[place] = reduce(cells) if len(cells) else 0.0
    return torch.from_numpy(y)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(st.integers(0, 2**20), fractions, st.sampled_from([(2, 3), (3,), (1, 2, 3), (1,), (2,)]))
@settings(max_examples=8)
def test_reductions_over_the_present_cells(name, seed, fraction, dims):
    operator, before, after, reduce = REDUCTIONS[name]
    x, presence = maps(seed, fraction=fraction)
    n = math.prod(x.shape[dim] for dim in dims)
    y, mask = check(x, presence, [(operator, [*before, list(dims), *after])])
    expected = by_loops(x, presence, dims, lambda cells: reduce(cells, n))
    if mask is not None:
        assert torch.equal(mask.expand_as(y), presence.expand_as(x).sum(dims) > 0)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("name", SINGLE)
@given(st.integers(0, 2**20), fractions, st.sampled_from([1, 2, -1]))
@settings(max_examples=8)
def test_reductions_over_one_dimension(name, seed, fraction, dim):
    operator, reduce = SINGLE[name]
    x, presence = maps(seed, fraction=fraction)
    y, _ = check(x, presence, [(operator, [dim])])
    for part, one in enumerate(y if isinstance(y, list | tuple) else [y]):
        if one.dtype == torch.int64:
            continue
        expected = by_loops(x, presence, (dim % 4,), lambda c, part=part: np.atleast_1d(reduce(c))[part])
        torch.testing.assert_close(one, expected)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_the_place_of_an_extreme_is_that_of_a_present_cell(name):
    operator, _ = SINGLE[name]
    x, presence = maps(3, fraction=0.3)
    y, _ = run(x, presence, [(operator, [3])])
    places = y if name.startswith("arg") else y[1]
    shown = presence.expand_as(x)
    for b, c, i in itertools.product(*map(range, x.shape[:3])):
        cells = [(x[b, c, i, j].item(), j) for j in range(x.shape[3]) if shown[b, c, i, j]]
        if cells:
            assert places[b, c, i] == (max if "max" in name else min)(cells)[1]


@pytest.mark.parametrize("operator", [aten.var_mean.correction, aten.std_mean.correction])
def test_variance_and_mean_at_once(operator):
    x, presence = maps(5, fraction=0.5)
    (spread, mean), mask = check(x, presence, [(operator, [[2, 3]])])
    assert mask is None
    torch.testing.assert_close(mean, by_loops(x, presence, (2, 3), np.mean))
    power = 0.5 if "std" in str(operator) else 1.0
    torch.testing.assert_close(spread, by_loops(x, presence, (2, 3), lambda cells: cells.var(ddof=1) ** power))


def test_reductions_over_everything():
    x, presence = maps(6)
    cells = x[presence.expand_as(x)]
    for operator, expected in (
        (aten.mean.default, cells.mean()),
        (aten.sum.default, cells.mean() * x.numel()),
        (aten.max.default, cells.max()),
        (aten.min.default, cells.min()),
        (aten.prod.default, cells.prod()),
        (aten.norm.Scalar, cells.norm()),
    ):
        y, mask = check(x, presence, [(operator, [])])
        assert mask is None
        torch.testing.assert_close(y, expected)


def test_any_and_all():
    x, presence = maps(7)
    for operator, reduce in ((aten.any.dim, np.any), (aten.all.dim, np.all)):
        y, _ = check(x, presence, [(aten.gt.Scalar, [0.0]), (operator, [3])])
        assert torch.equal(y.double(), by_loops((x > 0).double(), presence, (3,), lambda c, f=reduce: f(c > 0)))


def test_integers_are_reduced_as_well():
    x, presence = maps(8)
    y, _ = check(x, presence, [(aten.to.dtype, [torch.int32]), (aten.amin.default, [[2, 3]])])
    torch.testing.assert_close(y.double(), by_loops(x.int(), presence, (2, 3), np.min))


def test_half_precision_sums_in_single_precision():
    x, presence = torch.ones(1, 1, 224, 224, dtype=torch.half), torch.zeros(1, 1, 224, 224, dtype=torch.bool)
    presence[..., 0, 0] = True
    y, _ = run(x, presence, [(aten.mean.dim, [[2, 3]])])
    assert y.dtype == torch.half
    assert y.item() == 1.0


def test_double_precision_means_are_exact_to_double_precision():
    x, presence = maps(9, fraction=0.7)
    y, _ = run(x, presence, [(aten.mean.dim, [[2, 3]])])
    torch.testing.assert_close(y, by_loops(x, presence, (2, 3), np.mean), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("name", ["std", "logsumexp", "norm", "norm -2", "amax"])
def test_gradients_are_finite_where_nothing_is_present(name):
    operator, before, after, _ = REDUCTIONS[name]
    x, presence = maps(10, fraction=0.0)
    presence[0, 0, 0, 0] = True
    masked = LayerMask(Function(lambda x: operator(x, *before, [2, 3], *after)))
    x.requires_grad_()
    masked(x, presence).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("images", [1, 3])
def test_tokens_in_the_first_dimension_are_no_images(images):
    def first(x):
        return x.flatten(2).permute(2, 0, 1).square().mean(2).mean(0)

    def rows(x):
        return x.flatten(2).transpose(1, 2).reshape(-1, x.shape[1]).square().mean(1).view(len(x), -1).mean(1)

    x, presence = maps(0, n=images)
    expected = [one.square().mean(0)[mask[0]].mean() for one, mask in zip(x, presence, strict=True)]
    for function in (first, rows):
        torch.testing.assert_close(LayerMask(Function(function))(x, presence), torch.stack(expected))


def test_spatial_pooling_by_maximum_of_channels():
    """The gate of CBAM: `torch.max(x, 1)[0]` next to the mean, one channel each."""

    def gate(x):
        return torch.cat([torch.max(x, 1, keepdim=True)[0], x.mean(1, keepdim=True)], 1)

    x, presence = maps(11)
    y = LayerMask(Function(gate))(x, presence)
    torch.testing.assert_close(y, torch.where(presence, gate(x), 0.0))
