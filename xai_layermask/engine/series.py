"""What is known to hold during a series of forward passes, in which neither weights nor images change."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["holds_in_series", "series"]

_KNOWN: ContextVar[dict[int, weakref.ref[object]] | None] = ContextVar("_KNOWN", default=None)


@contextmanager
def series() -> Iterator[None]:
    """Forward passes during which nothing changes but presence."""
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def holds_in_series(thing: object, check: Callable[[], bool]) -> bool:
    """Whether something holds for an object; found out once per [`series`][], since a look waits for the device.

    Args:
        thing: What the check reads, such as an image or the weights of a model.
        check: Whether it holds. If not, it is checked again.

    Example:
        >>> class Image: pass
        >>> image, looks = Image(), []
        >>> with series():
        ...     [holds_in_series(image, lambda: not looks.append("look")) for _ in range(3)], looks
        ([True, True, True], ['look'])
    """
    known = _KNOWN.get()
    if known is None:
        return check()
    before = known.get(id(thing))
    if before is not None and before() is thing:
        return True
    holds = check()
    if holds:
        known[id(thing)] = weakref.ref(thing)
    return holds
