"""Memory reuse: run a pointwise operator in place if its input is not read again.

Allocating a large activation takes longer than most pointwise operators, because the system clears every new page.
Whether an input shares its memory is known only when the step runs ([`Memory`][]).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import torch

from .epilogue import Epilogue
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


#: Pointwise operators of one or two activations, with their in-place variants.
_WRITERS: dict[Operator, Operator] = {
    one: writer
    for one in (*(one for name in _UNARY for one in _overloads(name)), *_BINARY)
    if not one._schema.is_mutable and (writer := _in_place(one)) is not None
}


class Write(Protocol):
    """Computes a step in the memory of an input; None if that is not possible."""

    def __call__(self, values: dict[int, Any], memory: Memory) -> Any: ...


class Writer:
    """The in-place variant of one step.

    Args:
        step: A pointwise step.
        places: Positions of the inputs that may be overwritten.
    """

    def __init__(self, step: Step, places: Sequence[int]) -> None:
        self._step, self._places, self._operator = step, tuple(places), _WRITERS[step.operator]

    def __call__(self, values: dict[int, Any], memory: Memory) -> Any:
        """Write the step's value into one of its inputs; None if no input owns its memory."""
        given = [values[index] for index in self._step.inputs]
        for place in self._places:
            target = given[place]
            # Several elements of an expanded tensor share one memory location.
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
) -> dict[int, Write]:
    """Find the steps that may overwrite an input; not valid with gradients, for which autograd keeps the inputs.

    Args:
        steps: The operator calls of a graph, in order.
        masked: The masked operators, by value number.
        shapes: Shape of every value.
        dead: For each step, the values that are not read after it.

    Returns:
        The writers of these steps, by value number.
    """
    found: dict[int, Write] = {}
    for step in steps:
        if isinstance(step, Epilogue):
            found[step.index] = step.write
            continue
        plain = type(masked.get(step.index, Pointwise())) in (Pointwise, Singular)
        # With a factor for the second operand, or the same operand twice, both must stay unchanged.
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
