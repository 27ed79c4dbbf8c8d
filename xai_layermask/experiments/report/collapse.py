"""Whether different pictures look alike to a model when little of them is there: appendix 7.2, figure 17."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...stats.statistic import Floats, Mean, Pairs, Statistic
from ..protocols.collapse import direction
from .section import Section, missing
from .series import Cell, Places, Series, Setup
from .sizes import drawing, sizes_of, tables

__all__ = ["KEYS", "TEXTS", "section"]

KEYS = ("size",)
TEXTS = ("features",)


def _between(cells: Sequence[Cell], series: Series, places: Places) -> Statistic:
    """The mean cosine of the features of two pictures."""
    return Pairs([_cosines(series, cell, places) for cell in cells])


def _change(cells: Sequence[Cell], series: Series, places: Places) -> Statistic:
    """How far the cosine of two pictures is from what it is at the largest size, on average."""
    before = _cosines(series, max(series.cells, default=cells[0]), places)
    return Pairs([np.abs(_cosines(series, cell, places) - before) for cell in cells])


def _whole(cells: Sequence[Cell], series: Series, places: Places) -> Statistic:
    """The mean cosine of a picture's features and those of the whole picture."""
    return Mean(series.values("cosine_whole", cells, places))


def _cosines(series: Series, cell: Cell, places: Places) -> Floats:
    """The cosine of every two pictures, `(n, n)`; nan where one has no features."""
    units = [None if text is None else direction(text) for text in series.texts("features", cell, places)]
    length = next((unit.size for unit in units if unit is not None), 1)
    table = np.stack([np.full(length, np.nan) if unit is None else unit / np.linalg.norm(unit) for unit in units])
    found: Floats = table @ table.T
    return found


_KINDS = {
    "cosine between pictures": (_between, ""),
    "change of that cosine": (_change, "lower"),
    "cosine with the whole picture": (_whole, "higher"),
}


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `collapse`.

    Args:
        setups: At least one.

    Returns:
        How alike pictures are at every size, the differences between maskings, and the curves.
    """
    sizes = sizes_of(setups)
    found = tables("collapse", _SCORES, setups, _KINDS) if sizes else ()
    drawings = tuple(
        drawing(f"collapse-{place}", setup, "", _KINDS, "side of the picture in pixels", _SHOWN)
        for place, setup in enumerate(setups, start=1)
        if sizes
    )
    return Section("Collapse", _TEXT, found, drawings, missing(setups))


_TEXT = (
    "Every picture is shrunk into a corner, and the rest of the canvas is missing. Where the missing part has a say, "
    "all pictures come to look alike (appendix 7.2 of the paper, figure 17)."
)
_SHOWN = (
    "how alike the features of different pictures are when pictures are shrunk to this side and the rest of 224 x 224 "
    "is missing"
)
_SCORES = (
    "Means over pairs of different pictures (cosine, and how far it is from that of the same pair at the largest size) "
    "and over pictures (cosine with the whole picture), with 95 % bootstrap intervals over pictures."
)
