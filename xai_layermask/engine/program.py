"""The two passes that precede the values: presence forwards, then demand backwards.

Presence has one channel where values have hundreds, so this is cheap. The demand pass starts at the output and finds
which cells matter: a residual sum discards cells outside its presence, so fewer rings have to be filled before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .dense import DenseRings
from .epilogue import delay_biases
from .graph import Step
from .inplace import find_writers
from .mask import PresenceMask, union
from .ops.base import Call, Demand, MaskedOperator, MaskingSettings, fill_absent
from .padding import Rings
from .registry import Refusal
from .rules import masked_operator
from .waiting import may_wait

__all__ = ["Plan", "Program", "find_cut"]

aten = torch.ops.aten


@dataclass(frozen=True)
class Plan:
    """The result of both passes for one batch.

    Attributes:
        calls: The calls of the masked steps, by value number.
        found: Presence by value number.
        fills: Geometry by value number, for values that are filled as soon as they are computed.
        inside: Presence by value number when the whole image is present.
    """

    calls: dict[int, Call]
    found: dict[int, Any]
    fills: dict[int, Rings | DenseRings]
    inside: Mapping[int, Any]

    def end(self, values: dict[int, Any]) -> list[int]:
        """End masking: zero the absent cells of all masked values, and return the numbers of the replaced ones."""
        replaced = [index for index in values.keys() & self.found.keys() if self.found[index] is not None]
        for index in replaced:
            found, inside = self.found[index], self.inside[index]
            if isinstance(found, PresenceMask):
                values[index] = fill_absent(0.0, values[index], found.with_borders(inside))
            elif isinstance(found, tuple):
                values[index] = [
                    fill_absent(0.0, value, cells.with_borders(whole))
                    for value, cells, whole in zip(values[index], found, inside, strict=True)
                ]
        self.found.clear()
        return replaced


class Program:
    """The steps of a graph with their masked operators, for one batch size.

    Args:
        steps: The operator calls.
        shapes: Shape of every value.
        image: Number of the image's value.
        outputs: Numbers of the values that the model returns.
        settings: How absent cells are treated.
        cut: Number of the last step that runs masked, from [`find_cut`][]; None for the very last step.
        in_place: Whether steps may overwrite inputs that are not read again; not valid with gradients.
        kernels: The kernels of the device, used in place; None without.

    Attributes:
        masked: The masked operators, by value number.
        unsupported: Calls on masked activations that are not supported: operator, module path and reason.
        cut: Number of the last step that runs masked.
        dead: For each step, the values that are not read after it.
        writers: The in-place variants of steps, by value number.
        sets_autocast: Whether the model sets autocast itself.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        shapes: Mapping[int, Any],
        image: int,
        outputs: Sequence[int],
        settings: MaskingSettings,
        cut: int | None = None,
        in_place: bool = False,
        kernels: ModuleType | None = None,
    ) -> None:
        self.steps = tuple(steps)
        self.image = image
        self.settings = settings
        self._shapes = shapes
        self._outputs = tuple(outputs)
        self.cut = find_cut(self.steps) if cut is None else cut
        self.masked: dict[int, MaskedOperator] = {}
        self.unsupported: list[Refusal] = []
        batch, _, height, width = shapes[image]
        self._choose_operators(PresenceMask(torch.ones(batch, 1, height, width, dtype=torch.bool)))
        self._refuse_strided()
        if in_place and kernels is not None:
            self.steps = delay_biases(self.steps, self.masked, shapes, self._outputs, self.cut, kernels)
        self.dead = self._find_dead()
        self.in_place = in_place
        self.sets_autocast = any(step.autocast for step in self.steps)
        self.writers = find_writers(self.steps, self.masked, shapes, self.dead) if in_place else {}

    def _choose_operators(self, everything: PresenceMask) -> None:
        self._inside: dict[int, Any] = {self.image: everything}
        found = self._inside
        for step in self.steps:
            if step.index > self.cut:
                break
            call = self._call(step, found)
            if call is None:
                continue
            operator = masked_operator(call)
            if isinstance(operator, str):
                self.unsupported.append(Refusal(step.name, step.path, operator))
                found[step.index] = _guess(call)
            else:
                self.masked[step.index] = operator
                found[step.index] = operator.presence(operator.prepared(call))

    def _refuse_strided(self) -> None:
        """Refuse ordinary steps that read activations by strides, which differ from the captured ones."""
        computed = {self.image, *(step.index for step in self.steps)}
        for step in self.steps:
            masked = step.index in self._inside  # already refused, for lack of a rule
            if step.operator is aten.as_strided.default and not masked and step.inputs[0] in computed:
                reason = "it reads memory by strides, which differ from the model's own: use slices, unfold or reshape"
                self.unsupported.append(Refusal(step.name, step.path, reason))

    def _call(self, step: Step, found: Mapping[int, Any]) -> Call | None:
        known = tuple([found.get(index) for index in step.inputs])
        if all(cells is None for cells in known):
            return None
        shapes = tuple([self._shapes[index] for index in step.inputs])
        inside = tuple([self._inside.get(index) for index in step.inputs])
        return Call(step, self.settings, known, shapes, inside, self._shapes[self.image][0])

    def _find_dead(self) -> dict[int, tuple[int, ...]]:
        last: dict[int, int] = {}
        for step in self.steps:
            for index in (*step.inputs, step.index):
                last[index] = step.index
        dead: dict[int, list[int]] = {}
        for index, step_index in last.items():
            if index not in self._outputs:
                dead.setdefault(step_index, []).append(index)
        return {step_index: tuple(indices) for step_index, indices in dead.items()}

    def is_masked(self, index: int) -> bool:
        """Whether a value is a masked activation, which has a presence, and not an ordinary tensor."""
        return self._inside.get(index) is not None

    def plan(self, presence: Tensor) -> Plan:
        """Run the presence and demand passes for a batch.

        Args:
            presence: Bool `(N, 1, H, W)`, contiguous.
        """
        found: dict[int, Any] = {self.image: PresenceMask(presence)}
        calls: dict[int, Call] = {}
        for step in self.steps:
            operator = self.masked.get(step.index)
            if operator is None:
                continue
            call = self._call(step, found)
            if call is not None:
                call = operator.prepared(call)
                call.out = found[step.index] = operator.presence(call)
                calls[step.index] = call
        return Plan(calls, found, self._demand(calls, found), self._inside)

    def _demand(self, calls: Mapping[int, Call], found: Mapping[int, Any]) -> dict[int, Rings | DenseRings]:
        needed: dict[int, PresenceMask] = {}
        wanted: dict[int, PresenceMask | int] = {}
        fills: dict[int, Rings | DenseRings] = {}
        kept = set(self._outputs)
        for step in reversed(self.steps):
            call = calls.get(step.index)
            if call is None:
                # An ordinary step after the cut needs every present cell.
                for index in step.inputs:
                    if isinstance(found.get(index), PresenceMask):
                        needed[index] = found[index]
                continue
            operator, out = self.masked[step.index], call.out
            if step.index in wanted and not operator.hands_on and isinstance(out, PresenceMask):
                # Borders keep the model's own values.
                fills[step.index] = out.rings(wanted[step.index], step.shape, self._inside[step.index])
            aim = out if step.index in kept else needed.get(step.index, out)
            demands = operator.demand(call, aim if isinstance(aim, PresenceMask) else None, wanted.get(step.index))
            for index, demand in zip(step.inputs, demands, strict=True):
                if demand is not None:
                    _add(demand, index, found[index], needed, wanted)
        if self.image in wanted:
            fills[self.image] = found[self.image].rings(wanted[self.image], self._shapes[self.image])
        return fills


