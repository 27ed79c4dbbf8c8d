"""Segmentations by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..errors import InputError, choose
from .words import ALIASES

__all__ = ["SEGMENTATIONS", "parse_segmentation"]

_DIGITS = 6  # maximum digits of the number of segments

#: Segmentations, with the argument that a number after a colon sets; None if there is none.
SEGMENTATIONS: Mapping[str, str | None] = MappingProxyType({
    "patches": "size", "slic": "n_segments", "quickshift": None, "felzenszwalb": None
})


def parse_segmentation(name: object, what: str = "segments") -> tuple[str, dict[str, int]]:
    """Look up a segmentation.

    Args:
        name: One of `SEGMENTATIONS`; some take an integer of at least 1, as in "patches:16" (side in pixels) and
            "slic:100" (number of segments).
        what: The argument's name for the message.

    Returns:
        The name of its function in `xai_layermask.segments`, and the keyword arguments for it.

    Raises:
        InputError: If there is no such segmentation.

    Example:
        >>> parse_segmentation("slic:100")
        ('slic', {'n_segments': 100})
    """
    kind, colon, number = name.partition(":") if isinstance(name, str) else (name, "", "")
    kind = choose(kind, SEGMENTATIONS, what, ALIASES)
    if not colon:
        return kind, {}
    argument = SEGMENTATIONS[kind]
    if argument is None:
        raise InputError.expected(f"{kind} without a number", repr(name), f"leave {number!r} out", what)
    if not number.isdecimal() or len(number) > _DIGITS or int(number) < 1:
        most = f" and at most {10**_DIGITS - 1}" if len(number) > _DIGITS else ""
        wanted = f"{kind}:N with an integer N of at least 1{most}"
        raise InputError.expected(wanted, repr(name), f"for example {kind}:16", what)
    return kind, {argument: int(number)}
