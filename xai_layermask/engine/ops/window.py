"""Masked operators of sliding windows (convolution, pooling) and of padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..graph import Shape
from ..mask import PresenceMask
from ..padding import Pair, window_sum
from ..waiting import may_wait
from .base import Call, Demand, Found, MaskedOperator, Wanted, fill_absent

__all__ = ["Border", "Window"]


@dataclass(frozen=True)
class Window(MaskedOperator):
    """A sliding window: convolution or pooling.

    Args:
        kernel: Window height and width, in cells.
        stride: Step between windows, in cells.
        padding: How far the first window extends beyond the image, in cells.
        dilation: Distance between the cells of a window.
        kind: "conv", "max" or "mean".
    """

    reads_maps: ClassVar[bool] = True
    takes_positions: ClassVar[bool] = True
    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    kind: str = "conv"

    def presence(self, call: Call) -> Found:
        threshold, soft = call.settings.threshold, call.settings.soft
        inside = self._inside(call) if threshold or soft else None
        return call.cells().window(*self._geometry(call), threshold, inside, soft)

    def _geometry(self, call: Call) -> tuple[Pair, Pair, Pair, Pair, Pair]:
        size = (call.step.shape[2], call.step.shape[3])
        return self.kernel, self.stride, self.padding, self.dilation, size

    def _inside(self, call: Call) -> Tensor:
        """The number of cells of each window inside the image, `(N, 1, h, w)`."""
        whole, geometry = call.inside[0], self._geometry(call)
        if not isinstance(whole, PresenceMask):
            return window_sum(call.cells().mask.new_ones(1).float(), *geometry)
        count = whole.cached(("count", geometry), lambda: PresenceMask(window_sum(whole.mask.float(), *geometry)))
        return count.on(call.cells().mask.device)

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        cells = call.cells()
        fills = self._fills(call) and not call.mixed
        if not may_wait(cells.mask.device):
            same = self.kernel == (1, 1) and self.stride == (1, 1) and needed is not None
            first = Demand(needed if same and needed else cells, self._reach(call, needed) if fills else None)
            return [first, *[None] * (len(call.found) - 1)]
        touched = self._touched(needed or call.out, call.shapes[0]) if isinstance(call.out, PresenceMask) else cells
        if self.kernel == (1, 1) or cells.contains(touched):
            first = Demand(touched)
        else:
            first = Demand(cells, touched if fills else None)
        return [first, *[None] * (len(call.found) - 1)]

    def _fills(self, call: Call) -> bool:
        return call.settings.padding == "neighbor" and (self.kind == "conv" or call.settings.pool_padding)

    def _reach(self, call: Call, needed: PresenceMask | None) -> int:
        """How many rings the needed windows can read: each holds a present cell, or has one in its centre."""
        sides = [d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True)]
        centred = all(k % 2 and 2 * p == side for k, p, side in zip(self.kernel, self.padding, sides, strict=True))
        size = self._geometry(call)[-1]
        if centred and needed is not None and call.cells().centres(self.stride, size).contains(needed):
            return max(sides) // 2
        return max(sides)

    def _touched(self, out: PresenceMask, shape: Shape) -> PresenceMask:
        """The input cells that the needed windows read."""
        size = (shape[2], shape[3])
        k, s, p, d = self.kernel, self.stride, self.padding, self.dilation
        reach = (d[0] * (k[0] - 1) - p[0], d[1] * (k[1] - 1) - p[1])
        if s == (1, 1):
            return out.window(k, s, reach, d, size)

        def make() -> PresenceMask:
            mask = out.mask
            spread = mask.new_zeros(
                mask.shape[0], 1, (mask.shape[2] - 1) * s[0] + 1, (mask.shape[3] - 1) * s[1] + 1
            )
            spread[:, :, :: s[0], :: s[1]] = mask
            return PresenceMask(window_sum(spread, k, (1, 1), reach, d, size))

        return out.cached(("touched", k, s, p, d, size), make)

    def value(self, call: Call, values: list[Any]) -> Any:
        if self._fills(call) or self.kernel == (1, 1):
            if call.mixed and isinstance(call.out, PresenceMask):
                waits = may_wait(call.out.mask.device)
                wanted = self._touched(call.out, call.shapes[0]) if waits else self._reach(call, None)
                values[0] = call.filled(values[0], wanted)
            return call.run(values)
        partial = call.settings.padding == "partial" and (self.kind == "conv" or call.settings.pool_padding)
        nothing = float("-inf") if partial and self.kind == "max" else 0.0
        values[0] = fill_absent(nothing, values[0], call.with_borders())
        y = call.run(values)
        if not partial:
            return y
        if self.kind == "max":
            # An empty window has the maximum -inf; later, 0 times it would make gradients NaN.
            return y.masked_fill(y == nothing, 0.0)
        bias = values[2].view(-1, 1, 1) if len(values) > 2 else y.new_zeros(())
        return (y - bias) * self._rescaling(call, y.dtype) + bias

    def _rescaling(self, call: Call, dtype: torch.dtype) -> Tensor:
        """Cells of each window inside the image, divided by its present cells (partial convolution)."""
        cells = call.cells()
        geometry, precise = self._geometry(call), torch.promote_types(dtype, torch.float32)

        def make() -> Tensor:
            # A window entirely on a border keeps the model's own value.
            inside = self._inside(call).clamp(min=1).to(precise)
            return (inside / window_sum(cells.mask.to(precise), *geometry).clamp(min=1)).to(dtype)

        return cells.cached(("rescaling", dtype, *geometry), make)


@dataclass(frozen=True)
class Border(MaskedOperator):
    """Padding as an operator: a constant border is absent, a mirrored one has the presence of its source.

    The border keeps its value; only cells inside the image are filled, before they are padded. A mirrored border of a
    map is made of whole positions, as windows are.

    Args:
        pad: As for `torch.nn.functional.pad`: last dimension first, before and after.
        mode: "constant", or a mode that repeats cells of the image.
    """

    hands_on: ClassVar[bool] = True
    pad: tuple[int, ...]
    mode: str

    def prepared(self, call: Call) -> Call:
        mirrors = self.mode != "constant" and len(self.pad) == 4 and len(call.shapes[0]) == 4
        return call.of_maps(True) if mirrors else call

    def presence(self, call: Call) -> Found:
        cells = self._spread(call)

        def make() -> PresenceMask:
            sizes = self._sizes(call)
            if self.mode != "constant":
                return cells.moved(lambda x: F.pad(x, sizes, mode=self.mode))
            share = None if cells.share is None else F.pad(cells.share, sizes)
            return PresenceMask(F.pad(cells.mask, sizes), share=share)

        return cells.cached(("border", self.pad, self.mode), make)

    def _spread(self, call: Call) -> PresenceMask:
        """Presence of the input, expanded along the padded dimensions except channels."""
        cells, shape = call.cells(), call.shapes[0]
        sizes, rank = list(cells.mask.shape), len(shape)
        # Presence that varies along dimension 1 is of a channels-last map, unless the last two dimensions are padded.
        channels = 1 if rank == 4 and (sizes[1] == 1 or len(self.pad) == 4) else rank - 1
        for i in range(0, len(self.pad), 2):
            dim = rank - 1 - i // 2
            if any(self.pad[i : i + 2]) and dim != channels and (rank < 5 or dim >= rank - 2):
                sizes[dim] = shape[dim]
        if sizes == list(cells.mask.shape):
            return cells
        share = None if cells.share is None else cells.share.expand(sizes)
        return cells.cached(("spread", *sizes), lambda: PresenceMask(cells.mask.expand(sizes), share=share))

    def _sizes(self, call: Call) -> list[int]:
        """The padding of the mask: none along dimensions in which presence does not vary."""
        mask, shape = self._spread(call).mask, call.shapes[0]
        sizes = list(self.pad)
        for i in range(0, len(sizes), 2):
            dim = len(shape) - 1 - i // 2
            if mask.shape[dim] == 1 and (shape[dim] > 1 or (len(shape) == 4 and dim == 1)):
                sizes[i : i + 2] = 0, 0
        return sizes

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        cells = self._spread(call)
        if wanted is None or call.mixed:
            return [Demand(cells)]
        if isinstance(wanted, int) and self.mode != "circular":
            # A mirrored cell is as near to a present one as its source.
            return [Demand(cells, wanted)]
        if self.mode != "constant" or isinstance(wanted, int):
            return [Demand(cells, _everything(cells))]
        crop = [-size for size in self._sizes(call)]
        asked: PresenceMask = wanted
        inside = asked.cached(("border", tuple(crop)), lambda: PresenceMask(F.pad(asked.mask, crop)))
        return [Demand(cells, inside)]

    def value(self, call: Call, values: list[Any]) -> Any:
        if call.mixed and call.settings.padding == "neighbor":
            values = [call.filled(values[0], _everything(call.cells())), *values[1:]]
        return super().value(call, values)


def _everything(cells: PresenceMask) -> PresenceMask:
    return cells.cached(("everything",), lambda: PresenceMask(torch.ones_like(cells.mask)))
