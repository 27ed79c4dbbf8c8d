"""Neighbour padding against Algorithm 1 taken literally."""

from __future__ import annotations

from contextlib import nullcontext

import naive
import numpy as np
import pytest
import torch
from by_hand import dilate
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_layermask.engine.dense import neighbor_padding
from xai_layermask.engine.padding import fill_rings, ring_geometry, window_sum
from xai_layermask.engine.waiting import never_waiting


@st.composite
def maps(draw, largest=8):
    """Activations with a presence: any shape, any mask."""
    n, c = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    h, w = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    fraction = draw(st.sampled_from([0.0, 0.05, 0.3, 0.6, 1.0]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    x = torch.randn(n, c, h, w, dtype=torch.float64, generator=generator)
    return x, torch.rand(n, 1, h, w, generator=generator) < fraction


@pytest.mark.parametrize("around", [nullcontext, never_waiting])
@given(maps(), st.sampled_from([None, 0, 1, 2, 3, 5]))
@settings(max_examples=60)
def test_neighbor_padding_is_algorithm_one(around, case, rounds):
    x, presence = case
    expected, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), rounds)
    garbage = torch.where(presence, x, torch.full_like(x, float("nan")))
    with around():
        found = neighbor_padding(garbage, presence, rounds)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    assert torch.equal(found[presence.expand_as(x)], x[presence.expand_as(x)])


@given(maps(), st.floats(0.05, 0.9), st.integers(0, 1000))
@settings(max_examples=40)
def test_wanted_cells_get_what_filling_everything_gives_them(case, fraction, seed):
    x, presence = case
    wanted = torch.rand(presence.shape, generator=torch.Generator().manual_seed(seed)) < fraction
    x = torch.where(presence, x, 0.0)
    complete = neighbor_padding(x, presence)
    partly = fill_rings(x.clone(), ring_geometry(presence, wanted))
    read = (wanted | presence).expand_as(x)
    assert torch.equal(partly[read], complete[read])


@given(maps(), st.integers(0, 1000))
@settings(max_examples=40)
def test_borders_are_neither_filled_nor_neighbours(case, seed):
    x, presence = case
    inside = torch.rand(presence.shape, generator=torch.Generator().manual_seed(seed)) < 0.7
    presence = presence & inside
    start = torch.where(presence | ~inside, x, 0.0)
    expected, _ = naive.neighbor_padding(x.numpy(), presence.numpy(), inside=inside.numpy())
    found = fill_rings(start, ring_geometry(presence, inside=inside))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_only_what_a_wanted_cell_depends_on_is_computed():
    presence = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    presence[..., 0, 0] = True
    wanted = torch.zeros_like(presence)
    wanted[..., 1, 1] = True
    assert [ring.cells.tolist() for ring in ring_geometry(presence, wanted)] == [[10]]
    assert ring_geometry(presence, presence) == ()
    assert ring_geometry(torch.ones_like(presence)) == ()


def test_cells_without_any_present_one_become_zero():
    nothing = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    for wanted in (None, torch.ones_like(nothing)):
        (ring,) = ring_geometry(nothing, wanted)
        assert ring.cells.tolist() == [0, 1, 2, 3] and ring.neighbors.tolist() == []
    assert ring_geometry(nothing, rounds=3) == ()


def test_fill_writes_in_place_only_where_no_gradient_is_wanted():
    presence = torch.tensor([[[[True, False, True]]]])
    geometry = ring_geometry(presence)
    x = torch.tensor([[[[1.0, 0.0, 5.0]]]])
    assert fill_rings(x, geometry).tolist() == [[[[1.0, 3.0, 5.0]]]]
    leaf = torch.tensor([[[[1.0, 0.0, 5.0]]]], requires_grad=True)
    y = fill_rings(leaf, geometry)
    assert leaf.tolist() == [[[[1.0, 0.0, 5.0]]]]
    y[0, 0, 0, 1].backward()
    assert leaf.grad.tolist() == [[[[0.5, 0.0, 0.5]]]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_fill_keeps_the_type(dtype, device):
    x = torch.tensor([[[[2.0, 0.0, 4.0, 0.0]]]], dtype=dtype, device=device)
    y = neighbor_padding(x, x > 0)
    assert y.dtype == dtype
    assert y.tolist() == [[[[2.0, 3.0, 4.0, 4.0]]]]


def test_batches_of_one_are_repeated():
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    presence = torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    both = torch.cat([presence, ~presence])
    assert torch.equal(neighbor_padding(x, presence), neighbor_padding(x, presence.repeat(2, 1, 1, 1)))
    assert torch.equal(neighbor_padding(x[:1], both), neighbor_padding(x[:1].repeat(2, 1, 1, 1), both))


@given(
    maps(),
    *[st.tuples(st.integers(low, 3), st.integers(low, 3)) for low in (1, 1, 0, 1)],
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
@settings(max_examples=60)
def test_window_sum_is_a_loop_over_windows(case, kernel, stride, padding, dilation, more):
    _, mask = case
    _, _, h, w = mask.shape
    fits = [
        (length + 2 * p - d * (k - 1) - 1) // s + 1
        for length, k, s, p, d in zip((h, w), kernel, stride, padding, dilation, strict=True)
    ]
    size = tuple(max(n, 0) + extra for n, extra in zip(fits, more, strict=True))
    if 0 in size:
        return
    if more == (0, 0):
        assert torch.equal(
            window_sum(mask, kernel, stride, padding, dilation),
            window_sum(mask, kernel, stride, padding, dilation, size),
        )
    expected = naive.pooled_presence(mask.numpy(), kernel, stride, padding, dilation, size)
    assert np.array_equal(window_sum(mask, kernel, stride, padding, dilation, size).numpy(), expected)
    counts = window_sum(mask.double(), kernel, stride, padding, dilation, size)
    assert np.array_equal(counts.numpy() > 0, expected)


def test_window_sum_counts_and_leaves_its_input_alone():
    cells = torch.ones(1, 1, 3, 4)
    assert window_sum(cells, (2, 3)).tolist() == [[[[6.0, 6.0], [6.0, 6.0]]]]
    assert window_sum(cells, (3, 3), padding=(1, 1))[0, 0, 0].tolist() == [4.0, 6.0, 6.0, 4.0]
    assert cells.eq(1).all()


def test_a_window_around_each_cell_reaches_in_all_eight_directions():
    cells = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    cells[..., 2, 2] = True
    assert dilate(cells).sum() == 9
    assert dilate(cells, 2).all()
    assert dilate(cells)[0, 0, 1:4, 1:4].all()
