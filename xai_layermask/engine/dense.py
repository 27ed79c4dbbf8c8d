"""Neighbour padding on accelerators: shapes do not depend on the data, so nothing waits for the device.

The graph states how many rings an operator can read, so no loop has to check whether cells are still missing. Where
Triton runs, kernels list the cells of each ring, and another writes a ring into channels-last rows
([`kernels`][xai_layermask.engine.kernels]). Elsewhere, and where gradients are needed, a ring is an average pool.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import reason
from .padding import Rings, fill_rings, ring_geometry, window_sum
from .waiting import may_wait

__all__ = ["DenseRings", "Distances", "fill", "filled_cells", "kernels_on", "neighbor_padding", "replace_absent"]


class _Level(NamedTuple):
    """One ring: the cells that keep their values, each cell's known neighbours over 8, and the same, at least 1/8."""

    kept: Tensor
    sums: Tensor
    shares: Tensor


class Distances:
    """The distances of absent cells from the present ones, in rings; computed when they are first needed.

    Args:
        present: Bool `(N, 1, H, W)`.
        inside: Bool `(N, 1, H, W)`, a rectangle: the image without the model's own borders. If None, all cells.
    """

    def __init__(self, present: Tensor, inside: Tensor | None = None) -> None:
        self.present, self.inside = present, inside
        self._most = 0
        self._absent: Tensor | None = None
        self._border: Tensor | None = None
        self._levels: dict[torch.dtype, list[_Level]] = {}
        self._cells: tuple[int, Any] | None = None

    def rings(self, rounds: int) -> DenseRings:
        """The geometry of a fill of this many rings, or of as many as the map can have."""
        rounds = min(rounds, max(self.present.shape[-2:]) - 1)
        self._most = max(self._most, rounds)
        return DenseRings(self, rounds)

    def filled_by(self, kernels: ModuleType, x: Tensor, rounds: int, in_place: bool) -> Tensor:
        """Fill by kernels; cells beyond the last ring stay as they are."""
        if self._cells is None or self._cells[0] < rounds:
            self._cells = self._most, kernels.ring_cells(self.present, self.inside, self._most)
        filled: Tensor = kernels.fill(x, self._cells[1], rounds, in_place)
        return filled

    def filled(self, x: Tensor, rounds: int, in_place: bool) -> Tensor:
        """Fill by operators of torch; absent cells beyond the last ring become 0."""
        if self._absent is None:
            self._absent = ~self.present
            self._border = None if self.inside is None else ~self.inside
        overwrites = not (x.requires_grad and torch.is_grad_enabled())
        in_place = in_place and overwrites and self._border is None
        rows = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        in_place = in_place or (overwrites and rows.data_ptr() != x.data_ptr())
        y = rows.view(x.shape[0], *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
        y = y.masked_fill_(self._absent, 0.0) if in_place else y.masked_fill(self._absent, 0.0)
        for level in self._of(x.dtype, rounds):
            # Eighths, because the sum of eight large halves is infinite.
            means = F.avg_pool2d(y, 3, 1, 1, divisor_override=8)
            means = means.div_(level.shares) if overwrites else means / level.shares
            y = torch.where(level.kept, y, means, out=y) if overwrites else torch.where(level.kept, y, means)
        return y if self._border is None else torch.where(self._border, x, y)

    def _of(self, dtype: torch.dtype, rounds: int) -> list[_Level]:
        found = self._levels.setdefault(dtype, [])
        while len(found) < rounds:
            if found:
                known = found[-1].sums.ceil()
                known = known if self.inside is None else known * self.inside
                kept = known > 0
            else:
                known, kept = self.present.to(dtype), self.present
            kept = kept if self._border is None else kept | self._border
            sums = F.avg_pool2d(known, 3, 1, 1, divisor_override=8)
            found.append(_Level(kept, sums, sums.clamp(min=0.125)))
        return found[:rounds]


@dataclass(frozen=True)
class DenseRings:
    """A fill of some rings.

    Attributes:
        distances: The distances from the present cells.
        rounds: How many rings.
    """

    distances: Distances
    rounds: int


def fill(x: Tensor, geometry: Rings | DenseRings, in_place: bool = False) -> Tensor:
    """Fill absent cells ring by ring.

    Args:
        x: `(N, C, H, W)`, floating point.
        geometry: From [`PresenceMask.rings`][xai_layermask.engine.mask.PresenceMask.rings], for the presence of `x`.
        in_place: Whether `x` may be overwritten.

    Returns:
        `(N, C, H, W)`: `x` with the rings' cells filled. Absent cells beyond them hold any number.

    Example:
        >>> x = torch.tensor([[[[2.0, 0.0, 4.0, 0.0, 0.0]]]])
        >>> fill(x, Distances(x > 0).rings(2)).tolist()
        [[[[2.0, 3.0, 4.0, 4.0, 4.0]]]]
    """
    if not isinstance(geometry, DenseRings):
        return fill_rings(x, geometry, in_place)
    distances, rounds = geometry.distances, geometry.rounds
    if not rounds:
        return x
    kernels = _kernels_for(x, rounds)
    if kernels is None:
        return distances.filled(x, rounds, in_place)
    return distances.filled_by(kernels, x, rounds, in_place)


def _kernels_for(x: Tensor, rounds: int = 0) -> ModuleType | None:
    """The kernels, if they can fill this many rings of a map; None for gradients."""
    kernels = kernels_on(x.device)
    learning = x.requires_grad and torch.is_grad_enabled()
    return kernels if kernels is not None and rounds < kernels.FAR and not learning else None


def replace_absent(x: Tensor, mask: Tensor, number: float) -> Tensor:
    """Replace every absent cell by a number.

    Args:
        x: Any tensor.
        mask: Bool, broadcast over `x`: which cells are present.
        number: The number.

    Example:
        >>> replace_absent(torch.ones(2, 3), torch.tensor([[True], [False]]), 5.0).tolist()
        [[1.0, 1.0, 1.0], [5.0, 5.0, 5.0]]
    """
    kernels = _kernels_for(x)
    replaced: Tensor | None = None if kernels is None else kernels.replace_absent(x, mask, number)
    return torch.where(mask, x, x.new_full((), number)) if replaced is None else replaced


def neighbor_padding(x: Tensor, presence: Tensor, rounds: int | None = None) -> Tensor:
    """Neighbour padding of an activation, the paper's Algorithm 1.

    Args:
        x: `(N, C, H, W)`, floating point; absent cells are never read.
        presence: Bool `(N, 1, H, W)`; a batch of one is broadcast, for `x` as well.
        rounds: How many rings to fill; all if None.

    Returns:
        `(N, C, H, W)`, a new tensor in which filled cells are the mean of their neighbours. Cells that no round reaches
        are 0.

    Example:
        >>> x = torch.tensor([[[[1.0, 9.0, 9.0, 9.0]]]])
        >>> neighbor_padding(x, x == 1.0, rounds=2).tolist()
        [[[[1.0, 1.0, 1.0, 0.0]]]]
    """
    x = torch.where(presence, x, x.new_zeros(()))
    present = presence.expand(x.shape[0], -1, -1, -1)
    if may_wait(x.device):
        return fill_rings(x, ring_geometry(present, rounds=rounds), in_place=True)
    rounds = max(x.shape[-2:]) - 1 if rounds is None else rounds
    if _kernels_for(x, rounds) is not None:
        return fill(x, Distances(present).rings(rounds), in_place=True)
    # A fill of this many rings computes each ring when it is needed, and keeps none.
    known = present.to(x.dtype)
    for _ in range(rounds):
        sums = F.avg_pool2d(known, 3, 1, 1, divisor_override=8)
        x = torch.where(known > 0, x, F.avg_pool2d(x, 3, 1, 1, divisor_override=8) / sums.clamp(min=0.125))
        known = sums.ceil()
    return x


def filled_cells(geometry: Rings | DenseRings, present: Tensor) -> Tensor:
    """The cells that are known after a fill: present `(N, 1, H, W)`, and those of the rings."""
    if isinstance(geometry, DenseRings):
        reach, inside = geometry.rounds, geometry.distances.inside
        near = window_sum(present, (2 * reach + 1,) * 2, padding=(reach, reach))
        return near if inside is None else near & inside
    known = present.clone(memory_format=torch.contiguous_format)
    for ring in geometry:
        known.view(-1)[ring.cells] = True
    return known


def kernels_on(device: torch.device) -> ModuleType | None:
    """The kernels for a device; None if Triton does not run there, or its results differ from torch's."""
    return _checked_kernels(device) if device.type in ("cuda", "xpu") else None


@cache
def _checked_kernels(device: torch.device) -> ModuleType | None:
    try:
        from . import kernels
    except ImportError:
        return None
    cells = torch.arange(2 * 9 * 7, device=device).view(2, 1, 9, 7)
    present = cells * 11 % 17 == 0
    x = torch.cat([cells % 13, -cells], 1).to(torch.float32)
    try:
        rings = kernels.ring_cells(present, None, 2)
        near = rings.distance < kernels.FAR
        found = kernels.fill(x, rings, 2) * near
        same = torch.allclose(found, Distances(present).filled(x, 2, False) * near)
        y, bias = (x[:, :1] - x[:, 1:]).expand(-1, 8, -1, -1), torch.arange(8.0, device=device)
        finished = kernels.finish(y.contiguous(memory_format=torch.channels_last), bias, "clamp", 0.0)
        same = same and torch.allclose(finished, (y + bias.view(-1, 1, 1)).relu())
        cleared = kernels.replace_absent(finished, present, 3.0)
        same = same and cleared is not None and torch.equal(cleared, torch.where(present, finished, 3.0))
        trouble = "" if same else "its results differ from torch's"
    except Exception as error:  # whatever its compiler or the driver raise
        trouble = f"{type(error).__name__}: {reason(error)}"
    if trouble:
        warnings.warn(f"Triton does not work on {device} ({trouble}), so fills are slower there", stacklevel=2)
        return None
    return kernels
