"""Masked operator of reductions, over present cells only; 0 where none is present."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..mask import PresenceMask
from .base import Call, Found, MaskedOperator, fill_absent, weight_of, weighted

__all__ = ["Reduce", "leaves"]

#: Neutral elements, written to absent cells before the reduction; for variances, it is the mean instead.
_NEUTRAL = {
    "all": 1.0,
    "amax": -math.inf,
    "amin": math.inf,
    "any": 0.0,
    "argmax": -math.inf,
    "argmin": math.inf,
    "logsumexp": -math.inf,
    "max": -math.inf,
    "mean": 0.0,
    "min": math.inf,
    "norm": 0.0,
    "prod": 1.0,
    "sum": 0.0,
}


def leaves(mask: Tensor, images: int) -> Found:
    """Presence of a result for this many images; None, for an ordinary tensor, if it does not vary within an image."""
    return PresenceMask(mask) if mask.numel() > images else None


@dataclass(frozen=True)
class Reduce(MaskedOperator):
    """A reduction over dimensions.

    A sum is the mean over present cells times the number of all cells, which keeps the scale that the model expects.
    Any other reduction is computed over the present cells only. With soft settings, means and sums weight each cell by
    its present share. Without rescaling, they keep the model's divisor.

    Args:
        kind: Name of the ATen operator; "norm" for vector norms.
        dims: The dimensions to reduce; all if empty.
        keepdim: Whether they are kept with size 1.
        parameter: The order of a norm, or the correction of a variance.
    """

    kind: str
    dims: tuple[int, ...] = ()
    keepdim: bool = False
    parameter: float = 0.0

    def presence(self, call: Call) -> Found:
        dims, cells = self._dims(call), call.cells()
        uniform = not any(cells.varies(dim) for dim in dims)
        same = uniform and self.keepdim and len(dims) < len(call.shapes[0]) - 1
        found = cells if same else leaves(self._any(cells.mask, dims), call.images)
        parts = len(call.step.shape) if _is_several(call.step.shape) else 0
        return (found,) * parts if parts and found is not None else found

    def _dims(self, call: Call) -> tuple[int, ...]:
        rank = len(call.shapes[0])
        return tuple(sorted(dim % rank for dim in self.dims)) or tuple(range(rank))

    def _any(self, mask: Tensor, dims: tuple[int, ...]) -> Tensor:
        for dim in reversed(dims):
            mask = mask.any(dim, keepdim=self.keepdim)
        return mask

    def value(self, call: Call, values: list[Any]) -> Any:
        cells, dims = call.with_borders(), self._dims(call)
        uniform = not any(cells.varies(dim) for dim in dims)
        if uniform and call.out is not None:
            return call.run(values)
        found = self._any(cells.mask, dims)
        if uniform:
            return _each(lambda y: torch.where(found, y, y.new_zeros(())), call.run(values))
        x = values[0]
        precision = torch.promote_types(x.dtype, torch.float32) if x.is_floating_point() else x.dtype
        linear = self.kind in ("mean", "sum")
        prepare = weighted(x.to(precision), cells) if linear else self._filled(x.to(precision), cells, dims)
        y = call.run([prepare, *values[1:]])
        total = math.prod(x.shape[dim] for dim in dims)
        if linear:
            count = weight_of(cells, dims, self.keepdim, precision)
        else:
            count = cells.mask.sum(dims, keepdim=self.keepdim)
        count = count * math.prod(x.shape[dim] for dim in dims if not cells.varies(dim))
        if call.settings.rescale or not linear:
            y = self._counted(y, count, total)
        narrow = x.dtype != precision and call.step.arguments.get("dtype") is None
        return _each(lambda y: self._finished(y, found, x.dtype if narrow else None), y)

    def _filled(self, x: Tensor, cells: PresenceMask, dims: tuple[int, ...]) -> Tensor:
        if self.kind.startswith(("var", "std")):
            kept = fill_absent(0.0, x, cells)
            share = math.prod(x.shape[dim] for dim in dims if not cells.varies(dim))
            count = cells.mask.sum(dims, keepdim=True).clamp(min=1) * share
            return torch.where(cells.mask, x, kept.sum(dims, keepdim=True) / count)
        number = math.inf if self.kind == "norm" and self.parameter < 0 else _NEUTRAL[self.kind]
        if math.isinf(number) and not x.is_floating_point():
            limits = torch.iinfo(x.dtype)
            number = limits.max if number > 0 else limits.min
        elif self.kind == "logsumexp":
            # Finite, so that gradients stay finite where nothing is present.
            number = torch.finfo(x.dtype).min
        return fill_absent(number, x, cells)

    def _counted(self, y: Any, count: Tensor, total: int) -> Any:
        """Divide by the number of present cells where the operator divides by the number of all cells."""
        if self.kind in ("mean", "sum"):
            return y * (total / count.to(y.dtype))
        if not self.kind.startswith(("var", "std")):
            return y
        first, *rest = y if isinstance(y, tuple | list) else (y,)
        degrees = (count - self.parameter).to(first.dtype)
        factor = torch.where(degrees > 0, (total - self.parameter) / degrees, 0.0)
        first = first * (factor.sqrt() if self.kind.startswith("std") else factor)
        return (first, *rest) if rest else first

    @staticmethod
    def _finished(y: Tensor, found: Tensor, dtype: torch.dtype | None) -> Tensor:
        y = torch.where(found, y, y.new_zeros(()))
        return y if dtype is None or not y.is_floating_point() else y.to(dtype)


def _is_several(shape: Any) -> bool:
    return bool(shape) and isinstance(shape[0], tuple)


def _each(function: Any, y: Any) -> Any:
    return tuple(function(one) for one in y) if isinstance(y, tuple | list) else function(y)
