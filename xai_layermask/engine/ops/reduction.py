"""Masked operators of adaptive pooling, norms and resizing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..mask import PresenceMask
from ..waiting import may_wait
from .base import Call, Demand, Found, MaskedOperator, Wanted, fill_absent, weight_of, weighted

__all__ = ["Nearest", "Norm", "Regions", "Resize"]


@dataclass(frozen=True)
class Regions(MaskedOperator):
    """Adaptive pooling: mean or maximum over the present cells of each region, 0 if there is none.

    Means are weighted by the share of each cell that was present if the settings are soft, and not divided by the
    weights if they do not rescale.

    Args:
        size: Number of regions, vertically and horizontally.
        kind: "mean" or "max".
    """

    reads_maps: ClassVar[bool] = True
    size: tuple[int, int]
    kind: str = "mean"

    def presence(self, call: Call) -> Found:
        mask = call.cells().mask
        if mask.shape[0] <= call.images:
            return None
        # Parts of an image that were moved to the batch dimension are absent if all of their cells are.
        found = PresenceMask(mask.amax((1, 2, 3), keepdim=True))
        return found if self.kind == "mean" else (found, found)

    def value(self, call: Call, values: list[Any]) -> Any:
        cells, x = call.with_borders(), values[0]
        if self.size == (1, 1) and self.kind == "mean":
            total = weighted(x, cells).sum((-2, -1), keepdim=True, dtype=_wide(x))
            if not call.settings.rescale:
                return (total / (x.shape[-2] * x.shape[-1])).to(x.dtype)
            return (total / weight_of(cells, (-2, -1), True, total.dtype)).to(x.dtype)
        share = self._mean(cells.mask.to(_wide(x)))
        if self.kind == "max":
            filled = _strided(fill_absent(-math.inf, x, cells))
            found = F.adaptive_max_pool2d(filled, self.size, return_indices=True)
            return tuple(torch.where(share > 0, one, one.new_zeros(())) for one in found)
        mean = self._mean(weighted(x, cells))
        if not call.settings.rescale:
            return mean
        if cells.share is not None:
            share = self._mean(cells.weights().to(share.dtype))
        return mean * torch.where(share > 0, 1 / share, 0.0).to(x.dtype)

    def _mean(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(_strided(x), self.size)


def _strided(x: Tensor) -> Tensor:
    """Give a single channel the stride of a contiguous map: adaptive pools on CUDA step by it from image to image."""
    return x if x.shape[1] > 1 else x.squeeze(1).unsqueeze(1)


@dataclass(frozen=True)
class Norm(MaskedOperator):
    """Group, instance, layer and RMS norm over space, with statistics of the present cells only.

    Args:
        groups: Number of channel groups; 0 for statistics over `dims`.
        dims: The dimensions of a layer norm.
        eps: Added to the variance; None for torch's default for RMS norms.
        weight: Position of the scale among the tensor inputs, or None.
        bias: Position of the shift, or None.
        centered: Whether the mean is subtracted; False for RMS norms.
    """

    groups: int
    dims: tuple[int, ...]
    eps: float | None
    weight: int | None
    bias: int | None
    centered: bool = True

    def presence(self, call: Call) -> Found:
        return call.cells()

    def value(self, call: Call, values: list[Any]) -> Any:
        x, mask = values[0].to(_wide(values[0])), call.with_borders().mask
        if self.groups:
            shape = (x.shape[0], self.groups, -1, *x.shape[2:])
            y, dims = x.reshape(shape), tuple(range(2, x.dim() + 1))
            mask = mask.unsqueeze(1) if mask.shape[1] == 1 else mask.expand(x.shape).reshape(shape)
        else:
            y, dims = x, self.dims
        mask = mask.expand(y.shape[0], *mask.shape[1:])
        share = math.prod(y.shape[dim] for dim in dims if mask.shape[dim] == 1)
        count = mask.sum(dims, keepdim=True).clamp(min=1) * share
        zero = y.new_zeros(())
        mean = torch.where(mask, y, zero).sum(dims, keepdim=True) / count if self.centered else zero
        spread = torch.where(mask, y - mean, zero)
        eps = _default_eps(values[0].dtype) if self.eps is None else self.eps
        scale = torch.rsqrt(spread.square().sum(dims, keepdim=True) / count + eps)
        y = (spread * scale).reshape(x.shape)
        around = (1, -1, *[1] * (x.dim() - 2)) if self.groups else None
        if self.weight is not None:
            weight = values[self.weight]
            y = y * (weight.view(around) if around else weight)
        if self.bias is not None:
            bias = values[self.bias]
            y = y + (bias.view(around) if around else bias)
        return y.to(values[0].dtype)


def _wide(x: Tensor) -> torch.dtype:
    """The dtype of statistics: at least single precision, as in PyTorch's own norms."""
    return torch.promote_types(x.dtype, torch.float32)


@cache
def _default_eps(dtype: torch.dtype) -> float:
    """What torch adds by default in RMS norms: the precision of the dtype, or of the one that it computes in."""
    tiny = 2.0**-20
    grown = float(F.rms_norm(torch.tensor([tiny], dtype=dtype, device="cpu"), (1,))) / tiny
    return torch.finfo(dtype if grown < 100 else torch.promote_types(dtype, torch.float32)).eps


class Nearest(MaskedOperator):
    """Nearest-neighbour interpolation, of values and presence alike."""

    reads_maps: ClassVar[bool] = True

    def presence(self, call: Call) -> Found:
        step, cells = call.step, call.cells()
        key = ("nearest", step.operator, repr(step.args[1:]), repr(step.kwargs))
        return cells.cached(key, lambda: cells.moved(lambda x: step({step.inputs[0]: x})))


@dataclass(frozen=True)
class Resize(MaskedOperator):
    """Interpolation: presence is that of the nearest cell, values are interpolated after filling.

    Args:
        reach: The maximum distance, in cells, from the nearest cell to a cell that is read.
    """

    reads_maps: ClassVar[bool] = True
    takes_positions: ClassVar[bool] = True
    reach: int

    def presence(self, call: Call) -> Found:
        cells, size = call.cells(), tuple(call.step.shape[2:])
        return cells.cached(
            ("resize", size), lambda: cells.moved(lambda x: F.interpolate(x, size, mode="nearest"))
        )

    def _read(self, call: Call) -> PresenceMask:
        """The cells that are read by output cells that are present or borders."""
        cells, width = call.with_borders(), 2 * self.reach + 1
        sides = cells.mask.shape[2], cells.mask.shape[3]
        return cells.window((width, width), (1, 1), (self.reach, self.reach), (1, 1), sides)

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        fills = call.settings.padding == "neighbor" and not call.mixed
        return [Demand(call.cells(), self._wanted(call) if fills else None)]

    def _wanted(self, call: Call) -> PresenceMask | int:
        """The cells that are read; those that only borders read may be any number of rings away."""
        inside = call.inside[0]
        whole = not isinstance(inside, PresenceMask) or inside.is_whole()
        return self.reach if whole and not may_wait(call.cells().mask.device) else self._read(call)

    def value(self, call: Call, values: list[Any]) -> Any:
        if call.settings.padding != "neighbor":
            values[0] = fill_absent(0.0, values[0], call.with_borders())
        elif call.mixed:
            values[0] = call.filled(values[0], self._wanted(call))
        return call.run(values)
