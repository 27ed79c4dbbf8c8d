"""Masked operator of transposed convolutions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..graph import Shape
from ..mask import PresenceMask
from ..padding import window_sum
from .base import Call, Found
from .window import Window

__all__ = ["Transposed"]


@dataclass(frozen=True)
class Transposed(Window):
    """A transposed convolution; the window of an output cell consists of the input cells that reach it.

    As in a convolution, an output cell is present if any cell of its window is, and absent input cells are filled.
    Output cells that no input cell reaches hold the bias and are a border.
    """

    def leaves_gaps(self, call: Call) -> bool:
        """Whether there are output cells without an input cell between others that have one."""
        reached = self._reached(call, torch.ones(1, 1, *call.shapes[0][2:]))[0, 0] > 0
        places = [reached.any(dim).nonzero().flatten() for dim in (0, 1)]
        return any(len(line) > 0 and int(line[-1] - line[0]) >= len(line) for line in places)

    def presence(self, call: Call) -> Found:
        return self._windows(call, call.cells())

    def _windows(self, call: Call, cells: PresenceMask) -> PresenceMask:
        threshold, soft = call.settings.threshold, call.settings.soft

        def make() -> PresenceMask:
            inside = self._inside(call).clamp(min=1) if threshold or soft else None
            weights = self._reached(call, cells.weights()) / inside if soft and inside is not None else None
            if not threshold or inside is None:
                return PresenceMask(self._reached(call, cells.mask), share=weights)
            share = self._reached(call, cells.mask.float()) / inside
            return PresenceMask((share >= threshold - 1e-6) & (share > 0), share=weights)

        return cells.cached(("transposed", *self._geometry(call), threshold, soft), make)

    def _reached(self, call: Call, mask: Tensor) -> Tensor:
        """The input cells that reach each output cell: OR for booleans, their sum for numbers."""
        k, s, p, d = self.kernel, self.stride, self.padding, self.dilation
        spread = mask.new_zeros(*mask.shape[:2], *(s[i] * (mask.shape[2 + i] - 1) + 1 for i in (0, 1)))
        spread[:, :, :: s[0], :: s[1]] = mask
        before = (d[0] * (k[0] - 1) - p[0], d[1] * (k[1] - 1) - p[1])
        return window_sum(spread, k, (1, 1), before, d, (call.step.shape[2], call.step.shape[3]))

    def _inside(self, call: Call) -> Tensor:
        whole = call.inside[0]
        mask = whole.mask if isinstance(whole, PresenceMask) else call.cells().mask.new_ones(1)
        return self._reached(call, mask.float()).to(call.cells().mask.device)

    def _reach(self, call: Call, needed: PresenceMask | None) -> int:
        """A window spans `dilation * (kernel - 1)` output cells, in which input cells are `stride` apart."""
        return max(d * (k - 1) // s for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True))

    def _touched(self, out: PresenceMask, shape: Shape) -> PresenceMask:
        return out.window(self.kernel, self.stride, self.padding, self.dilation, (shape[2], shape[3]))

    def _rescaling(self, call: Call, dtype: torch.dtype) -> Tensor:
        precise = torch.promote_types(dtype, torch.float32)
        inside, present = self._inside(call).to(precise), self._reached(call, call.cells().mask.to(precise))
        return torch.where(inside > 0, inside / present.clamp(min=1), 1.0).to(dtype)
