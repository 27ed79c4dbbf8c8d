"""Reuse of memory: a pointwise operator may write its result over its input.

New memory for a large activation costs more than most operators on single cells: the system hands it out page by page,
each one cleared first. Where a captured graph shows that nobody reads an input again, its memory is used once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from .graph import Operator, Step
from .ops.attention import Dense
from .ops.base import MaskedOperator, Pointwise
from .ops.product import Product
from .ops.reduce import Reduce
from .ops.reduction import Norm, Regions
from .ops.view import Concat
from .ops.window import Window

__all__ = ["reuse_memory"]

aten = torch.ops.aten

_UNARY = """
    abs celu clamp clamp_max clamp_min elu exp gelu hardsigmoid hardswish hardtanh leaky_relu mish neg relu relu6 selu
    sigmoid silu sqrt square tanh threshold
""".split()
_BINARY = ("add", "mul")
#: Operators besides these whose result is memory of their own.
_FRESH = """
    avg_pool2d batch_norm bmm cat concat conv2d convolution div group_norm instance_norm layer_norm linear matmul
    max_pool2d mm rms_norm sub
""".split()
#: Operators that only look at their input: the result is small, and no view of it.
_LOOKING = "adaptive_avg_pool2d adaptive_max_pool2d amax mean sum".split()
#: Forms of this package that hand on what the operator makes, or make something new themselves.
_FRESH_FORMS: tuple[type[MaskedOperator] | None, ...] = (
    None, Concat, Dense, Norm, Pointwise, Product, Reduce, Regions, Window,
)  # fmt: skip


def _overloads(*names: str) -> list[torch._ops.OpOverload]:
    packets = [getattr(aten, name) for name in names]
    return [getattr(packet, overload) for packet in packets for overload in packet.overloads()]


def _functional(*names: str) -> list[torch._ops.OpOverload]:
    return [one for one in _overloads(*names) if not one._schema.is_mutable]


def _in_place(operator: torch._ops.OpOverload) -> torch._ops.OpOverload | None:
    name, overload = operator._schema.name.removeprefix("aten::"), operator._overloadname
    return getattr(getattr(aten, f"{name}_", None), overload, None)


#: Operators on the cells of one activation, and the ones that do the same in place.
_WRITERS: dict[Operator, Operator] = {
    one: writer for one in _functional(*_UNARY) if (writer := _in_place(one)) is not None
}
_JOINERS: dict[Operator, Operator] = {aten.add.Tensor: aten.add_.Tensor, aten.mul.Tensor: aten.mul_.Tensor}
_IN_PLACE: frozenset[Operator] = frozenset([*_WRITERS.values(), *_JOINERS.values()])
_OWNERS: frozenset[Operator] = frozenset(_functional(*_UNARY, *_BINARY, *_FRESH))
_READERS: frozenset[Operator] = _OWNERS | _IN_PLACE | frozenset(_functional(*_LOOKING))


def reuse_memory(
    steps: Sequence[Step], forms: Mapping[int, MaskedOperator], shapes: Mapping[int, Any], kept: Collection[int]
) -> tuple[Step, ...]:
    """Let steps write over inputs that nobody reads again.

    Only for answers without gradients, which need the inputs once more.

    Args:
        steps: The operator calls of a graph, in order.
        forms: The masked operators of the masked ones, by value number.
        shapes: Shape of every value.
        kept: Numbers of the values that the model returns.

    Returns:
        The same steps, some of them in place.
    """
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for index in dict.fromkeys(step.inputs):
            readers.setdefault(index, []).append(step)

    def known(step: Step, operators: Collection[Operator]) -> bool:
        form = forms.get(step.index)
        return step.operator in operators and (None if form is None else type(form)) in _FRESH_FORMS

    def free(index: int, step: Step) -> bool:
        """Whether the memory is this value's alone, and no view of it is left behind the step."""
        return index in own and readers[index][-1] is step and all(known(one, _READERS) for one in readers[index])

    own: set[int] = set()
    found: list[Step] = []
    for step in steps:
        owner = known(step, _OWNERS) or (known(step, _IN_PLACE) and free(step.inputs[0], step))
        if owner and step.index not in kept:
            own.add(step.index)
        places = [
            place for place, index in enumerate(step.inputs) if shapes[index] == step.shape and free(index, step)
        ]
        if step.operator in _WRITERS and places and len(step.inputs) == 1 and known(step, _WRITERS):
            found.append(replace(step, operator=_WRITERS[step.operator]))
        elif step.operator in _JOINERS and places and len(set(step.inputs)) == 2 and known(step, _JOINERS):
            found.append(replace(step, operator=_Joined(step.operator, places[0])))
        else:
            found.append(step)
    return tuple(found)


class _Joined:
    """A sum or product that is written over one of its operands, if that has the result's type.

    Args:
        operator: `aten.add.Tensor` or `aten.mul.Tensor`.
        place: Which operand, 0 or 1.
    """

    def __init__(self, operator: Operator, place: int) -> None:
        self.__name__ = str(operator)
        self._plain, self._writing, self._place = operator, _JOINERS[operator], place

    def __call__(self, first: Any, second: Any, **options: Any) -> Any:
        pair = (first, second) if self._place == 0 else (second, first)
        # With a factor for the second operand, the two are not alike.
        if torch.result_type(*pair) != pair[0].dtype or (options and self._place):
            return self._plain(first, second, **options)
        return self._writing(*pair, **options)
