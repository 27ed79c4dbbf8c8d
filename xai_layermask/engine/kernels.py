"""Triton kernels: neighbour padding, and what follows a convolution.

Neighbour padding finds distances in rings, and writes one ring of a channels-last map in place; a block of cells
without a cell of the ring returns immediately. Import this module only where Triton is installed.
"""

from __future__ import annotations

import contextlib
import math

import torch
import triton
import triton.language as tl
from torch import Tensor

__all__ = ["FAR", "distances", "fill", "finish"]

#: The distance of borders, and of cells beyond the last ring.
FAR = 255
_CELLS, _LANES, _MAP = 16, 128, 256
#: Numbers in a block of a finished map, and the largest number of neighbouring channels that one thread reads.
_NUMBERS, _WIDEST = 2048, 8


@triton.jit(do_not_specialize=["rounds"])  # type: ignore[untyped-decorator]
def _spread(  # type: ignore[no-untyped-def]
    source, inside, found, length, step, total, rounds, FIRST: tl.constexpr, BORDERED: tl.constexpr, BLOCK: tl.constexpr
):
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


@triton.jit(do_not_specialize=["ring"])  # type: ignore[untyped-decorator]
def _fill(  # type: ignore[no-untyped-def]
    rows, distance, ring, height, width, total, channels,
    CELLS: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    cells = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    chosen = tl.load(distance + cells, mask=cells < total, other=255) == ring
    if tl.max(chosen.to(tl.int32), 0) > 0:
        row, column = cells // width % height, cells % width
        lanes = tl.program_id(1) * LANES + tl.arange(0, LANES)
        used = lanes < channels
        sums = tl.zeros((CELLS, LANES), PRECISION)
        count = tl.zeros((CELLS,), tl.int32)
        for dy in tl.static_range(-1, 2):
            for dx in tl.static_range(-1, 2):
                y, x = row + dy, column + dx
                near = chosen & (y >= 0) & (y < height) & (x >= 0) & (x < width)
                place = cells + dy * width + dx
                known = near & (tl.load(distance + place, mask=near, other=255) < ring)
                places = place.to(tl.int64)[:, None] * channels + lanes[None, :]
                sums += tl.load(rows + places, mask=known[:, None] & used[None, :], other=0.0).to(PRECISION)
                count += known.to(tl.int32)
        means = sums / tl.maximum(count, 1).to(PRECISION)[:, None]
        places = cells.to(tl.int64)[:, None] * channels + lanes[None, :]
        tl.store(rows + places, means.to(rows.dtype.element_ty), mask=chosen[:, None] & used[None, :])


@triton.jit(do_not_specialize=["total", "width"])  # type: ignore[untyped-decorator]
def _finish(  # type: ignore[no-untyped-def]
    rows, bias, other, more, total, width,
    KIND: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr,
    BLOCK: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Rows consist of `width` groups of `LANES` channels, which are aligned, so that a thread reads them at once."""
    groups = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    lanes = tl.arange(0, LANES)[None, :]
    exists = (groups < total)[:, None]
    places = groups[:, None] * LANES + lanes
    channels = (groups % width)[:, None] * LANES + lanes
    x = tl.load(rows + places, mask=exists, other=0.0).to(PRECISION)
    x += tl.load(bias + channels, mask=exists, other=0.0).to(PRECISION)
    if other is not None:
        x += tl.load(other + places, mask=exists, other=0.0).to(PRECISION)
    if more is not None:
        x += tl.load(more + channels, mask=exists, other=0.0).to(PRECISION)
    # Comparisons keep NaN, as torch does.
    if KIND == "silu":
        x = x / (1.0 + tl.exp(-x))
    elif KIND == "hardswish":
        share = x + 3.0
        share = tl.where(share < 0.0, 0.0, tl.where(share > 6.0, 6.0, share))
        x = x * share / 6.0
    if LOW is not None:
        low = tl.full((BLOCK, LANES), LOW, PRECISION)
        x = tl.where(x < low, low, x)
    if HIGH is not None:
        high = tl.full((BLOCK, LANES), HIGH, PRECISION)
        x = tl.where(x > high, high, x)
    tl.store(rows + places, x.to(rows.dtype.element_ty), mask=exists)


def distances(present: Tensor, inside: Tensor | None, rounds: int) -> Tensor:
    """The distance of each cell from the nearest present cell, in rings.

    Args:
        present: Bool `(N, 1, H, W)`.
        inside: Bool `(N, 1, H, W)`, the image without borders, a rectangle; None for all cells.
        rounds: The largest distance that is looked for, below 255.

    Returns:
        uint8 `(N, 1, H, W)`: 0 for present cells, `FAR` for borders and cells farther away.
    """
    batch, _, height, width = present.shape
    cells = present.contiguous().view(torch.uint8)
    image = cells if inside is None else inside.expand(present.shape).contiguous().view(torch.uint8)
    along, found = torch.empty_like(cells), torch.empty_like(cells)
    total = batch * height * width
    grid = (triton.cdiv(total, _MAP),)
    with _on(present.device):
        _spread[grid](cells, image, along, width, 1, total, rounds, FIRST=True, BORDERED=False, BLOCK=_MAP)
        _spread[grid](
            along, image, found, height, width, total, rounds, FIRST=False, BORDERED=inside is not None, BLOCK=_MAP
        )
    return found


def fill(x: Tensor, distance: Tensor, rounds: int, in_place: bool = False) -> Tensor:
    """Fill the rings of a map one after another.

    Args:
        x: `(N, C, H, W)`, floating point.
        distance: From [`distances`][xai_layermask.engine.kernels.distances], for at least as many rounds.
        rounds: How many rings.
        in_place: Whether `x` may be overwritten, if it is channels-last.

    Returns:
        `(N, C, H, W)`, channels-last: `x` with the rings filled.
    """
    batch, channels, height, width = x.shape
    total = batch * height * width
    rows = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(total, channels)
    if not in_place and rows.data_ptr() == x.data_ptr():
        rows = rows.clone()
    lanes = min(_LANES, triton.next_power_of_2(channels))
    grid = (triton.cdiv(total, _CELLS), triton.cdiv(channels, lanes))
    precision = tl.float64 if x.dtype == torch.float64 else tl.float32
    with _on(x.device):
        for ring in range(1, rounds + 1):
            _fill[grid](
                rows, distance, ring, height, width, total, channels, CELLS=_CELLS, LANES=lanes, PRECISION=precision
            )
    return rows.view(batch, height, width, channels).permute(0, 3, 1, 2)


def finish(
    x: Tensor,
    bias: Tensor,
    kind: str = "clamp",
    low: float | None = None,
    high: float | None = None,
    other: Tensor | None = None,
    more: Tensor | None = None,
) -> Tensor:
    """Add a convolution's bias and a residual, and apply an activation, in place.

    Args:
        x: `(N, C, H, W)`, floating point, contiguous in channels-last layout, with fewer than 2^31 numbers.
        bias: `(C,)`, contiguous.
        kind: "clamp", "silu" or "hardswish".
        low: The lower bound for "clamp"; None without.
        high: The upper bound.
        other: The residual, with the shape, dtype and layout of `x`.
        more: The bias of the residual, `(C,)`, contiguous.

    Returns:
        `x`, which holds `activation(x + bias + other + more)`.
    """
    channels = x.shape[1]
    lanes = math.gcd(channels, _WIDEST)
    total, block = x.numel() // lanes, _NUMBERS // lanes
    precision = tl.float64 if x.dtype == torch.float64 else tl.float32
    with _on(x.device):
        _finish[(triton.cdiv(total, block),)](
            x, bias, other, more, total, channels // lanes, KIND=kind, LOW=low, HIGH=high, BLOCK=block, LANES=lanes,
            PRECISION=precision,
        )  # fmt: skip
    return x


def _on(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Triton launches on the current device."""
    return contextlib.nullcontext() if device.type == "cpu" else getattr(torch, device.type).device(device)
