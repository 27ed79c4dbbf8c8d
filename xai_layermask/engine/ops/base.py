"""Masked operators: how an operator acts on presence, which input cells it needs, and what it computes.

A masked operator is chosen once for each operator call of a graph ([`rules`][xai_layermask.engine.rules]). For every
batch it then answers three questions: the presence of its output, the input cells that are needed for the needed output
cells, and its value. Absent cells hold arbitrary numbers. An operator that reads several cells either ignores absent
ones, or declares which of them it reads ("wanted"); these are filled before it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..dense import fill, replace_absent
from ..graph import Shape, Step
from ..mask import PresenceMask, joined

__all__ = [
    "Call",
    "Demand",
    "Found",
    "Leading",
    "MaskedOperator",
    "MaskingSettings",
    "Pointwise",
    "Singular",
    "Unrelated",
    "Wanted",
    "fill_absent",
    "operands",
    "weight_of",
    "weighted",
]

Found = PresenceMask | None | tuple[Any, ...]
Wanted = PresenceMask | int | None


@dataclass(frozen=True)
class MaskingSettings:
    """How absent cells are treated; the arguments of `LayerMask`."""

    padding: str = "neighbor"
    pool_padding: bool = True
    threshold: float = 0.0
    rescale: bool = True
    soft: bool = False


@dataclass
class Call:
    """One operator call in one batch.

    Attributes:
        step: The call.
        settings: How absent cells are treated.
        found: Presence of each tensor input, in the order of `step.inputs`; None for an ordinary tensor.
        shapes: Shapes of the tensor inputs.
        inside: Presence of each tensor input when the whole image is present: all but borders.
        images: Number of images, each of which may have several rows.
        out: Presence of the output, once it is known.
        mixed: Whether channels differ in presence although the operator takes whole positions; it then fills a copy.
    """

    step: Step
    settings: MaskingSettings
    found: tuple[Found, ...]
    shapes: tuple[Shape, ...]
    inside: tuple[Found, ...]
    images: int
    out: Found = None
    mixed: bool = False

    def cells(self, place: int = 0) -> PresenceMask:
        """Presence of a masked tensor input."""
        found = self.found[place]
        if not isinstance(found, PresenceMask):
            raise TypeError(f"{self.step.name} expects a masked activation as tensor input {place}.")
        return found

    def with_borders(self, place: int = 0) -> PresenceMask:
        """The present cells of a masked input, and the borders that the model itself puts around the image."""
        return self.cells(place).with_borders(self.inside[place])

    def of_maps(self, positions: bool) -> Call:
        """The call with presence expanded to the full height and width, with one channel if `positions`."""
        found, inside = (tuple(map(_expanded, cells, self.shapes)) for cells in (self.found, self.inside))
        mixed = positions and any(isinstance(cells, PresenceMask) and cells.varies(1) for cells in found)
        if mixed:
            found, inside = (tuple(map(_one_channel, cells, inside)) for cells in (found, inside))
        if (found, inside) == (self.found, self.inside):
            return self  # a copy for every window takes a noticeable part of a fast network's time
        return replace(self, found=found, inside=inside, mixed=mixed)

    def filled(self, x: Tensor, wanted: PresenceMask | int) -> Tensor:
        """A copy of a map in which the wanted absent cells, or that many rings of them, are filled."""
        inside = self.inside[0]
        return fill(x, self.cells().rings(wanted, x.shape, inside if isinstance(inside, PresenceMask) else None))

    def run(self, values: Sequence[Any]) -> Any:
        """Apply the operator to its tensor inputs, given in order."""
        return self.step(dict(zip(self.step.inputs, values, strict=True)))


def _expanded(cells: Found, shape: Shape) -> Found:
    return cells.expanded(shape) if isinstance(cells, PresenceMask) else cells


def _one_channel(cells: Found, inside: Found) -> Found:
    if isinstance(cells, PresenceMask) and isinstance(inside, PresenceMask):
        return cells.one_channel(inside)
    return cells


@dataclass(frozen=True)
class Demand:
    """What a call needs of one input.

    Attributes:
        needed: Present cells that must be correct.
        wanted: Absent cells that must be filled: a mask, or how many rings where masks must not be read.
    """

    needed: PresenceMask
    wanted: Wanted = None


class MaskedOperator:
    """How an operator acts on presence and values; the base class makes safe choices."""

    #: Whether a request to fill the output is passed to the input.
    hands_on: ClassVar[bool] = False
    #: Whether any tensor input may be masked, not only the first.
    any_masked: ClassVar[bool] = False
    #: Whether cells of `(N, C, H, W)` maps are read by position, so that presence is needed at full height and width.
    reads_maps: ClassVar[bool] = False
    #: Whether presence is needed with one channel, in which a cell is present if it is present in every channel.
    takes_positions: ClassVar[bool] = False

    def prepared(self, call: Call) -> Call:
        """The call with presence expanded as `reads_maps` and `takes_positions` say."""
        return call.of_maps(self.takes_positions) if self.reads_maps else call

    def presence(self, call: Call) -> Found:
        """Presence of the output; None if the output is an ordinary tensor."""
        raise TypeError(f"{type(self).__name__} must define presence(call).")

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        """The cells needed of each tensor input: by default every present cell, and none filled.

        Args:
            call: The call.
            needed: The output cells that must be correct; None if the output is an ordinary tensor or a list.
            wanted: The absent output cells that must be filled, or how many rings of them, if `hands_on`.
        """
        return [Demand(found) if isinstance(found, PresenceMask) else None for found in call.found]

    def value(self, call: Call, values: list[Any]) -> Any:
        """The output, correct at the needed cells; by default what the operator itself computes."""
        return call.run(values)


def fill_absent(number: float, x: Tensor, cells: PresenceMask) -> Tensor:
    """Replace every absent cell by a number."""
    return replace_absent(x, cells.mask, number)


def weighted(x: Tensor, cells: PresenceMask) -> Tensor:
    """Zero every absent cell, and multiply present ones by their shares where the presence has shares."""
    kept = fill_absent(0.0, x, cells)
    return kept if cells.share is None else kept * cells.weights().to(x.dtype)


def weight_of(cells: PresenceMask, dims: tuple[int, ...], keepdim: bool, dtype: torch.dtype) -> Tensor:
    """The sum of weights over dimensions, at least 1 without shares, for the quotient of a mean."""

    def make() -> Tensor:
        if cells.share is None:
            return cells.mask.sum(dims, keepdim=keepdim).clamp(min=1)
        total = cells.weights().sum(dims, keepdim=keepdim)
        return torch.where(total > 0, total, 1.0).to(dtype)

    return cells.cached(("weight", dims, keepdim, dtype), make)


class Pointwise(MaskedOperator):
    """An output cell depends only on the same cell of the inputs: present where all masked inputs are."""

    any_masked: ClassVar[bool] = True

    def presence(self, call: Call) -> Found:
        return joined(operands(call, max(len(shape) for shape in call.shapes)))

    def demand(self, call: Call, needed: PresenceMask | None, wanted: Wanted) -> list[Demand | None]:
        demands: list[Demand | None] = []
        for found in call.found:
            same = needed is not None and isinstance(found, PresenceMask) and found.mask.shape == needed.mask.shape
            demands.append(Demand(needed if same and needed else found) if isinstance(found, PresenceMask) else None)
        return demands


class Singular(Pointwise):
    """A pointwise operator with a pole or an infinite slope, such as a logarithm or a quotient.

    An infinite slope at an absent cell would make its gradient NaN (0 times infinity). With gradients, absent cells are
    therefore set to 0.5, where all of these operators are smooth.
    """

    def value(self, call: Call, values: list[Any]) -> Any:
        if torch.is_grad_enabled():
            for place, x in enumerate(values):
                if isinstance(call.found[place], PresenceMask) and x.is_floating_point():
                    values[place] = fill_absent(0.5, x, call.with_borders(place))
        return call.run(values)


def operands(call: Call, rank: int) -> list[tuple[PresenceMask, PresenceMask]]:
    """Presence of each masked input, for this batch and for a whole image, with `rank` dimensions."""
    pairs = zip(call.found, call.inside, strict=True)
    return [
        (_lift(cells, rank), _lift(inside, rank))
        for cells, inside in pairs
        if isinstance(cells, PresenceMask) and isinstance(inside, PresenceMask)
    ]


def _lift(cells: PresenceMask, rank: int) -> PresenceMask:
    missing = rank - cells.mask.dim()
    if not missing:
        return cells
    return cells.cached(("lift", rank), lambda: cells.moved(lambda x: x[(None,) * missing]))


class Leading(Pointwise):
    """An operator whose second tensor only gives a type or shape."""

    def presence(self, call: Call) -> Found:
        return call.found[0]


class Unrelated(MaskedOperator):
    """An operator whose result does not depend on the values, such as `zeros_like`."""

    def presence(self, call: Call) -> Found:
        return None
