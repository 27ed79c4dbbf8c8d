"""Masked operator for matrix products and einsum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..mask import PresenceMask
from .base import Call, Found, MaskedOperator, fill_absent
from .reduce import Reduce, leaves
from .view import Permute

__all__ = ["Product", "of_equation"]


@dataclass(frozen=True)
class Product(MaskedOperator):
    """A sum of products. Terms with an absent factor are left out; the output is present where any term is.

    Args:
        equation: An equation for `torch.einsum`, with an explicit output.
    """

    any_masked: ClassVar[bool] = True
    equation: str

    def presence(self, call: Call) -> Found:
        return self._cached(call)[1]

    def _cached(self, call: Call) -> tuple[Tensor, Found]:
        """Where any term is known, and the presence of the output, which ignores terms made of border cells only."""
        found = [one for one in call.found if isinstance(one, PresenceMask)]

        def make() -> tuple[Tensor, Found, list[PresenceMask]]:
            masked = [(place, one) for place, one in enumerate(call.inside) if isinstance(one, PresenceMask)]
            known = self._count(call, {place: call.with_borders(place).mask for place, _ in masked})
            present = known > 0
            if not any(inside.is_whole() for _, inside in masked):
                device = known.device
                present = known > self._count(call, {place: ~inside.on(device) for place, inside in masked})
            # Keep the objects alive whose ids are in the key.
            return known > 0, leaves(present, call.images), found

        return found[0].cached(("product", self.equation, *map(id, call.found)), make)[:2]

    def _count(self, call: Call, masks: dict[int, Tensor]) -> Tensor:
        """The number of terms whose masked factors all lie in their masks; ordinary tensors always count."""
        one = next(iter(masks.values())).new_ones(())
        factors = [masks.get(place, one.expand([1] * len(shape))) for place, shape in enumerate(call.shapes)]
        return torch.einsum(self.equation, [factor.float() for factor in factors])

    def value(self, call: Call, values: list[Any]) -> Any:
        # A tensor that is multiplied by itself is zeroed in both positions, even if only one of them is summed.
        inputs = call.step.inputs
        summed = {inputs[place] for place in range(len(inputs)) if self._is_summed(call, place)}
        zeroed: list[Tensor] = [
            fill_absent(0.0, x, call.with_borders(place)) if inputs[place] in summed else x
            for place, x in enumerate(values)
        ]
        y = call.run(zeroed)
        return y if call.out is not None else torch.where(self._cached(call)[0], y, y.new_zeros(()))

    def _is_summed(self, call: Call, place: int) -> bool:
        """Whether the sum runs over a dimension along which the operand's presence varies."""
        cells = call.found[place]
        if not isinstance(cells, PresenceMask):
            return False
        terms, out = self.equation.split("->")
        labels, _, behind = terms.split(",")[place].partition("...")
        dims = {label: dim for dim, label in enumerate(labels)}
        dims |= {label: dim - len(behind) for dim, label in enumerate(behind)}
        return any(cells.varies(dim) for label, dim in dims.items() if label not in out)


def of_equation(equation: str, ranks: Sequence[int]) -> MaskedOperator | str:
    """The masked operator of an einsum, or the reason why it is not supported.

    Args:
        equation: The equation; its output may be omitted.
        ranks: The number of dimensions of each operand.

    Example:
        >>> of_equation("b i j, b j k -> b i k", [3, 3])
        Product(equation='bij,bjk->bik')
        >>> of_equation("nchw->nc", [4])
        Reduce(kind='sum', dims=(2, 3), keepdim=False, parameter=0.0)
        >>> of_equation("nchw->nhwc", [4])
        Permute(order=(0, 2, 3, 1))
    """
    terms, arrow, out = equation.replace(" ", "").partition("->")
    if not arrow:
        once = sorted(label for label in terms if label.isalpha() and terms.count(label) == 1)
        out = "".join(["..." if "..." in terms else "", *once])
    names = [term.replace("...", "") for term in terms.split(",")]
    if any(len(set(name)) < len(name) for name in names):
        return "einsums of diagonals (a dimension named twice in one operand) are not supported"
    if len(names) > 1:
        return Product(f"{terms}->{out}")
    if len(names[0]) < ranks[0]:
        return "an einsum of one operand is supported only if it names every dimension"
    order = tuple(names[0].index(label) for label in out.replace("...", ""))
    if len(order) == ranks[0]:
        return Permute(order)
    if list(order) != sorted(order):
        return "an einsum of one operand may sum or reorder dimensions, not both"
    return Reduce("sum", tuple(dim for dim in range(ranks[0]) if dim not in order))
