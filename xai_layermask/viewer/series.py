"""Colours and dashes of maskings in charts, the same as in figures."""

from __future__ import annotations

from collections.abc import Sequence

from ..plots.style import styles_of

__all__ = ["series"]

_DASHES = {"solid": "", "dashed": "7 4", "dashdot": "8 3 2 3", "dotted": "2 3"}


def series(maskings: Sequence[str]) -> list[tuple[str, str]]:
    """For each masking a colour and the dashes of its line; no two lines are the same.

    Example:
        >>> series(["grey", "layer", "layer"])
        [('#8C8C8C', ''), ('#D55E00', ''), ('#D55E00', '7 4')]
    """
    found: list[tuple[str, str]] = []
    styles = styles_of(maskings)
    for masking in maskings:
        every = [(styles[masking].colour, dash) for dash in _DASHES.values()]
        found.append(next((one for one in every if one not in found), every[-1]))
    return found
