"""Neighbour padding: absent cells take the mean of their present neighbours, ring by ring.

Source: Balasubramanian & Feizi (ICCV 2023), Algorithm 1. In each round every absent cell that touches, within 3 x 3, a
present or already filled cell takes the mean of those neighbours and counts as filled from the next round on. Cells
outside the image are ignored.

The fill is linear and the same for all channels. Its geometry ([`ring_geometry`][]) is computed once per presence mask
and applied to every activation that shares the mask, as a sparse gather-and-average over channels-last rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import grid_of
from .waiting import may_wait

__all__ = ["Ring", "Rings", "fill_rings", "ring_geometry", "window_sum"]

Pair = tuple[int, int]


@dataclass(frozen=True)
class Ring:
    """The cells that one round of neighbour padding fills, by index `(n * H + h) * W + w`.

    Attributes:
        cells: `(M,)`, the cells that are filled.
        neighbors: `(E,)`, their present or filled neighbours, cell after cell; `(0,)` if the cells become 0.
        offsets: `(M,)`, the position of each cell's first neighbour.
        counts: `(M, 1)`, the number of neighbours of each cell.
    """

    cells: Tensor
    neighbors: Tensor
    offsets: Tensor
    counts: Tensor


Rings = tuple[Ring, ...]


def window_sum(
    cells: Tensor,
    kernel: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    size: Pair | None = None,
) -> Tensor:
    """Combine the cells of each window: OR for booleans, sum for numbers. Cells outside count as False or 0.

    Args:
        cells: `(N, 1, H, W)`.
        kernel: Window height and width, in cells.
        stride: Step from window to window, in cells.
        padding: How far the first window extends beyond the image, in cells.
        dilation: Distance between neighbouring cells of a window.
        size: Number of windows `(h, w)`; as many as fit if None. The last ones may extend beyond the image.

    Returns:
        `(N, 1, h, w)` in the dtype of `cells`.

    Example:
        >>> window_sum(torch.tensor([[[[1, 0, 0, 1]]]]), (1, 3), padding=(0, 1))
        tensor([[[[1, 1, 1, 1]]]])
    """
    if cells.dtype == torch.bool and max(kernel) > 1 and not may_wait(cells.device):
        return _window_any(cells, kernel, stride, padding, dilation, size)
    for axis in (0, 1):
        k, s, p, d = kernel[axis], stride[axis], padding[axis], dilation[axis]
        length = cells.shape[axis + 2]
        windows = size[axis] if size else (length + 2 * p - d * (k - 1) - 1) // s + 1
        if k == 1 and p == 0 and (windows - 1) * s < length:
            if s > 1 or windows < length:
                cells = cells.narrow(axis + 2, 0, (windows - 1) * s + 1)
                cells = cells[:, :, ::s] if axis == 0 else cells[..., ::s]
            continue
        after = max((windows - 1) * s + d * (k - 1) + 1 - length - p, 0)
        wide = F.pad(cells, (0, 0, p, after) if axis == 0 else (p, after))
        total: Tensor | None = None
        for i in range(k):
            shifted = wide.narrow(axis + 2, i * d, (windows - 1) * s + 1)
            if s > 1:
                shifted = shifted[:, :, ::s] if axis == 0 else shifted[..., ::s]
            if total is None:
                total = shifted.clone()
            elif total.dtype == torch.bool:
                total |= shifted
            else:
                total += shifted
        cells = total if total is not None else cells
    return cells


def _window_any(
    cells: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair | None
) -> Tensor:
    """`window_sum` of booleans in few launches."""
    after, windows = [], []
    for axis in (0, 1):
        k, s, p, d = kernel[axis], stride[axis], padding[axis], dilation[axis]
        length = cells.shape[axis + 2]
        count = size[axis] if size else (length + 2 * p - d * (k - 1) - 1) // s + 1
        windows.append(count)
        after.append(max((count - 1) * s + d * (k - 1) + 1 - length - p, 0))
    numbers, around = cells.float(), list(padding)
    # A pool pads both sides by at most half a window.
    if any(a > p or 2 * p > k for a, p, k in zip(after, padding, kernel, strict=True)):
        numbers, around = F.pad(numbers, (padding[1], after[1], padding[0], after[0])), [0, 0]
    found = F.max_pool2d(numbers, kernel, stride, around, dilation) > 0
    return found[..., : windows[0], : windows[1]]


def ring_geometry(
    present: Tensor, wanted: Tensor | None = None, rounds: int | None = None, inside: Tensor | None = None
) -> Rings:
    """Find the cells and neighbours that neighbour padding needs to fill the wanted cells.

    Args:
        present: Bool `(N, 1, H, W)`.
        wanted: Bool `(N, 1, H, W)`: the cells that will be read; all if None.
        rounds: The maximum number of rounds; if None, until every wanted cell is filled. Wanted cells that no round
            reaches, as in an image without a present cell, then become 0.
        inside: Bool `(N, 1, H, W)`: the image without the model's own borders. Cells outside are neither filled nor
            used as neighbours. If None, all cells are inside.

    Returns:
        One ring per round. Cells that no wanted cell depends on are omitted.

    Example:
        >>> present = torch.tensor([[[[True, False, False]]]])
        >>> [ring.cells.tolist() for ring in ring_geometry(present)]
        [[1], [2]]
        >>> [ring.cells.tolist() for ring in ring_geometry(present, rounds=1)]
        [[1]]
    """
    batch, _, height, width = present.shape
    grid = grid_of(batch, height, width, present.device)
    image = grid.everywhere if inside is None else grid.lay(inside)
    reached = grid.lay(present)
    needed = image if wanted is None else grid.lay(wanted)
    missing = needed & image & ~reached
    waves: list[tuple[Tensor, Tensor]] = []
    while (rounds is None or len(waves) < rounds) and bool(missing.max()):
        grown = grid.grown(reached) & image | reached
        wave = grown ^ reached
        if not wave.max():
            break
        waves.append((reached, wave))
        missing = missing & ~grown
        reached = grown
    found: list[Ring] = []
    if rounds is None and bool(missing.max()):
        _, cells = grid.numbered(missing)
        nothing = cells.new_zeros(len(cells))
        found.append(Ring(cells.long(), nothing[:0], nothing, nothing[:, None] + 1))
    for before, wave in reversed(waves):
        if wanted is not None:
            wave = wave & needed
            needed = needed | grid.grown(wave)
        places, cells = grid.numbered(wave)
        found.append(Ring(cells.long(), *grid.neighbors(before, places, cells)))
    return tuple(ring for ring in reversed(found) if len(ring.cells))


def fill_rings(x: Tensor, geometry: Rings, in_place: bool = False) -> Tensor:
    """Fill absent cells ring by ring.

    Args:
        x: `(N, C, H, W)`, floating point.
        geometry: From [`ring_geometry`][], for the presence of `x`.
        in_place: Whether `x` may be overwritten, which saves a copy if it is channels-last and needs no gradient.

    Returns:
        `(N, C, H, W)`: `x` with the rings' cells filled.

    Example:
        >>> x = torch.tensor([[[[2.0, 0.0, 4.0, 0.0]]]])
        >>> fill_rings(x, ring_geometry(torch.tensor([[[[True, False, True, False]]]]))).tolist()
        [[[[2.0, 3.0, 4.0, 4.0]]]]
    """
    if not geometry:
        return x
    n, c, h, w = x.shape
    in_place = in_place and not x.requires_grad
    rows = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(n * h * w, c)
    for ring in geometry:
        if len(ring.neighbors):
            # Sums divided by the known counts are faster than means, for which torch counts again.
            means = F.embedding_bag(ring.neighbors, rows, ring.offsets, mode="sum").div_(ring.counts)
        else:
            means = rows.new_zeros(len(ring.cells), c)
        rows = rows.index_copy_(0, ring.cells, means) if in_place else rows.index_copy(0, ring.cells, means)
        in_place = not x.requires_grad  # rows are a copy by now
    return rows.view(n, h, w, c).permute(0, 3, 1, 2)
