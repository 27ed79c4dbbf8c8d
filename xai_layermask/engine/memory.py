"""Which values of a run share memory, so that only values that own theirs are overwritten.

Whether an operator returns a new tensor, a view or its input depends also on strides and sizes. So storages are
compared, not operator schemas.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from torch import Tensor

__all__ = ["Memory"]


class Memory:
    """The values of a run that are still needed, with their storages.

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
        self._held: dict[int, Collection[int]] = {}
        #: The number of values in each storage that the run has allocated.
        self._tenants: dict[int, int] = {}

    def add(self, index: int, value: Any, inputs: Iterable[Any]) -> None:
        """Register a value.

        Args:
            index: Its number.
            value: A tensor or a list of tensors.
            inputs: What it was computed from. If it shares memory with an unregistered input, such as a parameter, it
                never owns it.
        """
        held = self._held[index] = _addresses(value)
        for address in held:
            if address in self._tenants:
                self._tenants[address] += 1
            elif not any(address in _addresses(one) for one in inputs):
                self._tenants[address] = 1

    def replace(self, index: int, value: Any) -> None:
        """Replace a value by a copy."""
        self.drop(index)
        self.add(index, value, ())

    def drop(self, index: int) -> None:
        """Remove a value that is not read again."""
        for address in self._held.pop(index, ()):
            if address in self._tenants:
                self._tenants[address] -= 1
                if not self._tenants[address]:
                    del self._tenants[address]

    def owns(self, index: int) -> bool:
        """Whether a value shares its memory with no needed value and no parameter."""
        held = self._held.get(index, (0,))
        return all(self._tenants.get(address) == 1 for address in held)


def _addresses(value: Any) -> Collection[int]:
    if isinstance(value, Tensor):
        return (value.untyped_storage().data_ptr(),)
    if isinstance(value, list | tuple):
        return {address for one in value for address in _addresses(one)}
    return ()
