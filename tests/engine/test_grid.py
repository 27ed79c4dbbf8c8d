from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from xai_layermask.engine.grid import grid_of


@st.composite
def sets(draw):
    n, h, w = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    seed, share = draw(st.integers(0, 2**20)), draw(st.sampled_from([0.1, 0.5, 0.9]))
    return torch.rand(n, 1, h, w, generator=torch.Generator().manual_seed(seed)) < share


def around(shape, cell):
    """The neighbours of a cell inside its image, row by row."""
    _, _, h, w = shape
    n, y, x = cell // (h * w), cell // w % h, cell % w
    places = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    return [(n * h + a) * w + b for a, b in places if 0 <= a < h and 0 <= b < w]


@given(sets())
def test_a_set_grows_by_its_neighbours(cells):
    grid = grid_of(len(cells), *cells.shape[2:], cells.device)
    grown = grid.grown(grid.lay(cells)) & grid.everywhere
    members = set(cells.flatten().nonzero().flatten().tolist())
    expected = members | {near for cell in members for near in around(cells.shape, cell)}
    assert set(grid.numbered(grown)[1].tolist()) == expected


@given(sets())
def test_neighbours_are_those_of_the_cell_in_its_own_image(cells):
    grid = grid_of(len(cells), *cells.shape[2:], cells.device)
    flat = grid.lay(cells)
    places, numbers = grid.numbered(grid.everywhere ^ flat)
    near, offsets, counts = grid.neighbors(flat, places, numbers)
    members = set(cells.flatten().nonzero().flatten().tolist())
    expected = [[one for one in around(cells.shape, cell) if one in members] for cell in numbers.tolist()]
    assert near.tolist() == [one for row in expected for one in row]
    assert counts.flatten().tolist() == [len(row) for row in expected]
    ends = [*offsets.tolist()[1:], len(near)]
    assert [end - start for start, end in zip(offsets.tolist(), ends, strict=False)] == [len(row) for row in expected]


def test_the_same_size_shares_one_layout(device):
    assert grid_of(2, 3, 4, device) is grid_of(2, 3, 4, device)
    assert grid_of(2, 3, 4, device) is not grid_of(2, 4, 3, device)