def find_cut(steps: Sequence[Step], until: str | None = None) -> int:
    """The number of the last step that runs masked.

    Args:
        steps: The operator calls of a graph, before norms are folded.
        until: Path of the module after which masking ends; None to mask all steps.

    Raises:
        InputError: If the module computes nothing.
    """
    if until is None:
        return steps[-1].index if steps else -1
    inside = [step.index for step in steps if f"{step.path.split('@')[0]}.".startswith(f"{until}.")]
    if not inside:
        raise InputError.expected(
            "a module that the model calls for until", f"{until!r}, which computes nothing"
        )
    return inside[-1]


def _add(
    demand: Demand,
    index: int,
    present: PresenceMask,
    needed: dict[int, PresenceMask],
    wanted: dict[int, PresenceMask | int],
) -> None:
    cells = demand.needed if demand.needed.mask.shape == present.mask.shape else present
    before = needed.get(index, cells)
    known = before.contains(cells) or cells.contains(before) or may_wait(cells.mask.device)
    needed[index] = present if present in (cells, before) or not known else union(before, cells)
    if demand.wanted:
        wanted[index] = _both(wanted.get(index, demand.wanted), demand.wanted)


def _both(a: PresenceMask | int, b: PresenceMask | int) -> PresenceMask | int:
    """What both readers want filled: cells, or a number of rings."""
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    masks = [one for one in (a, b) if isinstance(one, PresenceMask)]
    return union(*masks) if len(masks) == 2 else PresenceMask(torch.ones_like(masks[0].mask))


def _guess(call: Call) -> PresenceMask | None:
    """Presence after an unsupported call, so that later unsupported calls are reported as well."""
    shape = call.step.shape
    for cells, other in zip(call.found, call.shapes, strict=True):
        if other == shape and isinstance(cells, PresenceMask):
            return cells
    if len(shape) != 4 or not all(isinstance(size, int) for size in shape):
        return None
    return PresenceMask(torch.ones(shape[0], 1, *shape[2:], dtype=torch.bool))
