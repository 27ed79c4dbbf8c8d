"""Validation of the fields of `Preprocess`: each function returns the checked value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import InputError, check_integer, choose
from .resize import LARGEST_SIDE, Size

__all__ = ["as_bands", "as_colour", "as_numbers", "as_size", "as_window", "count_channels"]


def as_size(size: object, what: str) -> Size | None:
    """Side of a square in pixels, `(height, width)` or None."""
    if size is None:
        return None
    sides: Sequence[Any] = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size,)
    if not all(isinstance(side, int) and not isinstance(side, bool) and 0 < side <= LARGEST_SIDE for side in sides):
        raise InputError.expected(f"1 to {LARGEST_SIDE} pixels, (height, width) or None for {what}", repr(size))
    return (sides[0], sides[1]) if len(sides) == 2 else sides[0]


def as_numbers(values: Any, count: int, what: str) -> tuple[float, ...]:
    """Exactly `count` finite numbers."""
    try:
        numbers = tuple(float(one) for one in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        names = {1: "one number", 2: "two numbers", 3: "three numbers"}.get(count, f"{count} numbers")
        raise InputError.expected(f"{names} for {what}", repr(values))
    return numbers


def as_colour(rgb: Any) -> tuple[float, ...]:
    """Red, green and blue from 0 to 255."""
    triple = as_numbers(rgb, 3, "colour")
    if min(triple) < 0 or max(triple) > 255:
        raise InputError.expected("red, green and blue from 0 to 255 for colour", tuple(rgb))
    return triple


def as_window(window: Any) -> tuple[float, float] | None:
    """Centre and width of a window of values, or None."""
    if window is None:
        return None
    centre, width = as_numbers(window, 2, "window")
    if width <= 0:
        raise InputError.expected("(centre, width) with a width above 0 for window", repr(window))
    return centre, width


def as_bands(bands: Any, count: int) -> tuple[int, ...]:
    """The channels to display, one or three (as RGB); by default the first three, or the first of fewer."""
    if bands is None:
        return (0, 1, 2) if count >= 3 else (0,)
    shown = tuple(bands) if isinstance(bands, tuple | list) else (bands,)
    if len(shown) not in (1, 3):
        raise InputError.expected("one channel or three for bands", repr(bands))
    return tuple(check_integer(one, "bands", 0, count - 1) for one in shown)


def count_channels(channels: object) -> int:
    """The number of input channels: that of a colour mode such as "RGB", or the given number."""
    if isinstance(channels, str):
        return 1 if choose(channels, ("RGB", "BGR", "L"), "channels") == "L" else 3
    return check_integer(channels, "channels", 1, otherwise="'RGB', 'BGR' or 'L'")
