"""Masked operators: what an operator does to presence, what it must be given, and what it computes.

A form is chosen once for each operator call of a graph ([`rules`][xai_layermask.engine.rules]) and then asked three
things for every batch: the presence of its output, which cells of its inputs must be right for the wanted cells of its
output, and its value. What stands at an absent cell matters only to an operator that looks at several cells; such a
form says which absent cells it will read ("wanted"), and they are filled before it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..graph import Shape, Step
from ..mask import PresenceMask, intersection

__all__ = [
    "Call",
    "Demand",
    "Found",
    "Leading",
    "MaskedOperator",
    "MaskingSettings",
    "Pointwise",
    "Unrelated",
    "fill_absent",
]

Found = PresenceMask | None | tuple[Any, ...]


@dataclass(frozen=True)
class MaskingSettings:
    """How absent cells are treated; the arguments of `LayerMask`."""

    padding: str = "neighbor"
    pool_padding: bool = True
    threshold: float = 0.0


@dataclass
class Call:
    """One operator call in one batch.

    Attributes:
        step: The call.
        settings: How absent cells are treated.
        found: Presence of each tensor input, in the order of `step.inputs`; None for an ordinary tensor.
        shapes: Shapes of the tensor inputs.
        inside: Presence of each tensor input when the whole image is present: all but borders.
        out: Presence of the output, once it is known.
    """

    step: Step
    settings: MaskingSettings
    found: tuple[Found, ...]
    shapes: tuple[Shape, ...]
    inside: tuple[Found, ...]
    out: Found = None

    def cells(self, place: int = 0) -> PresenceMask:
        """Presence of a tensor input that is known to be masked."""
        found = self.found[place]
        if not isinstance(found, PresenceMask):
            raise TypeError(f"{self.step.name} expects a masked activation as tensor input {place}.")
        return found

    def with_borders(self, place: int = 0) -> PresenceMask:
        """The cells of a masked input that count in a sum over many: present ones, and borders around the image.

        A border that the model itself puts around an activation is part of what it was trained with.
        """
        return self.cells(place).with_borders(self.inside[place])

    def run(self, values: Sequence[Any]) -> Any:
        """Apply the operator to its tensor inputs, given in order."""
        return self.step(dict(zip(self.step.inputs, values, strict=True)))


@dataclass(frozen=True)
class Demand:
    """What a call needs of one input: present cells that must be right, absent cells that must be filled."""

    needed: PresenceMask
    wanted: PresenceMask | None = None


class MaskedOperator:
    """What an operator does to presence and values; the base class makes the safe choices."""

    #: The form hands the request to fill its output on to its input.
    hands_on: ClassVar[bool] = False
    #: Any tensor input may be masked, not the first one alone.
    any_masked: ClassVar[bool] = False

    def presence(self, call: Call) -> Found:
        """Presence of the output; None where the output is an ordinary tensor."""
        raise TypeError(f"{type(self).__name__} must define presence(call).")

    def demand(self, call: Call, needed: PresenceMask | None, wanted: PresenceMask | None) -> list[Demand | None]:
        """What is needed of each tensor input: by default every present cell, and none filled.

        Args:
            call: The call.
            needed: The cells of the output that must be right; None where the output is ordinary or a list.
            wanted: The absent cells of the output that must be filled, for a form that hands this on.
        """
        return [Demand(found) if isinstance(found, PresenceMask) else None for found in call.found]

    def value(self, call: Call, values: list[Any]) -> Any:
        """The output's value, right at the needed cells; by default what the operator itself computes."""
        return call.run(values)


def fill_absent(number: float, x: Tensor, cells: PresenceMask) -> Tensor:
    """Put a number in every absent cell."""
    return torch.where(cells.mask, x, x.new_full((), number))


class Pointwise(MaskedOperator):
    """Each output cell depends on the same cell of the inputs alone: present where all masked inputs are."""

    any_masked: ClassVar[bool] = True

    def presence(self, call: Call) -> Found:
        rank = max(len(shape) for shape in call.shapes)
        joint: PresenceMask | None = None
        for found in call.found:
            if isinstance(found, PresenceMask):
                cells = _lift(found, rank)
                joint = cells if joint is None else intersection(joint, cells)
        return joint

    def demand(self, call: Call, needed: PresenceMask | None, wanted: PresenceMask | None) -> list[Demand | None]:
        demands: list[Demand | None] = []
        for found in call.found:
            same = needed is not None and isinstance(found, PresenceMask) and found.mask.shape == needed.mask.shape
            demands.append(Demand(needed if same and needed else found) if isinstance(found, PresenceMask) else None)
        return demands


def _lift(cells: PresenceMask, rank: int) -> PresenceMask:
    missing = rank - cells.mask.dim()
    if not missing:
        return cells
    return cells.cached(("lift", rank), lambda: PresenceMask(cells.mask[(None,) * missing]))


class Leading(Pointwise):
    """Presence of the first tensor; the second one only gives a type or shape."""

    def presence(self, call: Call) -> Found:
        return call.found[0]


class Unrelated(MaskedOperator):
    """The result does not depend on the values: assertions, new tensors of the same type."""

    def presence(self, call: Call) -> Found:
        return None
