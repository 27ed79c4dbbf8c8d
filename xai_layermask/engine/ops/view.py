"""Masked operators of views, rearrangements and concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..graph import Shape
from ..mask import PresenceMask, joined, same_cells
from .base import Call, Demand, Found, MaskedOperator, Pointwise, Wanted, operands

__all__ = ["Concat", "Permute", "Pick", "Reshape", "Scatter", "compact"]


#: Dimensions along which rearranged masks do not vary, and their origins, by operator, arguments, shapes and origin.
_UNIFORM: dict[Any, tuple[tuple[tuple[int, ...], Tensor | None], ...]] = {}


class Reshape(MaskedOperator):
    """Views and rearrangements: presence is rearranged like the value."""

    any_masked: ClassVar[bool] = True

    def presence(self, call: Call) -> Found:
        cells, shape = call.cells(), call.shapes[0]
        return cells.cached(("reshape", *self._key(call)), lambda: self._rearranged(call, cells, shape))

    def _rearranged(self, call: Call, cells: PresenceMask, shape: Shape) -> Found:
        result = self._apply(call, cells.mask.expand(shape))
        parts = (result,) if isinstance(result, Tensor) else tuple(result)
        moved = any(part.shape[:1] != shape[:1] for part in parts)
        origins: tuple[Tensor | None, ...] = (None,) * len(parts)
        copied = any(part.untyped_storage().data_ptr() != cells.mask.untyped_storage().data_ptr() for part in parts)
        if moved or copied or cells.origin is not None:
            # Strides no longer show where the mask is uniform: trace the origin of each cell.
            key = (*self._key(call), cells.mask.shape, id(cells.origin))
            if key not in _UNIFORM:
                _UNIFORM[key] = self._uniform(call, cells, shape)
            dims, origins = zip(*_UNIFORM[key], strict=True)
            parts = tuple(_narrow(part, found) for part, found in zip(parts, dims, strict=True))
        if moved:
            # Rows that come from another dimension stay apart, for a single image as for several.
            parts = tuple(part.contiguous() for part in parts)
        masks = tuple(compact(part) for part in parts)
        shares = self._shares(call, cells, shape, masks)
        found = tuple(PresenceMask(mask, None, *rest) for mask, *rest in zip(masks, shares, origins, strict=True))
        return found[0] if isinstance(result, Tensor) else found

    def _shares(
        self, call: Call, cells: PresenceMask, shape: Shape, masks: tuple[Tensor, ...]
    ) -> tuple[Tensor | None, ...]:
        if cells.share is None:
            return (None,) * len(masks)
        result = self._apply(call, cells.share.expand(shape))
        shares = (result,) if isinstance(result, Tensor) else tuple(result)
        # Shares vary only where the mask may.
        dims = (tuple(dim for dim, size in enumerate(mask.shape) if size == 1) for mask in masks)
        return tuple(_narrow(share, found) for share, found in zip(shares, dims, strict=True))

    @staticmethod
    def _apply(call: Call, tensor: Tensor) -> Any:
        # A second tensor only gives a shape.
        models = {
            index: tensor.new_empty(()).expand(shape)
            for index, shape in zip(call.step.inputs[1:], call.shapes[1:], strict=True)
        }
        given = models | {call.step.inputs[0]: tensor}
        return call.step(given)

    def _uniform(
        self, call: Call, cells: PresenceMask, shape: Shape
    ) -> tuple[tuple[tuple[int, ...], Tensor | None], ...]:
        origin = cells.origin
        if origin is None:
            origin = torch.arange(cells.mask.numel(), dtype=torch.int32).view(cells.mask.shape)
        result = self._apply(call, origin.expand(shape))
        parts = (result,) if isinstance(result, Tensor) else tuple(result)
        found = []
        for part in parts:
            moved = part.shape[:1] != shape[:1]
            dims = tuple(
                dim
                for dim in range(moved, part.dim())
                if part.numel() and bool((part == part.narrow(dim, 0, 1)).all())
            )
            rest = _narrow(part, dims)
            # Rows that come from another dimension stay apart, so nothing is known of them.
            known = not moved and len(set(rest.flatten().tolist())) < rest.numel()
            found.append((dims, rest if known else None))
        return tuple(found)

    @staticmethod
    def _key(call: Call) -> tuple[Any, ...]:
        step = call.step
        return step.operator, repr(step.args[1:]), repr(step.kwargs), *call.shapes


def _narrow(mask: Tensor, dims: tuple[int, ...]) -> Tensor:
    for dim in dims:
        # Unlike `narrow`, this gives the dimension a stride that every kernel of an accelerator understands.
        mask = mask.select(dim, 0).unsqueeze(dim)
    return mask


def compact(mask: Tensor) -> Tensor:
    """Shrink the dimensions of an expanded mask that have stride 0."""
    return _narrow(
        mask, tuple(dim for dim, step in enumerate(mask.stride()) if step == 0 and mask.shape[dim] > 1)
    )


@dataclass(frozen=True)
class Permute(MaskedOperator):
    """A permutation of dimensions.

    Args:
        order: For each output dimension, the corresponding input dimension.
    """

    order: tuple[int, ...]

    def presence(self, call: Call) -> Found:
        return permuted(call.cells(), self.order)

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        back = tuple(sorted(range(len(self.order)), key=self.order.__getitem__))
        return [Demand(permuted(needed, back) if needed is not None else call.cells())]


def permuted(cells: PresenceMask, order: tuple[int, ...]) -> PresenceMask:
    """Permute the dimensions of a presence; the inverse permutation returns the original object."""

    def make() -> PresenceMask:
        inner = permuted(cells.inner, order) if cells.inner is not None else None
        share = None if cells.share is None else cells.share.permute(order)
        origin = None if cells.origin is None else _permuted_origin(cells.origin, order)
        there = PresenceMask(cells.mask.permute(order), inner, share, origin)
        back = tuple(sorted(range(len(order)), key=order.__getitem__))
        there.cached(("permute", back), lambda: cells)
        return there

    return cells.cached(("permute", order), make)


@cache
def _permuted_origin(origin: Tensor, order: tuple[int, ...]) -> Tensor:
    """One object for each origin and order, since origins are told apart by identity."""
    return origin.permute(order)


class Pick(MaskedOperator):
    """One tensor of the list that an operator returned."""

    def presence(self, call: Call) -> Found:
        found = call.found[0]
        return found[call.step.args[1]] if isinstance(found, tuple) else found


@dataclass(frozen=True)
class Concat(MaskedOperator):
    """Concatenation: along channels, present where every part is; along tokens or space, each part keeps its presence.

    Args:
        dim: The dimension of the concatenation.
    """

    any_masked: ClassVar[bool] = True
    dim: int

    def presence(self, call: Call) -> Found:
        rank = len(call.shapes[0])
        dim = self.dim % rank
        masked = [cells for cells in call.found if isinstance(cells, PresenceMask)]
        wide = any(
            shape[dim] > 1 for cells, shape in zip(call.found, call.shapes, strict=True) if cells is not None
        )
        uniform = not any(cells.varies(dim) for cells in masked)
        # In channels-last maps, presence varies along dimension 1, the height.
        space = rank == 4 and dim > 1 and not any(cells.varies(1) for cells in masked)
        if uniform and ((rank == 4 and dim == 1) or (wide and not space)):
            return joined(operands(call, rank))
        size = [max(sizes) for sizes in zip(*(cells.mask.shape for cells in masked), strict=True)]
        parts = []
        for found, shape in zip(call.found, call.shapes, strict=True):
            size[dim] = shape[dim]
            mask = found.mask if isinstance(found, PresenceMask) else masked[0].mask.new_ones(())
            parts.append(mask.expand(size))
        return PresenceMask(torch.cat(parts, dim))

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        return Pointwise().demand(call, needed, wanted)


@dataclass(frozen=True)
class Scatter(MaskedOperator):
    """A tensor with a slice replaced by another tensor, which keeps its presence.

    Along channels, a cell is present where it is in both, as in a concatenation.

    Args:
        dim: The dimension of the slice.
    """

    any_masked: ClassVar[bool] = True
    dim: int

    def presence(self, call: Call) -> Found:
        (whole, part), rank = call.shapes, len(call.shapes[0])
        if whole == part:
            return call.found[1]
        dim = self.dim % rank
        picked = len(part) < rank  # a single row, without its dimension
        found = [
            [_aligned(one, dim if picked and place else None) for place, one in enumerate(pair)]
            for pair in (call.found, call.inside)
        ]
        pairs = [(a, b) for a, b in zip(*found, strict=True) if a is not None and b is not None]
        if not any(cells.varies(dim) for cells, _ in pairs):
            return joined(pairs)
        one = pairs[0][0].mask.new_ones([1] * rank)
        masks = [one if cells is None else cells.mask for cells in found[0]]
        sizes = list(torch.broadcast_shapes(*(mask.narrow(dim, 0, 1).shape for mask in masks)))  # type: ignore[no-untyped-call]
        sizes[dim] = whole[dim]
        base = masks[0].expand(sizes)
        sizes[dim] = 1 if picked else part[dim]
        new = masks[1].expand(sizes)
        result = call.step({call.step.inputs[0]: base, call.step.inputs[1]: new.squeeze(dim) if picked else new})
        before = found[0][0]
        same = before is not None and same_cells(before.mask, result)
        return before.with_origin(None) if before is not None and same else PresenceMask(result)


def _aligned(cells: Any, dim: int | None) -> PresenceMask | None:
    if not isinstance(cells, PresenceMask) or dim is None:
        return cells if isinstance(cells, PresenceMask) else None
    return cells.cached(("aligned", dim), lambda: PresenceMask(cells.mask.unsqueeze(dim)))
