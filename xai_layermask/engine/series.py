"""Values cached during a series of forward passes, in which neither weights nor images change."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

__all__ = ["holds_in_series", "known_in_series", "series"]

T = TypeVar("T")

_KNOWN: ContextVar[dict[Any, tuple[weakref.ref[object], Any]] | None] = ContextVar("_KNOWN", default=None)


@contextmanager
def series() -> Iterator[None]:
    """Mark forward passes during which nothing changes but presence."""
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def known_in_series(thing: object, what: object, make: Callable[[], T], keeps: Callable[[T], bool] = bool) -> T:
    """A value that is computed once per object in a [`series`][], and in every call outside of one.

    Args:
        thing: The object, such as an image or a captured graph.
        what: Distinguishes the values of an object.
        make: Computes the value.
        keeps: Whether to keep a value; others are computed again.

    Example:
        >>> class Image: pass
        >>> image, looks = Image(), []
        >>> with series():
        ...     [known_in_series(image, "finite", lambda: looks.append("look") or True) for _ in range(3)], looks
        ([True, True, True], ['look'])
    """
    known = _KNOWN.get()
    if known is None:
        return make()
    key = id(thing), what
    before = known.get(key)
    if before is not None and before[0]() is thing:
        found: T = before[1]
        return found
    found = make()
    if keeps(found):
        known[key] = weakref.ref(thing), found
    return found


def holds_in_series(thing: object, check: Callable[[], bool]) -> bool:
    """Whether a condition holds for an object; once it does, it is not checked again in this series."""
    return known_in_series(thing, "holds", check)
