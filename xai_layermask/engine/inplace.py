"""Reuse of memory: a pointwise operator may write its result over an input that nobody reads again.

New memory for a large activation costs more than most pointwise operators: the system hands it out page by page, each
one cleared first. Whether an input's memory is its own is known when the step runs ([`Memory`][]).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from .graph import Operator, Step
from .memory import Memory
from .ops.base import MaskedOperator, Pointwise, Singular

__all__ = ["Writer", "find_writers"]

aten = torch.ops.aten

_UNARY = """
    abs celu clamp clamp_max clamp_min elu gelu hardsigmoid hardswish hardtanh leaky_relu mish neg relu relu6 selu
    sigmoid silu sqrt square tanh threshold
""".split()
_BINARY = (aten.add.Tensor, aten.mul.Tensor)


def _in_place(operator: torch._ops.OpOverload) -> torch._ops.OpOverload | None:
    name, overload = operator._schema.name.removeprefix("aten::"), operator._overloadname
    return getattr(getattr(aten, f"{name}_", None), overload, None)


def _overloads(name: str) -> list[torch._ops.OpOverload]:
    packet = getattr(aten, name)
    return [getattr(packet, overload) for overload in packet.overloads()]


#: Operators on the cells of one or two activations, and the ones that do the same in place.
_WRITERS: dict[Operator, Operator] = {
    one: writer
    for one in (*(one for name in _UNARY for one in _overloads(name)), *_BINARY)
    if not one._schema.is_mutable and (writer := _in_place(one)) is not None
}


class Writer:
    """The in-place form of one step.

    Args:
        step: A pointwise step.
        places: Which inputs it may be written over, by their places among the inputs.
    """

    def __init__(self, step: Step, places: Sequence[int]) -> None:
        self._step, self._places, self._operator = step, tuple(places), _WRITERS[step.operator]

    def __call__(self, values: dict[int, Any], memory: Memory) -> Any:
        """The step's value in the memory of one of its inputs; None where no input owns its memory."""
        given = [values[index] for index in self._step.inputs]
        for place in self._places:
            target = given[place]
            # An expanded tensor has several cells in one place of its memory.
            if not target.is_floating_point() or 0 in target.stride() or not memory.owns(self._step.inputs[place]):
                continue
            if len(given) == 1:
                return self._step(values, self._operator)
            if torch.result_type(*given) == target.dtype:
                return self._operator(target, given[1 - place])
        return None


def find_writers(
    steps: Sequence[Step],
    masked: Mapping[int, MaskedOperator],
    shapes: Mapping[int, Any],
    dead: Mapping[int, Collection[int]],
) -> dict[int, Writer]:
    """Find the steps that may write over an input; only for answers without gradients, which need the inputs again.

    Args:
        steps: The operator calls of a graph, in order.
        masked: The masked operators, by value number.
        shapes: Shape of every value.
        dead: For each step the values that nobody reads after it.

    Returns:
        The in-place form of these steps, by value number.
    """
    found: dict[int, Writer] = {}
    for step in steps:
        plain = type(masked.get(step.index, Pointwise())) in (Pointwise, Singular)
        # A factor for the second operand, and one operand twice, need both as they were.
        joined = len(step.inputs) == 2 and len(set(step.inputs)) == 2 and not step.kwargs
        if step.operator not in _WRITERS or not plain or not (len(step.inputs) == 1 or joined):
            continue
        ending = dead.get(step.index, ())
        places = [
            place
            for place, index in enumerate(step.inputs)
            if index in ending and index != step.index and shapes[index] == step.shape
        ]
        if places:
            found[step.index] = Writer(step, places)
    return found
