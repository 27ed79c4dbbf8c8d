"""Presences that remember what was derived from them."""

from __future__ import annotations

import naive
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_layermask.engine.mask import PresenceMask, intersection, joined
from xai_layermask.engine.padding import ring_geometry

GENERATOR = torch.Generator().manual_seed(0)


def some(*shape, fraction=0.5, seed=None):
    generator = GENERATOR if seed is None else torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) < fraction


def test_a_derived_presence_is_made_once():
    cells = PresenceMask(some(2, 1, 6, 6))
    geometry = ((3, 3), (1, 1), (1, 1), (1, 1), (6, 6))
    assert cells.window(*geometry) is cells.window(*geometry)
    assert cells.window(*geometry, 0.5, torch.full((1, 1, 6, 6), 9.0)) is not cells.window(*geometry)
    wanted = PresenceMask(torch.ones(2, 1, 6, 6, dtype=torch.bool))
    assert cells.rings(wanted, (2, 1, 6, 6)) is cells.rings(wanted, (2, 1, 6, 6))


def test_a_one_by_one_window_is_the_same_presence():
    cells = PresenceMask(some(1, 1, 4, 4))
    assert cells.window((1, 1), (1, 1), (0, 0), (1, 1), (4, 4)) is cells
    assert cells.window((1, 1), (2, 2), (0, 0), (1, 1), (2, 2)).mask.equal(cells.mask[..., ::2, ::2])


def test_a_centred_window_contains_what_it_comes_from():
    cells = PresenceMask(some(1, 1, 7, 7))
    grown = cells.window((3, 3), (1, 1), (1, 1), (1, 1), (7, 7)).window((5, 3), (1, 1), (2, 1), (1, 1), (7, 7))
    assert grown.contains(cells)
    assert not cells.contains(grown)
    assert bool((grown.mask | ~cells.mask).all())
    shifted = cells.window((3, 3), (1, 1), (0, 0), (1, 1), (5, 5))
    assert not shifted.contains(cells)


def test_both_is_the_smaller_one_where_that_is_known():
    cells = PresenceMask(some(1, 1, 5, 5, fraction=0.2))
    grown = cells.window((3, 3), (1, 1), (1, 1), (1, 1), (5, 5))
    assert intersection(cells, grown) is cells
    assert intersection(grown, cells) is cells
    assert intersection(cells, PresenceMask(torch.ones(1, 1, 5, 5, dtype=torch.bool))) is cells
    a, b = PresenceMask(some(1, 1, 5, 5)), PresenceMask(some(1, 1, 5, 5))
    assert torch.equal(intersection(a, b).mask, a.mask & b.mask)
    assert intersection(a, b) is intersection(a, b)


def test_presence_that_varies_over_channels():
    cells = PresenceMask(torch.tensor([True, False, True, True]).view(1, 2, 1, 2))
    assert cells.varies(1)
    assert not cells.varies(2)
    whole = PresenceMask(torch.ones(1, 2, 1, 2, dtype=torch.bool))
    assert cells.one_channel(whole).mask.tolist() == [[[[True, False]]]]
    # A border of the model's own in the second cell of the first channel.
    inside = PresenceMask(torch.tensor([True, False, True, True]).view(1, 2, 1, 2))
    assert cells.one_channel(inside).mask.tolist() == [[[[True, True]]]]
    assert inside.one_channel(inside).mask.all()
    plain = PresenceMask(some(1, 1, 2, 2))
    assert plain.one_channel(plain) is plain


def test_presence_that_does_not_vary_comes_at_full_size():
    rows = PresenceMask(torch.tensor([True, False]).view(1, 1, 2, 1))
    assert rows.expanded((1, 8, 2, 3)).mask.tolist() == [[[[True] * 3, [False] * 3]]]
    assert rows.expanded((1, 8, 2, 3)) is rows.expanded((1, 4, 2, 3))
    assert rows.expanded((1, 8, 2, 1)) is rows


@given(st.lists(st.tuples(st.integers(0, 2**20), st.booleans()), min_size=1, max_size=3))
def test_joined_presence_cell_by_cell(operands):
    """Borders are neutral: a border meets a present cell in a present one, an absent cell in an absent one."""
    whole = torch.ones(1, 1, 3, 4, dtype=torch.bool)
    insides = [some(1, 1, 3, 4, seed=seed, fraction=0.6) if bordered else whole for seed, bordered in operands]
    masks = [some(1, 1, 3, 4, seed=seed + 1) & inside for (seed, _), inside in zip(operands, insides, strict=True)]
    pairs = [(PresenceMask(mask), PresenceMask(inside)) for mask, inside in zip(masks, insides, strict=True)]
    found = joined(pairs).mask
    assert torch.equal(joined([(inside, inside) for _, inside in pairs]).mask, torch.stack(insides).any(0))
    for i, j in np.ndindex(3, 4):
        states = [bool(mask[0, 0, i, j]) for mask, inside in zip(masks, insides, strict=True) if inside[0, 0, i, j]]
        assert bool(found[0, 0, i, j]) == (bool(states) and all(states))


def test_whole():
    assert PresenceMask(torch.ones(1, 1, 2, 2, dtype=torch.bool)).is_whole()
    assert not PresenceMask(torch.eye(2).bool()[None, None]).is_whole()


@given(
    st.integers(0, 2**20),
    *[st.tuples(st.integers(low, 3), st.integers(low, 3)) for low in (1, 1, 0, 1)],
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.75, 1.0]),
)
@settings(max_examples=50)
def test_window_counts_the_present_cells_inside_the_image(seed, kernel, stride, padding, dilation, threshold):
    mask = torch.rand(2, 1, 7, 6, generator=torch.Generator().manual_seed(seed)) < 0.5
    size = tuple(
        (length + 2 * p - d * (k - 1) - 1) // s + 1
        for length, k, s, p, d in zip((7, 6), kernel, stride, padding, dilation, strict=True)
    )
    if min(size) < 1:
        return
    everything = PresenceMask(torch.ones(1, 1, 7, 6)).window(kernel, stride, padding, dilation, size).mask
    inside = everything if threshold else None
    found = PresenceMask(mask).window(kernel, stride, padding, dilation, size, threshold, inside)
    expected = naive.pooled_presence(mask.numpy(), kernel, stride, padding, dilation, size, threshold)
    assert np.array_equal(found.mask.numpy(), expected)


def test_rings_leave_borders_alone():
    cells = PresenceMask(some(1, 1, 6, 6, fraction=0.2))
    wanted = PresenceMask(torch.ones(1, 1, 6, 6, dtype=torch.bool))
    inside = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    inside[..., 1:5, 1:5] = True
    cells.mask &= inside
    found = cells.rings(wanted, wanted.mask.shape, PresenceMask(inside))
    expected = ring_geometry(cells.mask, inside=inside)
    assert [ring.cells.tolist() for ring in found] == [ring.cells.tolist() for ring in expected]
    assert all(inside.flatten()[ring.cells].all() for ring in found)
    assert sum(len(ring.cells) for ring in cells.rings(wanted, wanted.mask.shape, wanted)) == int((~cells.mask).sum())
