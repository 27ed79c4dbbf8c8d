"""Numbers written at absent cells, which must not reach any answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from torch import Tensor

from xai_layermask.engine import executor


@contextmanager
def poisoned(number: float) -> Iterator[None]:
    """Write a number at every absent cell of every masked value as soon as it is there, before it is filled."""
    original = executor.run

    def run(program: Any, plan: Any, values: dict[int, Any], seen: Any = None) -> None:
        operators = {i: _Poisoned(one, plan.inside[i], number) for i, one in program.masked.items()}
        stand_in = SimpleNamespace(**{**vars(program), "masked": operators})
        image = program.image
        values[image] = write(values[image], plan.found[image], None, number)
        original(stand_in, plan, values, seen)

    with mock.patch.object(executor, "run", run):
        yield


class _Poisoned:
    """A masked operator whose value is poisoned."""

    def __init__(self, operator: Any, inside: Any, number: float) -> None:
        self._operator, self._inside, self._number = operator, inside, number

    def value(self, call: Any, values: list[Any]) -> Any:
        y = self._operator.value(call, values)
        # A border is put around a map that is filled already.
        return y if self._operator.hands_on else write(y, call.out, self._inside, self._number)


def write(value: Any, found: Any, inside: Any, number: float) -> Any:
    """A copy of a value, in the same layout, with a number at its absent cells."""
    if isinstance(found, tuple):
        return [write(v, f, i, number) for v, f, i in zip(value, found, inside, strict=True)]
    if found is None or not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    absent = ~found.mask
    if inside is not None:
        absent = absent & inside.mask
    absent = absent.expand(value.shape)
    if not absent.any():
        return value
    # Memory that elements share is written once; presence is the same along such a dimension.
    for dim in (dim for dim, step in enumerate(value.stride()) if step == 0):
        absent = absent.narrow(dim, 0, 1)
    reach = 1 + sum((size - 1) * step for size, step in zip(value.shape, value.stride(), strict=True))
    memory = value.as_strided((reach,), (1,)).clone()
    short = [1 if step == 0 else size for size, step in zip(value.shape, value.stride(), strict=True)]
    memory.as_strided(short, value.stride(), 0).masked_fill_(absent, number)
    return memory.as_strided(value.shape, value.stride(), 0)
