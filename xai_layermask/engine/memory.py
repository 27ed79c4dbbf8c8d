"""Which values of a run share memory, so that a value is written in place only where no other value is lost.

Whether an operator returns new memory, a view or its input depends on strides and sizes as much as on the operator, so
the memory itself is compared, not the operators' schemas.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

__all__ = ["Memory"]


class Memory:
    """The values of a run that are still needed, by the memory that holds them.

    Example:
        >>> import torch
        >>> memory, x = Memory(), torch.zeros(4)
        >>> memory.add(0, x, [])
        >>> memory.owns(0)
        True
        >>> memory.add(1, x[:2], [x])
        >>> memory.owns(0), memory.owns(1)
        (False, False)
        >>> memory.drop(0)
        >>> memory.owns(1)
        True
    """

    def __init__(self) -> None:
        self._held: dict[int, frozenset[int]] = {}
        #: How many values lie in each memory that the run itself has allocated.
        self._tenants: dict[int, int] = {}

    def add(self, index: int, value: Any, inputs: Iterable[Any]) -> None:
        """Register a value.

        Args:
            index: Its number.
            value: A tensor or a list of tensors.
            inputs: What it was computed from. Where it shares memory with one of them that is not registered, such as
                a parameter, it is never owned.
        """
        held = self._held[index] = _addresses(value)
        foreign: frozenset[int] | None = None
        for address in held:
            if address in self._tenants:
                self._tenants[address] += 1
                continue
            if foreign is None:
                foreign = frozenset().union(*map(_addresses, inputs))
            if address not in foreign:
                self._tenants[address] = 1

    def replace(self, index: int, value: Any) -> None:
        """Register a value that the run has copied, in place of the one that it was copied from."""
        self.drop(index)
        self.add(index, value, ())

    def drop(self, index: int) -> None:
        """Forget a value that nobody reads any more."""
        for address in self._held.pop(index, ()):
            if address in self._tenants:
                self._tenants[address] -= 1
                if not self._tenants[address]:
                    del self._tenants[address]

    def owns(self, index: int) -> bool:
        """Whether no other value that is still needed lies in the same memory, and no parameter does."""
        return all(self._tenants.get(address) == 1 for address in self._held.get(index, (0,)))


def _addresses(value: Any) -> frozenset[int]:
    if isinstance(value, Tensor):
        return frozenset((value.untyped_storage().data_ptr(),))
    if isinstance(value, list | tuple):
        return frozenset().union(*map(_addresses, value))
    return frozenset()
