"""Masked operators of attention, softmax and linear layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from ..mask import PresenceMask, intersection
from .base import Call, Demand, Found, MaskedOperator, Wanted, fill_absent
from .reduce import leaves

__all__ = ["Attention", "Dense", "Flat", "Softmax"]


@dataclass(frozen=True)
class Softmax(MaskedOperator):
    """Softmax along a dimension: absent entries get probability 0.

    Args:
        dim: The dimension that sums to one.
        log: Whether the logarithm is returned.
    """

    dim: int
    log: bool = False

    def presence(self, call: Call) -> Found:
        return call.cells()

    def value(self, call: Call, values: list[Any]) -> Any:
        cells, x = call.with_borders(), values[0]
        if not cells.varies(self.dim):
            return call.run(values)
        # A finite number, not -inf, keeps rows without a present entry free of NaN.
        values[0] = fill_absent(torch.finfo(x.dtype).min, x, cells)
        y = call.run(values)
        return y if self.log else fill_absent(0.0, y, cells)


class Dense(MaskedOperator):
    """A linear layer over the last dimension, along which presence does not vary."""

    def presence(self, call: Call) -> Found:
        return call.cells()

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        demands = super().demand(call, needed, wanted)
        return [Demand(needed) if needed is not None else demands[0], *demands[1:]]


class Flat(MaskedOperator):
    """A linear layer over a flattened map: absent cells are zeroed and masking ends."""

    def presence(self, call: Call) -> Found:
        return leaves(call.cells().mask.any(-1, keepdim=True), call.images)

    def value(self, call: Call, values: list[Any]) -> Any:
        values[0] = fill_absent(0.0, values[0], call.with_borders())
        return call.run(values)


class Attention(MaskedOperator):
    """Scaled dot-product attention: absent tokens are left out of the keys."""

    any_masked: ClassVar[bool] = True

    def presence(self, call: Call) -> Found:
        query = call.found[0]
        return _tokens(query) if isinstance(query, PresenceMask) else None

    def value(self, call: Call, values: list[Any]) -> Any:
        seen_at = {place: call.with_borders(place) for place in (1, 2) if isinstance(call.found[place], PresenceMask)}
        if not seen_at:
            return call.run(values)
        first, *others = map(_tokens, seen_at.values())
        seen = intersection(first, others[0]) if others else first
        mask, named = seen.mask.transpose(-2, -1), call.step.arguments
        if named["is_causal"]:
            mask = mask & mask.new_ones(values[0].shape[-2], values[1].shape[-2]).tril()
        if len(values) > 3:
            given = values[3]
            lowest = torch.finfo(values[0].dtype).min
            mask = given & mask if given.dtype == torch.bool else torch.where(mask, given.to(values[0].dtype), lowest)
        # Zeroed because a weight of 0 times an infinite value would be NaN.
        keys, tokens = (fill_absent(0.0, values[i], seen_at[i]) if i in seen_at else values[i] for i in (1, 2))
        return F.scaled_dot_product_attention(
            values[0],
            keys,
            tokens,
            attn_mask=mask,
            scale=named["scale"],
            enable_gqa=named["enable_gqa"],
        )


def _tokens(cells: PresenceMask) -> PresenceMask:
    """Presence of tokens: present if every channel is."""
    if not cells.varies(-1):
        return cells
    return cells.cached(("tokens",), lambda: PresenceMask(cells.mask.all(-1, keepdim=True)))
