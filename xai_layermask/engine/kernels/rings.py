"""Neighbour padding: the cells of each ring, found once per presence, and fills of one ring after another.

A ring of a channels-last map is written in place. Only the device knows how many cells a ring has, so the programs of a
launch share its cells among them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import MOST, WIDEST, on, precision_of

__all__ = ["FAR", "RingCells", "fill", "ring_cells"]

#: The distance of borders, and of cells beyond the last ring.
FAR = 255
#: Cells of a presence mask that a program looks at.
_MAP = 1024
#: Threads of a program that fills, and the programs that share the cells of a ring.
_THREADS, _PROGRAMS = 128, 4096


@triton.jit(do_not_specialize=["rounds"])  # type: ignore[untyped-decorator]
def _spread(  # type: ignore[no-untyped-def]
    source, inside, found, counts, length, step, total, rounds,
    FIRST: tl.constexpr, BORDERED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Distances along one axis, whose cells are `step` apart; the second pass takes in those of the first."""
    cells = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = cells < total
    place = cells // step % length
    distance = tl.full((BLOCK,), 255, tl.int32)
    for shift in range(-rounds, rounds + 1):
        near = exists & (place + shift >= 0) & (place + shift < length)
        there = tl.load(source + cells + shift * step, mask=near, other=0 if FIRST else 255).to(tl.int32)
        if FIRST:
            there = tl.where(there != 0, 0, 255)
        distance = tl.minimum(distance, tl.maximum(there, tl.maximum(shift, -shift)))
    if BORDERED:
        distance = tl.where(tl.load(inside + cells, mask=exists, other=0) != 0, distance, 255)
    tl.store(found + cells, distance.to(tl.uint8), mask=exists)
    if not FIRST:
        for ring in range(1, rounds + 1):
            many = tl.sum((exists & (distance == ring)).to(tl.int32), 0)
            if many > 0:
                tl.atomic_add(counts + ring, many)


