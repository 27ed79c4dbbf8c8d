"""Masked operators of `unfold` (windows to columns) and `fold` (columns to maps)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..mask import PresenceMask
from ..padding import Pair
from .base import Call, Demand, Found, MaskedOperator, Wanted, fill_absent
from .view import Reshape
from .window import Window

__all__ = ["Columns", "Fold", "Unfold"]


class Columns(Reshape):
    """Unfolding into windows that do not overlap: each cell keeps its presence."""

    @staticmethod
    def _apply(call: Call, tensor: Tensor) -> Any:
        return call.step({call.step.inputs[0]: tensor if tensor.dtype == torch.bool else tensor.double()})


@dataclass(frozen=True)
class Unfold(Window):
    """Unfolding into overlapping windows: absent cells are filled as for a convolution.

    Args:
        size: Number of windows, vertically and horizontally.
    """

    size: Pair = (0, 0)

    def _geometry(self, call: Call) -> tuple[Pair, Pair, Pair, Pair, Pair]:
        return self.kernel, self.stride, self.padding, self.dilation, self.size

    def _maps(self, call: Call) -> PresenceMask:
        found = super().presence(call)
        return found if isinstance(found, PresenceMask) else call.cells()

    def presence(self, call: Call) -> Found:
        maps = self._maps(call)
        return maps.cached(("columns",), lambda: PresenceMask(maps.mask.flatten(2)))

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        return super().demand(replace(call, out=self._maps(call)), None, wanted)

    def value(self, call: Call, values: list[Any]) -> Any:
        if call.settings.padding != "partial":
            return super().value(replace(call, out=self._maps(call)), values)
        values[0] = fill_absent(0.0, values[0], call.with_borders())
        return call.run(values) * self._rescaling(call, values[0].dtype).flatten(2)


class Fold(MaskedOperator):
    """Folding: the mean over a cell's present entries times the number of all entries; present if any entry is."""

    def presence(self, call: Call) -> Found:
        cells = call.cells()
        key = ("fold", repr(call.step.args[1:]), *call.step.shape[1:])
        return cells.cached(key, lambda: PresenceMask(self._summed(call, self._one_channel(call, cells)) > 0))

    def _one_channel(self, call: Call, cells: PresenceMask) -> Tensor:
        """The entries of the first channel if those of the others are known to have the same presence, or all."""
        entries = math.prod(call.step.arguments["kernel_size"])
        if cells.origin is None or cells.origin.shape[-2] % entries:
            return cells.mask
        *batch, _, columns = cells.origin.shape
        channels = cells.origin.reshape(*batch, -1, entries, columns)
        alike = bool((channels == channels[..., :1, :, :]).all())
        return cells.mask[..., :entries, :] if alike else cells.mask

    def _summed(self, call: Call, mask: Tensor) -> Tensor:
        """The number of present entries of each cell; one channel if all have the same presence."""
        entries = mask.shape[-2] if mask.shape[-2] > 1 else math.prod(call.step.arguments["kernel_size"])
        columns = mask.expand(-1, entries, call.shapes[0][-1]).float()
        summed: Tensor = call.step({call.step.inputs[0]: columns})
        return summed

    def value(self, call: Call, values: list[Any]) -> Any:
        cells = call.with_borders()
        values[0] = fill_absent(0.0, values[0], cells)
        precision = torch.promote_types(values[0].dtype, torch.float32)

        def make() -> Tensor:
            everything = self._summed(call, torch.ones_like(cells.mask[:1])).to(precision)
            return everything / self._summed(call, cells.mask).clamp(min=1)

        factor = cells.cached(("fold factor", precision, repr(call.step.args[1:]), *call.step.shape[1:]), make)
        return call.run(values) * factor.to(values[0].dtype)