@triton.jit(do_not_specialize=["rounds"])  # type: ignore[untyped-decorator]
def _collect(distance, counts, taken, listed, total, rounds, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    """List the cells of each ring, ring after ring; within a ring in any order, which changes no result."""
    cells = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there = tl.load(distance + cells, mask=cells < total, other=255).to(tl.int32)
    start = tl.load(counts)  # 0
    for ring in range(1, rounds + 1):
        chosen = there == ring
        many = tl.sum(chosen.to(tl.int32), 0)
        if many > 0:
            first = start + tl.atomic_add(taken + ring, many)
            tl.store(listed + first + tl.cumsum(chosen.to(tl.int32), 0) - 1, cells, mask=chosen)
        start += tl.load(counts + ring)


@triton.jit(do_not_specialize=["ring", "height", "width", "groups"])  # type: ignore[untyped-decorator]
def _fill(  # type: ignore[no-untyped-def]
    rows, distance, counts, listed, ring, height, width, groups,
    BLOCK: tl.constexpr, LANES: tl.constexpr, WIDE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Rows consist of groups of `LANES` channels, which are aligned, so that a thread reads them at once."""
    first = tl.load(counts)  # 0
    for earlier in range(1, ring):
        first += tl.load(counts + earlier)
    total = tl.load(counts + ring)
    start = tl.program_id(0) * BLOCK
    if WIDE:
        total, start = total.to(tl.int64), start.to(tl.int64)
    total *= groups
    while start < total:
        items = start + tl.arange(0, BLOCK)
        chosen = items < total
        cells = tl.load(listed + first + items // groups, mask=chosen, other=0)
        lanes = (items % groups).to(tl.int64)[:, None] * LANES + tl.arange(0, LANES)[None, :]
        row, column = cells // width % height, cells % width
        sums = tl.zeros((BLOCK, LANES), PRECISION)
        count = tl.zeros((BLOCK,), tl.int32)
        for dy in tl.static_range(-1, 2):
            for dx in tl.static_range(-1, 2):
                if dy != 0 or dx != 0:
                    y, x = row + dy, column + dx
                    near = chosen & (y >= 0) & (y < height) & (x >= 0) & (x < width)
                    place = cells + dy * width + dx
                    known = near & (tl.load(distance + place, mask=near, other=255) < ring)
                    places = place.to(tl.int64)[:, None] * (groups * LANES) + lanes
                    sums += tl.load(rows + places, mask=known[:, None], other=0.0).to(PRECISION)
                    count += known.to(tl.int32)
        means = sums / tl.maximum(count, 1).to(PRECISION)[:, None]
        places = cells.to(tl.int64)[:, None] * (groups * LANES) + lanes
        tl.store(rows + places, means.to(rows.dtype.element_ty), mask=chosen[:, None])
        start += tl.num_programs(0) * BLOCK


class RingCells(NamedTuple):
    """The absent cells around the present ones, by their distance in rings.

    Attributes:
        distance: uint8 `(N, 1, H, W)`: 0 for present cells, `FAR` for borders and cells beyond the last ring.
        counts: int32 `(rounds + 1,)`: how many cells each ring has; 0 for ring 0.
        listed: int32 `(N * H * W,)`: the numbers of the cells, ring after ring; the rest is undefined.
    """

    distance: Tensor
    counts: Tensor
    listed: Tensor


def ring_cells(present: Tensor, inside: Tensor | None, rounds: int) -> RingCells:
    """Find the cells of each ring.

    Args:
        present: Bool `(N, 1, H, W)`.
        inside: Bool `(N, 1, H, W)`, the image without borders, a rectangle; None for all cells.
        rounds: How many rings, below 255.
    """
    batch, _, height, width = present.shape
    cells = present.contiguous().view(torch.uint8)
    image = cells if inside is None else inside.expand(present.shape).contiguous().view(torch.uint8)
    along, found = torch.empty_like(cells), torch.empty_like(cells)
    total = batch * height * width
    counts, taken = torch.zeros(2, rounds + 1, dtype=torch.int32, device=present.device)
    listed = torch.empty(total, dtype=torch.int32, device=present.device)
    grid = (triton.cdiv(total, _MAP),)
    with on(present.device):
        _spread[grid](
            cells, image, along, counts, width, 1, total, rounds, FIRST=True, BORDERED=False, BLOCK=_MAP
        )
        _spread[grid](
            along, image, found, counts, height, width, total, rounds, FIRST=False, BORDERED=inside is not None,
            BLOCK=_MAP,
        )  # fmt: skip
        _collect[grid](found, counts, taken, listed, total, rounds, BLOCK=_MAP)
    return RingCells(found, counts, listed)


def fill(x: Tensor, rings: RingCells, rounds: int, in_place: bool = False) -> Tensor:
    """Fill the rings of a map one after another.

    Args:
        x: `(N, C, H, W)`, floating point.
        rings: From [`ring_cells`][xai_layermask.engine.kernels.ring_cells], for at least as many rounds.
        rounds: How many rings.
        in_place: Whether `x` may be overwritten, if it is channels-last.

    Returns:
        `(N, C, H, W)`, channels-last: `x` with the rings filled.
    """
    batch, channels, height, width = x.shape
    rows = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(-1, channels)
    if not in_place and rows.data_ptr() == x.data_ptr():
        rows = rows.clone()
    lanes = math.gcd(channels, WIDEST)
    groups = channels // lanes
    items = len(rows) * groups
    grid = (min(triton.cdiv(items, _THREADS), _PROGRAMS),)
    with on(x.device):
        for ring in range(1, rounds + 1):
            _fill[grid](
                rows, *rings, ring, height, width, groups, BLOCK=_THREADS, LANES=lanes,
                WIDE=items + _PROGRAMS * _THREADS >= MOST, PRECISION=precision_of(x.dtype),
            )  # fmt: skip
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
